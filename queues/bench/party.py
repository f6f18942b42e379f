"""The processes of one contender: a producer that is told what to send, and a worker."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from queues.bench.contenders import Contender
from queues.bench.machine import group_cpu_s
from queues.bench.programs import ledger

PROGRAMS = Path(__file__).parent / "programs"
STOP_WITHIN_S = 10.0
LOOK_EVERY_S = 0.005


class BenchError(RuntimeError):
    """A contender did not do its work: the run says nothing. The text carries the end of its log."""


class Party:
    """A contender that runs.

    Args:
        python: the interpreter of its environment.
        redis_url: a database of its own.
        broker_url: of its queues.
        folder: for its ledger and its logs.
    """

    def __init__(self, contender: Contender, python: str, redis_url: str, broker_url: str, folder: Path) -> None:
        self.contender = contender
        self.redis_url = redis_url
        self.ledger = folder / "ledger"
        self._log = folder / "log.txt"
        results = {"BENCH_RESULT_BACKEND": redis_url} if "BENCH_RESULTS" in contender.settings else {}
        path = os.pathsep.join([str(PROGRAMS), *filter(None, sys.path)]) if python == sys.executable else str(PROGRAMS)
        self._environment = {
            **os.environ,
            **contender.settings,
            **results,
            "BENCH_REDIS_URL": redis_url,
            "BENCH_BROKER_URL": broker_url,
            "BENCH_LEDGER": str(self.ledger),
            "PYTHONPATH": path,
        }
        self._worker: subprocess.Popen[bytes] | None = None
        with self._log.open("ab") as log:
            self._producer = subprocess.Popen(  # noqa: S603 - our own program
                [python, str(PROGRAMS / "driver.py"), contender.program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                text=True,
            )
        self.offers = frozenset(self.ask(do="offers")["names"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_worker()
        self._producer.kill()
        self._producer.communicate()

    def ask(self, **asked: Any) -> Any:
        """What the producer answers.

        Raises:
            BenchError: it ended.
        """
        if self._producer.stdin is None or self._producer.stdout is None:
            raise self._failed("has no pipes")
        try:
            self._producer.stdin.write(json.dumps(asked) + "\n")
            self._producer.stdin.flush()
            return json.loads(self._producer.stdout.readline())
        except (OSError, ValueError) as exc:
            raise self._failed(f"did not answer {asked.get('do')}") from exc

    def start_worker(self, concurrency: int) -> None:
        """Start the worker; it may take a while until it takes its first task."""
        command = self.ask(do="worker", concurrency=concurrency)["command"]
        with self._log.open("ab") as log:
            self._worker = subprocess.Popen(  # noqa: S603 - what the program said
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )

    def pause_worker(self) -> None:
        """Stop every process of the worker where it is, so that it takes nothing from the others."""
        self._signal(signal.SIGSTOP)

    def resume_worker(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop_worker(self) -> None:
        """End the worker; at once when it has not ended in ten seconds."""
        worker = self._worker
        if worker is None:
            return
        self._signal(signal.SIGCONT)
        worker.terminate()
        try:
            worker.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            worker.wait(STOP_WITHIN_S)
        self._signal(signal.SIGKILL)
        self._worker = None

    @property
    def worker_cpu_s(self) -> float:
        """What the worker's living processes have computed so far."""
        return group_cpu_s(self._worker.pid) if self._worker is not None else 0.0

    def wait_for(self, count: int, within_s: float) -> None:
        """Return when the ledger holds `count` effects.

        Raises:
            BenchError: it does not within the time, or the worker ended.
        """
        deadline = time.monotonic() + within_s
        while ledger.count(self.ledger) < count:
            if time.monotonic() > deadline:
                raise self._failed(f"did {ledger.count(self.ledger)} of {count} tasks in {within_s:g} s")
            if self._worker is not None and self._worker.poll() is not None:
                raise self._failed("lost its worker")
            time.sleep(LOOK_EVERY_S)

    def _signal(self, number: signal.Signals) -> None:
        if self._worker is not None:
            try:
                os.killpg(self._worker.pid, number)
            except ProcessLookupError:
                return  # all have ended

    def _failed(self, what: str) -> BenchError:
        tail = self._log.read_text("utf-8", "replace")[-1500:]
        return BenchError(f"{self.contender.name} {what}:\n{tail}")
