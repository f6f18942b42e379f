"""The processes of one contender: a producer that is told what to send, and workers."""

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from queues.bench.contenders import Contender
from queues.bench.programs import ledger
from queues.bench.rabbit import Rabbit
from queues.bench.server import server_cpu_s
from queues.bench.tether import Tether
from queues.bench.worker import Worker

PROGRAMS = Path(__file__).parent / "programs"
LOOK_EVERY_S = 0.005
LONG_PAUSE_S = 2.0
SETTLES_S = 0.1
RECONNECTS_WITHIN_S = 1.0


class BenchError(RuntimeError):
    """A contender did not do its work: the run says nothing. The text carries the end of its log."""


class Party:
    """A contender that runs.

    Args:
        python: the interpreter of its environment.
        redis_url: a database of its own.
        broker_url: of its queues.
        folder: for its ledger and its logs.
        rabbit: whose work counts as the server's, where it is the benchmark's own.
    """

    def __init__(
        self,
        contender: Contender,
        python: str,
        redis_url: str,
        broker_url: str,
        folder: Path,
        rabbit: Rabbit | None = None,
    ) -> None:
        self.contender = contender
        self.redis_url = redis_url
        self.ledger = folder / "ledger"
        self.workers: list[Worker] = []
        self._log = folder / "log.txt"
        self._rabbit = rabbit
        self._paused_s = 0.0
        results = {"BENCH_RESULT_BACKEND": redis_url} if "BENCH_RESULTS" in contender.settings else {}
        path = os.pathsep.join([str(PROGRAMS), *filter(None, sys.path)]) if python == sys.executable else str(PROGRAMS)
        self._environment = {
            **os.environ,
            **contender.settings,
            **results,
            "BENCH_REDIS_URL": redis_url,
            "BENCH_BROKER_URL": broker_url,
            "BENCH_LEDGER": str(self.ledger),
            # A server may be shared with others, and with what an earlier run left.
            "BENCH_QUEUE": f"bench-{uuid.uuid4().hex[:8]}",
            "PYTHONPATH": path,
        }
        with self._log.open("ab") as log:
            self._producer = subprocess.Popen(  # noqa: S603 - our own program
                [python, str(PROGRAMS / "driver.py"), contender.program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                text=True,
                start_new_session=True,
            )
        self._tether = Tether(self._producer.pid)
        try:
            self.offers = frozenset(self.ask(do="offers")["names"])
        except BenchError:
            self.close()
            raise

    def close(self) -> None:
        """End its processes."""
        self.stop_workers()
        if self._producer.poll() is None:
            self._producer.kill()
        for pipe in (self._producer.stdin, self._producer.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # what was still to be said to it
                    pipe.close()
        self._producer.wait()
        self._tether.loosen()

    @property
    def producer_pid(self) -> int:
        """The process that sends."""
        return self._producer.pid

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
        """Start one more worker; it may take a while until it takes its first task. None where there are none."""
        if "worker" in self.offers:
            command = self.ask(do="worker", concurrency=concurrency)["command"]
            self.workers.append(Worker(command, self._environment, self._log))

    def pause_workers(self) -> None:
        """Stop every process of the workers where it is, so that it takes nothing from the others.

        A moment after the last effect: what is still to be told of it would else be late by the whole pause, and some
        systems would run such a task again.
        """
        if self.workers:
            time.sleep(SETTLES_S)
        self._paused_s = time.monotonic()
        for worker in self.workers:
            worker.pause()

    def resume_workers(self) -> None:
        """Let them go on; after a long pause this returns when they have connected again.

        A client that wakes up long after its time-out drops its connection, and with it a message that Redis has
        sent there. So none may be sent until it has done so.
        """
        for worker in self.workers:
            worker.resume()
        if self.workers and time.monotonic() - self._paused_s > LONG_PAUSE_S:
            time.sleep(RECONNECTS_WITHIN_S)

    def stop_workers(self) -> None:
        """End the workers."""
        while self.workers:
            self.workers.pop().stop()

    @property
    def worker_cpu_s(self) -> float:
        """What the workers' living processes have computed so far."""
        return sum(worker.cpu_s for worker in self.workers)

    @property
    def server_cpu_s(self) -> float:
        """What the servers have computed so far: Redis, and RabbitMQ where the benchmark started it."""
        return server_cpu_s(self.redis_url) + (self._rabbit.cpu_s if self._rabbit is not None else 0.0)

    def wait_for(self, count: int, within_s: float) -> None:
        """Return when the ledger holds `count` effects.

        Raises:
            BenchError: it does not within the time, or a worker ended.
        """
        deadline = time.monotonic() + within_s
        while ledger.count(self.ledger) < count:
            if time.monotonic() > deadline:
                raise self._failed(f"did {ledger.count(self.ledger)} of {count} tasks in {within_s:g} s")
            if any(worker.has_ended for worker in self.workers):
                raise self._failed("lost its worker")
            time.sleep(LOOK_EVERY_S)

    def _failed(self, what: str) -> BenchError:
        tail = self._log.read_text("utf-8", "replace")[-1500:]
        return BenchError(f"{self.contender.name} {what}:\n{tail}")
