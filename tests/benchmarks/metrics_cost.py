"""What metrics cost: `python -m tests.benchmarks.metrics_cost` prints how much longer tasks that do nothing take.

The same tasks are run with and without metrics, in turns, on the memory backend and on real workers with threads; the
medians of the rounds are compared. It is processor time that is measured, of the process that runs the tasks, so that
a busy machine changes little. One run's ratio is what counts. Needs Linux, which tells another process's time.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from queues import Observer, Queue, Tasks, connect
from queues.backends.memory import MemoryBackend
from queues.observers.metrics import PrometheusMetrics
from queues.task import AnyTask
from tests.ports import free_port
from tests.servers import ValkeyServer
from tests.stage import Stage
from tests.workers import Kind

ROUNDS = 9
MEMORY_TASKS = 3_000
WORKER_TASKS = 1_500
DEADLINE_S = 120.0
Round = Callable[[], float]


def main() -> int:
    """Print one line for each backend."""
    with tempfile.TemporaryDirectory() as folder, ValkeyServer(Path(folder) / "valkey", fsync=None) as server:
        compare("memory", memory_round(None), memory_round(PrometheusMetrics(CollectorRegistry())), MEMORY_TASKS)
        for number, kind in enumerate(("celery threads", "dramatiq")):
            with worker_rounds(kind, server.url.removesuffix("/0"), 2 * number + 1, Path(folder)) as (bare, counted):
                compare(kind, bare, counted, WORKER_TASKS)
    return 0


def compare(name: str, bare: Round, counted: Round, tasks: int) -> None:
    """Run both in turns, the first round of each for warmth only, and print the medians."""
    times_s: dict[str, list[float]] = {"bare": [], "counted": []}
    for turn in range(ROUNDS + 1):
        pair = [("bare", bare), ("counted", counted)]
        for which, run in pair if turn % 2 else pair[::-1]:
            took_s = run()
            if turn:
                times_s[which].append(took_s)
    without_us, with_us = (1e6 * statistics.median(times_s[which]) / tasks for which in ("bare", "counted"))
    sys.stdout.write(
        f"{name:<15} {without_us:6.0f} us of processor time a task without metrics, {with_us:6.0f} us with: "
        f"{with_us / without_us:.2f} times (medians of {ROUNDS} rounds of {tasks} tasks)\n"
    )
    sys.stdout.flush()


def memory_round(observer: Observer | None) -> Round:
    """Seconds that it costs to submit the tasks and to run them, in this process."""

    def run() -> float:
        tasks = Tasks(namespace="cost")

        @tasks.task(once=None)
        def nothing(number: int) -> None:
            return None

        queue = connect(tasks, backend="memory", observer=observer)
        begun_s = time.process_time()
        for number in range(MEMORY_TASKS):
            nothing.send(number)
        if isinstance(queue.backend, MemoryBackend):
            queue.backend.run_pending()
        return time.process_time() - begun_s

    return run


@contextmanager
def worker_rounds(kind: Kind, server: str, database: int, folder: Path) -> Iterator[tuple[Round, Round]]:
    """A worker without metrics and one with, each with records and queues of its own."""
    with ExitStack() as stack:
        rounds: list[Round] = []
        for is_counted in (False, True):
            url = f"{server}/{database + is_counted}"
            os.environ["REDIS_URL"] = url
            stage = Stage(kind.partition(" ")[0], url, url)
            stack.callback(stage.close)
            if is_counted:
                os.environ["QUEUES_METRICS_PORT"] = str(free_port())
            worker = stack.enter_context(stage.worker(kind, folder))
            os.environ.pop("QUEUES_METRICS_PORT", None)
            rounds.append(_submitted_and_run(stage.queue, stage.program.nothing, worker.pid))
        yield rounds[0], rounds[1]


def _submitted_and_run(queue: Queue, nothing: AnyTask, group: int) -> Round:
    def run() -> float:
        deadline_s = time.monotonic() + DEADLINE_S
        begun_s = _cost_s(group)
        nothing.send_many([(number,) for number in range(WORKER_TASKS)])
        while queue.unfinished():
            if time.monotonic() > deadline_s:
                msg = f"not done in {DEADLINE_S:.0f} s"
                raise TimeoutError(msg)
            time.sleep(0.02)
        return _cost_s(group) - begun_s

    return run


def _cost_s(group: int) -> float:
    """Seconds of processor time that the processes of a group have used."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
