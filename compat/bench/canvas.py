"""A load of chains or of chords, as BENCH_CANVAS says, with the application of `celery_bare`."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import celery_bare
import celery_command
from celery import chain, chord

WITHIN_S = 120
PROCESSES = 2
LINKS, PARTS = 3, 100

app: Any = celery_bare.app


@app.task(name="bench.total")  # type: ignore[untyped-decorator]
def total(numbers: list[int]) -> int:
    """What a chord ends in."""
    return sum(numbers)


def _chain(number: int) -> tuple[Any, int]:
    noop = celery_bare.TASKS["noop"]
    return chain(noop.s(number), *[noop.s() for _ in range(LINKS - 1)]), number


def _chord(number: int) -> tuple[Any, int]:
    noop = celery_bare.TASKS["noop"]
    numbers = range(number, number + PARTS)
    return chord([noop.s(part) for part in numbers], total.s()), sum(numbers)


MAKERS: Mapping[str, Callable[[int], tuple[Any, int]]] = {"chain": _chain, "chord": _chord}


def worker(_: int) -> list[str]:
    """Celery's command, or the shim's."""
    command: list[str] = celery_command.worker("compat.bench.canvas", PROCESSES)
    return command


def load(count: int) -> None:
    """Submit so many, and wait for what comes of each.

    Raises:
        ValueError: it is something else than it should be.
    """
    make = MAKERS[os.environ["BENCH_CANVAS"]]
    sent = [(canvas.apply_async(), expected) for canvas, expected in map(make, range(count))]
    for result, expected in sent:
        if (found := result.get(timeout=WITHIN_S)) != expected:
            msg = f"{found!r} came of a canvas, and not {expected!r}"
            raise ValueError(msg)
