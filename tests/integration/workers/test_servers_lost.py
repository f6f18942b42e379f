"""Redis, and the way to the broker, that go away in the middle of a task and come back."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from queues import Handle, Once
from queues.clock import SystemClock
from queues.idempotency.guard import Guard
from queues.message import Message
from queues.stores.redis import RedisStore
from tests.integration.workers.conftest import Begin, StageOf
from tests.proxy import Proxy
from tests.servers import ValkeyServer
from tests.stage import LEASE_S, Stage, eventually
from tests.workers import Worker

PATIENCE_S = 60.0

LONG_LEASE_S = 15.0
"""Longer than a server takes to start, also on a busy machine."""


def supervised(worker: Worker, handle: Handle) -> Any:
    """The result, with a supervisor that starts the worker again when it has ended.

    kombu 5.7 ends a Celery worker whose Redis goes away while it holds a message.
    """
    worker.keep_running(lambda: handle.status().is_final, PATIENCE_S)
    return handle.result(timeout=0)


def tokens_of(stage: Stage, name: str, text: str) -> list[int]:
    return [token for mark, _, token, _ in stage.marks(name) if mark == text]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["celery", "celery threads", "dramatiq"])
@pytest.mark.parametrize(
    ("away_s", "lease_s"),
    [(0.3, LONG_LEASE_S), (LEASE_S * 1.5, LEASE_S)],
    ids=["shorter than a lease", "longer than a lease"],
)
def test_a_redis_that_comes_back_with_its_data_costs_no_outcome(stage_of, begin, tmp_path, name, kind, away_s, lease_s):
    with ValkeyServer(tmp_path / "valkey", fsync="always") as server:
        stage = stage_of(kind, redis_url=server.url)
        worker = begin(stage, kind, environment={"PROGRAM_LEASE_S": str(lease_s)})
        handle = stage.program.spins.send(name, LEASE_S + 1.5)
        eventually(lambda: stage.effects(name))

        server.kill()
        time.sleep(away_s)  # what is tested is time that passes without a server
        server.start()
        result = supervised(worker, handle)
        after = supervised(worker, stage.program.echo.send(f"{name}-after", 1))

        assert (result, after) == (name, 1)
        done = tokens_of(stage, name, "done")
        assert done == [handle.status().token]
        assert len(tokens_of(stage, name, "began")) == (1 if away_s < lease_s else 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["celery", "celery threads", "dramatiq"])
def test_connections_that_redis_closes_are_made_again(stage_of: StageOf, begin: Begin, name: str, kind):
    stage = stage_of(kind)
    begin(stage, kind)
    handle = stage.program.spins.send(name, 2.0)
    eventually(lambda: stage.effects(name))

    for _ in range(3):
        stage.ledger.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    result = handle.result(timeout=PATIENCE_S)
    after = stage.program.echo.send(f"{name}-after", 1).result(timeout=PATIENCE_S)

    assert (result, after) == (name, 1)
    assert stage.effects(name) == ["began", "done"]


@pytest.mark.slow
@pytest.mark.rabbitmq
@pytest.mark.parametrize("kind", ["celery", "dramatiq"])
def test_a_rabbitmq_that_is_cut_off_and_comes_back_costs_no_second_effect(stage_of, begin, name: str, kind):
    stage = stage_of(kind, "rabbitmq")
    port = urlsplit(stage.broker_url).port
    with Proxy(port) as proxy:
        stage.broker_url = stage.broker_url.replace(f":{port}/", f":{proxy.port}/")
        begin(stage, kind)
        handle = stage.program.spins.send(name, 2.0)
        eventually(lambda: stage.effects(name))

        proxy.cut()
        result = handle.result(timeout=PATIENCE_S)
        proxy.mend()
        after = stage.program.echo.send(f"{name}-after", 1).result(timeout=PATIENCE_S)

        # RabbitMQ delivers the unacked message again, to be answered from the record.
        assert (result, after) == (name, 1)
        assert stage.effects(name) == ["began", "done"]


def test_a_task_stops_before_its_lease_ends_while_a_server_is_silent(tmp_path: Path):
    lease_ms = 3_000
    with ValkeyServer(tmp_path / "valkey", fsync=None) as server:
        store, clock = RedisStore(server.url), SystemClock()
        message = Message("m-1", "program.spins", "slow", "ab" * 20)
        begun_ms = clock.monotonic_ms()
        guard, policy = Guard(store, clock, threading.Event()), Once(lease=lease_ms / 1000)
        answer, run = guard.begin(message, policy)
        assert run is not None, answer

        os.kill(server.pid, signal.SIGSTOP)
        eventually(lambda: run.is_lost)
        stopped_ms = clock.monotonic_ms()
        os.kill(server.pid, signal.SIGCONT)
        guard.release(run, policy)  # else its lease would be renewed as long as this process lives
        store.close()

    assert stopped_ms - begun_ms < lease_ms
