"""One process that starts the programs of the service, keeps them running and ends them all."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence

from app.embedded.keeper import Keeper
from app.embedded.output import Output
from app.embedded.program import Program, ProgramStartError
from app.embedded.watch import Watch

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Runs the programs until a signal asks it to stop.

    The servers are started first, all at once; when they are ready the services, all at once too. They are
    stopped one after another, last first. The first signal lets each finish within its time; the second kills
    what is left. When the supervisor itself is killed, its guardian ends them.

    Args of the constructor: `servers`, which the services need; `services`, which need them; the logs.
    """

    def __init__(self, servers: Sequence[Program], services: Sequence[Program], output: Output) -> None:
        self._output = output
        self._watch = Watch()
        self._servers = [Keeper(program, output, self._watch) for program in servers]
        self._services = [Keeper(program, output, self._watch) for program in services]

    async def run(self, on_ready: Callable[[], Awaitable[None]]) -> int:
        """Run until a signal. To be called in the main thread: the programs end with the thread that started them.

        Args:
            on_ready: awaited once, when every program is ready.

        Returns:
            0 after an orderly stop, 1 when a program could not be started.
        """
        stop, hurry = asyncio.Event(), asyncio.Event()
        _listen(stop, hurry)
        with self._watch:
            working = asyncio.create_task(self._work(on_ready))
            stopped = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({working, stopped}, return_when="FIRST_COMPLETED")
            finally:
                await _end(working, stopped)
                await self._stop(hurry)
        return self._judge(working)

    async def _work(self, on_ready: Callable[[], Awaitable[None]]) -> None:
        for keepers in (self._servers, self._services):
            if keepers:
                names = ", ".join(keeper.program.name for keeper in keepers)
                self._output.say(f"starting {names}")
                await _all(*(keeper.start() for keeper in keepers))
        keeping = [keeper.keep() for keeper in (*self._servers, *self._services)]
        await _all(on_ready(), self._watch.keep(), *keeping)

    async def _stop(self, hurry: asyncio.Event) -> None:
        self._output.say("stopping (once more: kill)")
        for keeper in reversed((*self._servers, *self._services)):
            await keeper.stop(hurry)
        self._output.say("stopped")

    def _judge(self, working: "asyncio.Task[None]") -> int:
        error = None if working.cancelled() else working.exception()
        if error is None:
            return 0
        if not isinstance(error, ProgramStartError):
            raise error
        self._output.say(str(error))
        return 1


def _listen(stop: asyncio.Event, hurry: asyncio.Event) -> None:
    def heard() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, heard)


async def _all(*steps: Awaitable[None]) -> None:
    """Await all at once; the first error ends the others and is raised."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        await _end(*tasks)


async def _end(*tasks: "asyncio.Future[None] | asyncio.Task[bool]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
