"""Routing, priorities, pools, and messages that a worker cannot run: the same on both sides."""

from pathlib import Path

import pytest
from celery.exceptions import NotRegistered

from tests.compat.sides import Side
from tests.stage import eventually

WAIT_S = 60


def dead_letters(side: Side) -> int:
    """How many messages of the queue `celery` Dramatiq's broker put aside."""
    broker = side.program.app.amqp.broker
    name = f"{broker.queue_for('celery')}.XQ"
    if side.environment["BROKER_URL"].startswith("redis"):
        return int(broker.client.zcard(f"{broker.namespace}:{name}"))
    return int(broker.channel.queue_declare(name, passive=True).method.message_count)


def test_a_routed_task_waits_for_a_worker_of_its_queue(side: Side, folder: Path) -> None:
    result = side.tasks.routed.delay()

    with side.worker(folder, "-Q", "celery"):
        assert side.tasks.add.delay(1, 1).get(timeout=WAIT_S) == 2
        assert result.state == "PENDING"
    with side.worker(folder, "-Q", "priority-mail,celery"):
        assert result.get(timeout=WAIT_S) == "priority-mail"


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_the_other_pools_run_tasks(side: Side, name: str, folder: Path, pool: str) -> None:
    with side.worker(folder, "-P", pool):
        results = [side.tasks.add.delay(i, 1) for i in range(20)]

        assert [result.get(timeout=WAIT_S) for result in results] == [i + 1 for i in range(20)]
        assert side.tasks.flaky.delay(name, 2).get(timeout=WAIT_S) == 2


def test_an_unknown_task_fails_and_the_worker_goes_on(side: Side, folder: Path) -> None:
    with side.worker(folder) as worker:
        result = side.program.app.send_task("compat_program.nobody_knows_me")

        with pytest.raises(NotRegistered):
            result.get(timeout=WAIT_S)
        assert side.tasks.add.delay(1, 1).get(timeout=WAIT_S) == 2
        assert worker.log.count("Received unregistered task of type 'compat_program.nobody_knows_me'") == 1
        if side.name == "shim":  # Celery's own queues keep no dead letters
            eventually(lambda: dead_letters(side) == 1, within_s=WAIT_S)


def test_messages_of_protocol_1_run(side: Side, folder: Path) -> None:
    side.program.app.conf.task_protocol = 1
    side.program.app.amqp.__dict__.pop("create_task_message", None)
    try:
        with side.worker(folder):
            assert side.tasks.add.delay(20, 1).get(timeout=WAIT_S) == 21
    finally:
        side.program.app.conf.task_protocol = 2
        side.program.app.amqp.__dict__.pop("create_task_message", None)


def test_children_are_replaced_after_their_share(side: Side, folder: Path) -> None:
    with side.worker(folder, "--max-tasks-per-child", "2", concurrency=1):
        pids = [side.tasks.pid.delay().get(timeout=WAIT_S) for _ in range(5)]

    assert len(set(pids)) == 3


def test_a_rate_limit_is_kept(side: Side, name: str, folder: Path) -> None:
    with side.worker(folder):
        side.tasks.limited.delay(f"{name} first").get(timeout=WAIT_S)  # it takes longer than the others
        results = [side.tasks.limited.delay(name) for _ in range(5)]
        for result in results:
            result.get(timeout=WAIT_S)

    times_s = [float(text) for text in side.marks(name)]
    assert times_s[-1] - times_s[0] > 1


def test_a_backlog_is_done_in_the_order_of_priorities(side: Side, name: str, folder: Path) -> None:
    is_redis = side.environment["BROKER_URL"].startswith("redis")
    if side.name == "celery" and not is_redis:
        pytest.skip("Celery's queue has priorities on RabbitMQ only when it was declared so")
    for priority in (9, 3, 6, 0, 9, 3, 6, 0):
        side.tasks.note.apply_async((name, str(priority)), priority=priority)

    with side.worker(folder, "--prefetch-multiplier", "1", concurrency=1):
        eventually(lambda: len(side.marks(name)) == 8, within_s=WAIT_S)

    assert side.marks(name) == sorted("93609360", reverse=not is_redis)


def test_a_broadcast_runs_on_every_worker(side: Side, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if side.environment["BROKER_URL"].startswith("redis"):
        pytest.skip("Celery's producer does not declare the exchange, and kombu drops the message on Redis")
    monkeypatch.setitem(side.environment, "COMPAT_BROADCAST", "yes")
    twin = side.twin()
    with side.worker(folder, concurrency=1), side.worker(folder, concurrency=1):
        twin.tasks.note.apply_async((name,), queue="everywhere")

        eventually(lambda: len(side.marks(name)) == 2, within_s=WAIT_S)
        assert twin.tasks.add.delay(1, 1).get(timeout=WAIT_S) == 2
    twin.close()
