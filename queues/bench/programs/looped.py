"""Coroutines for a program whose verbs block: one event loop for all of them, so that connections live on."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

AT_ONCE = 100
T = TypeVar("T")


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        uvloop = importlib.import_module("uvloop")
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


_runner = asyncio.Runner(loop_factory=_new_event_loop)


def run(step: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns."""
    return _runner.run(step)


async def one_by_one(submit: Callable[[int], Awaitable[object]], numbers: Iterable[int]) -> None:
    """Await a submission for each number, one after another."""
    for number in numbers:
        await submit(number)


async def at_once(submit: Callable[[int], Awaitable[object]], numbers: range) -> None:
    """The same, a hundred at the same time."""
    for start in range(numbers.start, numbers.stop, AT_ONCE):
        await asyncio.gather(*map(submit, range(start, min(start + AT_ONCE, numbers.stop))))
