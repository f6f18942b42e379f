"""Celery beat and periodiq submit by one declaration: however many run, start and die, each moment's task runs once."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from queues.stores.redis import RedisStore
from tests.servers import ValkeyServer
from tests.stage import eventually
from tests.workers import Kind, Worker, has_logged, worker_command

BEAT = ("celery", "-A", "onceq_schedules", "beat", "--pidfile=", "--loglevel", "INFO")
PERIODIQ = ("run_periodiq", "onceq_schedules:broker", "-v")
READY = {BEAT: "beat: Starting", PERIODIQ: "Registered periodic actors"}
Start = Callable[[str, tuple[str, ...]], Worker]


class Seconds:
    """The seconds that the tasks noted."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)

    @property
    def noted(self) -> list[int]:
        """One for each run, sorted."""
        return sorted(map(int, self._client.lrange("noted", 0, -1)))

    def grow(self, count: int) -> None:
        """Return when so many more were noted."""
        wanted = len(self.noted) + count
        eventually(lambda: len(self.noted) >= wanted, within_s=60)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path) as started:
        yield started


@pytest.fixture
def seconds(server: ValkeyServer) -> Iterator[Seconds]:
    made = Seconds(server.url)
    yield made
    made.close()


@pytest.fixture
def start(server: ValkeyServer, tmp_path: Path) -> Iterator[Start]:
    """Starts a scheduler, or a worker, of a backend; it is killed at the end."""
    with ExitStack() as stack:

        def run(backend: str, command: tuple[str, ...]) -> Worker:
            is_ready = (lambda w: READY[command] in w.log) if command in READY else has_logged
            log_path = tmp_path / f"{backend}-{time.monotonic_ns()}.log"
            environment = {"QUEUES_BACKEND": backend, "REDIS_URL": server.url, "QUEUES_PREFIX": ""}
            return stack.enter_context(Worker(command, environment, log_path, is_ready))

        yield run


def worker_of(kind: Kind) -> tuple[str, ...]:
    return tuple(worker_command(kind, "onceq_schedules", concurrency=2))


@pytest.mark.slow
def test_beat_and_periodiq_together_killed_and_started_run_each_second_once(start: Start, seconds: Seconds):
    start("celery", worker_of("celery threads"))
    start("dramatiq", worker_of("dramatiq"))
    beat, second_beat = start("celery", BEAT), start("celery", BEAT)
    periodiq = start("dramatiq", PERIODIQ)

    seconds.grow(3)
    beat.kill()
    seconds.grow(2)
    second_beat.kill()
    periodiq.kill()
    seen = len(seconds.noted)
    stopped = time.time()
    eventually(lambda: time.time() > stopped + 3)
    beat.start()
    periodiq.start()
    seconds.grow(5)
    beat.stop()
    periodiq.stop()
    eventually(lambda: len(seconds.noted) >= seconds.noted[-1] - seconds.noted[0] + 1)
    noted = seconds.noted

    assert noted == list(range(noted[0], noted[-1] + 1))
    assert len(noted) > seen + 3


@pytest.mark.parametrize(("backend", "scheduler"), [("celery", BEAT), ("dramatiq", PERIODIQ)])
def test_a_scheduler_outlives_its_redis_and_misses_nothing(
    start: Start, seconds: Seconds, server: ValkeyServer, backend: str, scheduler: tuple[str, ...]
):
    running = start(backend, scheduler)
    client = redis.Redis.from_url(server.url)
    eventually(lambda: client.zcard("task_ticks"))
    began_ms = client.zscore("task_ticks", "seconds.each_second")

    server.restart()
    eventually(lambda: (client.zscore("task_ticks", "seconds.each_second") or 0) > began_ms + 2_000, within_s=60)
    running.stop()
    last_ms = client.zscore("task_ticks", "seconds.each_second")
    client.close()
    store = RedisStore(server.url)
    submitted = store.unfinished()
    store.close()

    assert submitted == last_ms // 1000 - began_ms // 1000
