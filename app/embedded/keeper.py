"""One program under the supervisor: started, watched, started again when it dies, stopped."""

import asyncio
import codecs
import contextlib
import io
import os
import signal
import sys
import time
from collections import deque
from pathlib import Path

from app.embedded.output import Output
from app.embedded.program import Program, ProgramStartError
from app.embedded.watch import Watch

TETHER = Path(__file__).with_name("tether.py")
TAIL_LINES = 25
MAX_LINE_CHARS = 8_192
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
STEADY_S = 60.0
"""A program that ran this long may be started again at once."""


class Keeper:
    """Keeps one program running.

    Args of the constructor: the program, where its lines go, and what ends its processes when this one is killed.
    """

    def __init__(self, program: Program, output: Output, watch: Watch) -> None:
        self.program = program
        self._output = output
        self._watch = watch
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._is_stopping = False

    @property
    def pid(self) -> int | None:
        """Of the program; None when it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start it; return when it is ready.

        Raises:
            ProgramStartError: it ended, or was not ready in time; then it does not run.
        """
        process = await self._spawn()
        ready, ended = asyncio.create_task(self._ready.wait()), asyncio.create_task(process.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=self.program.start_within_s, return_when="FIRST_COMPLETED")
        finally:
            ready.cancel()
            ended.cancel()
        if self._ready.is_set() and process.returncode is None:
            return
        reason = f"was not ready within {self.program.start_within_s:g} s"
        if process.returncode is not None:
            reason = f"ended at once ({_how(process.returncode)})"
        await self._bury(process)
        raise ProgramStartError(self.program.name, reason, tuple(self._tail), self._output.log_of(self.program.name))

    async def keep(self) -> None:
        """Start it again whenever it ends, after a pause that doubles; goes on until `stop`."""
        pause_s = FIRST_PAUSE_S
        while (process := self._process) is not None:
            since = time.monotonic()
            code = await process.wait()
            if self._is_stopping:
                return
            await self._bury(process)
            if time.monotonic() - since > STEADY_S:
                pause_s = FIRST_PAUSE_S
            self._output.say(f"{self.program.name} ended ({_how(code)}): started again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
            try:
                await self.start()
            except (ProgramStartError, OSError) as exc:
                self._output.say(str(exc))
            else:
                self._output.say(f"{self.program.name} is ready again")

    async def stop(self, hurry: asyncio.Event) -> None:
        """End it: SIGTERM, and SIGKILL to what is left after its time, or at once when `hurry` is set."""
        self._is_stopping = True
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            ended, hurried = asyncio.create_task(process.wait()), asyncio.create_task(hurry.wait())
            await asyncio.wait({ended, hurried}, timeout=self.program.stop_within_s, return_when="FIRST_COMPLETED")
            hurried.cancel()
            if process.returncode is None:
                self._output.say(f"{self.program.name} has not ended: killed")
                ended.cancel()
        await self._bury(process)

    async def _spawn(self) -> asyncio.subprocess.Process:
        program = self.program
        self._ready.clear()
        self._tail.clear()
        # A pipe of our own: asyncio's `wait` would also wait for its pipe, which a dead master's children hold open.
        read_end, write_end = os.pipe()
        reading = os.fdopen(read_end, "rb", buffering=0)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *program.command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
                cwd=program.folder,
                # A group of its own: Ctrl-C reaches the supervisor alone, and the group can be ended as a whole.
                start_new_session=True,
            )
        except BaseException:
            reading.close()
            raise
        finally:
            os.close(write_end)
        self._watch.add(process.pid)
        self._process = process
        self._reader = asyncio.create_task(self._read(reading))
        return process

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        """End what is left of its group: a dead master's children would work on, unwatched."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        self._watch.drop(process.pid)
        if self._reader is not None:
            # Its last lines say why it ended. A process that left the group may hold the pipe open.
            await asyncio.wait({self._reader}, timeout=1.0)
            self._reader.cancel()

    async def _read(self, pipe: io.FileIO) -> None:
        stream = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(stream)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        held = ""
        try:
            while block := await stream.read(65_536):
                *lines, held = (held + decoder.decode(block)).split("\n")
                if len(held) > MAX_LINE_CHARS:
                    lines, held = [*lines, held], ""
                for line in lines:
                    self._take(line)
            self._take(held)
        finally:
            transport.close()

    def _take(self, line: str) -> None:
        line = line.rstrip()[:MAX_LINE_CHARS]
        if not line:
            return
        secret = self.program.secret
        is_secret = secret is not None and secret.search(line) is not None
        self._output.line(self.program.name, line, is_secret=is_secret)
        if not is_secret:
            self._tail.append(line)
        if self.program.ready.search(line):
            self._ready.set()


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
