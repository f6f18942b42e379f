"""`python driver.py PROGRAM`: does what the lines of its standard input ask, and answers each with a line of JSON.

{"do": "offers"}                                              {"names": [...]}
{"do": "worker", "concurrency": 2}                            {"command": [...]}
{"do": "send", "kind": "noop", "start": 0, "count": 1000}     {"seconds": 0.4, "cpu_s": 0.3}
{"do": "send_many", ...}   {"do": "repeat", "kind": "noop", "number": 7, "count": 1000}
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any


def _timed(step: Callable[[], object]) -> dict[str, float]:
    cpu, begun = time.process_time(), time.perf_counter()
    step()
    return {"seconds": time.perf_counter() - begun, "cpu_s": time.process_time() - cpu}


def answer(program: ModuleType, asked: dict[str, Any]) -> dict[str, Any]:
    """What one line asks for."""
    match asked:
        case {"do": "offers"}:
            return {"names": [name for name in ("send", "send_many", "repeat", "worker") if hasattr(program, name)]}
        case {"do": "worker", "concurrency": concurrency}:
            return {"command": program.worker(concurrency)}
        case {"do": "send" | "send_many" as verb, "kind": kind, "start": start, "count": count}:
            return _timed(lambda: getattr(program, verb)(kind, range(start, start + count)))
        case {"do": "repeat", "kind": kind, "number": number, "count": count}:
            return _timed(lambda: program.repeat(kind, number, count))
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
