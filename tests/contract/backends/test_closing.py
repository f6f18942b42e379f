"""A queue that was closed leaves no connection to the garbage collector: none to Redis, none to the broker."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stage import Stage, eventually

WAIT_S = 60.0


@pytest.fixture
def left_by_itself() -> Iterator[None]:
    """No garbage collector closes what the queue should have closed."""
    gc.disable()
    yield
    gc.enable()


def sockets() -> set[str]:
    """The sockets of this process."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # the listing's own
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def use(stage: Stage, name: str) -> None:
    """Submit by a queue of its own, wait for a result, and close it."""
    program, queue = stage.connect()
    handle = program.echo.send(name, 1)
    program.echo.send_many([(f"{name}-{n}", n) for n in range(10)])
    if stage.backend != "memory":  # where a task runs in this process, and keeps a connection of its own
        assert handle.result(timeout=WAIT_S) == 1
    queue.close()


async def use_async(stage: Stage, name: str) -> None:
    """The same on an event loop."""
    program, queue = stage.connect()
    handle = await program.echo.send_async(name, 1)
    if stage.backend != "memory":
        assert await handle.result_async(timeout=WAIT_S) == 1
    await queue.close_async()


@pytest.mark.usefixtures("left_by_itself")
def test_a_closed_queue_leaves_no_connection(stage: Stage, name: str):
    use(stage, f"{name}-first")  # kombu keeps a pool of connections for all apps of a process with the same broker
    before = sockets()

    use(stage, f"{name}-second")

    eventually(lambda: not sockets() - before)


@pytest.mark.usefixtures("left_by_itself")
def test_a_queue_closed_by_an_event_loop_leaves_none(stage: Stage, name: str):
    asyncio.run(use_async(stage, f"{name}-first"))
    before = sockets()

    asyncio.run(use_async(stage, f"{name}-second"))

    eventually(lambda: not sockets() - before)
