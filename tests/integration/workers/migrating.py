"""`queues migrate` as an operator runs it, and the same in this process."""

import json
import os
import subprocess
import sys
import threading
from typing import Any

from queues.clock import SystemClock
from queues.migration import Migration, Tally
from tests.stage import Stage
from tests.workers import PROGRAMS

DEADLINE_S = 240


def moved(old: Stage, new: Stage) -> Tally:
    """What came of moving what is queued on `old`."""
    source = old.queue.backend.queued()
    try:
        clock, stopping = SystemClock(), threading.Event()
        return Migration(source, new.queue.backend, clock, stopping, lambda _: None, lambda: 0).move()
    finally:
        source.close()


def depth_messages(stage: Stage) -> int:
    """How many messages are on the stage's queues."""
    source = stage.queue.backend.queued()
    try:
        return sum(source.depth_messages(lane) for lane in source.lanes)
    finally:
        source.close()


class Migrate:
    """Runs `queues migrate` between two stages that share their records."""

    def __init__(self, old: Stage, new: Stage) -> None:
        self._command = [sys.executable, "-m", "queues.cli", "migrate", "onceq_celery:queue"]
        self._command += ["--from", old.backend, "--to", new.backend]
        paths = f"{PROGRAMS}:{os.environ.get('PYTHONPATH', '')}"
        self._environment = {**os.environ, **old.environment, **new.environment, "PYTHONPATH": paths}

    def start(self, *options: str) -> "subprocess.Popen[str]":
        """The command, running."""
        return subprocess.Popen(
            [*self._command, *options],
            cwd=PROGRAMS,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Its exit status, and the document that it printed."""
        process = self.start("--json", *options)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert out, err
        return process.returncode, json.loads(out)
