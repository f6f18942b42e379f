"""Tasks whose duplicates do something else than join; for `onceq_program`."""

import time
from collections.abc import Callable
from dataclasses import replace

import redis

from queues import Once, Tasks

Mark = Callable[[str, str], None]
Ledger = Callable[[], redis.Redis]


def declare(tasks: Tasks, mark: Mark, ledger: Ledger, lease_s: float) -> None:
    """Add these tasks to the program's; the first four take the newest arguments, or the first, of a `name`."""
    selects = Once(lease=lease_s, key=("name",))
    for name, once in (
        ("replaces", replace(selects, on_duplicate="replace")),
        ("keeps_last", replace(selects, on_duplicate="keep_last")),
        ("debounces", replace(selects, on_duplicate="debounce", quiet=1.0)),
        ("selects", selects),
        ("joins_or_skips", Once(lease=lease_s, lossy=True)),
    ):
        tasks.task(_gated(mark, ledger), name=f"program.{name}", queue="slow", once=once)

    @tasks.task(queue="fast", once=Once(lease=lease_s, fail_open=True))
    def runs_open(name: str) -> str:
        mark(name, "ran")
        return name


def _gated(mark: Mark, ledger: Ledger) -> Callable[[str, int], int]:
    def gated(name: str, value: int) -> int:
        mark(name, f"ran-{value}")
        # The first of a name runs until its test lets it go.
        while value == 1 and not ledger().exists(f"program:gate:{name}"):
            time.sleep(0.02)
        return value

    return gated
