"""`python driver.py PROGRAM`: does what the lines of its standard input ask, and answers each with a line of JSON.

{"do": "offers"}                                              {"names": [...]}
{"do": "worker", "concurrency": 2}                            {"command": [...]}
{"do": "send", "kind": "noop", "start": 0, "count": 1000}     {"seconds": 0.4, "cpu_s": 0.3}
{"do": "send_many", ...}   {"do": "join", ...}   {"do": "repeat", "kind": "noop", "number": 7, "count": 1000}
{"do": "run", "kind": "noop", "number": 7}   {"do": "drain"}
{"do": "fill", "count": 1000}   {"do": "load", "count": 1000}
{"do": "twice", ...}          each number twice
{"do": "pace", ..., "rate": 500}   each at its moment, whether the one before was late or not

Beside the seconds stands `begun_ns`, when it began, by the clock of the ledger.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

VERBS = ("send", "send_many", "repeat", "run", "join", "worker", "drain", "fill", "load")


def _timed(step: Callable[[], object]) -> dict[str, float]:
    cpu, begun_ns = time.process_time(), time.monotonic_ns()
    step()
    seconds = (time.monotonic_ns() - begun_ns) / 1e9
    return {"seconds": seconds, "cpu_s": time.process_time() - cpu, "begun_ns": begun_ns}


def _pace(program: ModuleType, kind: str, numbers: range, rate: float) -> None:
    """Send each at its moment. One that is late is sent at once; the moments of the others do not move."""
    begun = time.monotonic()
    for place, number in enumerate(numbers):
        ahead = begun + place / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        program.send(kind, range(number, number + 1))


def _twice(program: ModuleType, kind: str, numbers: range) -> None:
    for number in numbers:
        program.repeat(kind, number, 2)


def answer(program: ModuleType, asked: dict[str, Any]) -> dict[str, Any]:
    """What one line asks for."""
    match asked:
        case {"do": "offers"}:
            return {"names": [name for name in VERBS if hasattr(program, name)]}
        case {"do": "worker", "concurrency": concurrency}:
            return {"command": program.worker(concurrency)}
        case {"do": "pace", "kind": kind, "start": start, "count": count, "rate": rate}:
            return _timed(lambda: _pace(program, kind, range(start, start + count), rate))
        case {"do": "twice", "kind": kind, "start": start, "count": count}:
            return _timed(lambda: _twice(program, kind, range(start, start + count)))
        case {"do": "send" | "send_many" | "join" as verb, "kind": kind, "start": start, "count": count}:
            return _timed(lambda: getattr(program, verb)(kind, range(start, start + count)))
        case {"do": "repeat", "kind": kind, "number": number, "count": count}:
            return _timed(lambda: program.repeat(kind, number, count))
        case {"do": "run", "kind": kind, "number": number}:
            return _timed(lambda: program.run(kind, number))
        case {"do": "drain"}:
            return _timed(program.drain)
        case {"do": "fill" | "load" as verb, "count": count}:
            return _timed(lambda: getattr(program, verb)(count))
    message = f"not understood: {asked}"
    raise ValueError(message)


def main() -> None:
    """Answer until the input ends."""
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    program = importlib.import_module(sys.argv[1])
    for line in sys.stdin:
        answers.write(json.dumps(answer(program, json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
