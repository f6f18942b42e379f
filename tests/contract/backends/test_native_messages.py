"""What other producers put on the queues: the task system's own messages, and garbage."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import dramatiq
import pika
import pytest
from dramatiq.brokers.redis import RedisBroker

from queues import Decision
from queues.message import Message
from tests.stage import Stage, eventually
from tests.workers import PROGRAMS

INCOMPLETE = {"v": "1", "key": "ab" * 20}
WRONG_TYPES = {"v": "1", "key": 5, "fingerprint": None, "retries": "x", "priority": [], "created": {}}
BAD_HEADERS: tuple[Any, ...] = ("nonsense", 7, {}, [], INCOMPLETE, WRONG_TYPES)
BAD_ARGUMENTS: tuple[tuple[Any, ...], ...] = ((), (1, 2, 3), ({"__onceq__": ["uuid", "x"]}, 1), ({"__onceq__": 5}, 1))


def native_send(stage: Stage, task: str, *args: Any) -> str:
    """Send as a program would that knows the task system only; the message's id."""
    if stage.backend == "celery":
        return str(stage.queue.backend.app.tasks[task].delay(*args).id)
    return str(stage.queue.backend.broker.get_actor(task).send(*args).message_id)


def put(stage: Stage, message_id: str, task: str, args: tuple[Any, ...], head: Any = None) -> None:
    """Put any message on the queue, past every check of this library."""
    if stage.backend == "memory":
        stage.queue.backend.publish(Message(message_id, task, "fast", "ab" * 20, args))
    elif stage.backend == "celery":
        headers = {} if head is None else {"onceq": head}
        stage.queue.backend.app.send_task(task, args, task_id=message_id, headers=headers, queue="fast")
    else:
        options = {} if head is None else {"onceq": head}
        native = dramatiq.Message("fast", task, args, {}, options, message_id=message_id)
        stage.queue.backend.broker.enqueue(native)


def put_truncated(stage: Stage, message_id: str) -> None:
    """Put a message on the queue whose body ends too early."""
    backend, truncated = stage.queue.backend, f'{{"queue_name": "{message_id}'.encode()
    if stage.backend == "celery":
        with backend.app.producer_or_acquire() as producer:
            producer.publish(
                f'[["{message_id}", ',
                content_type="application/json",
                content_encoding="utf-8",
                exchange="",
                routing_key="fast",
                headers={"task": "program.echo", "id": message_id, "lang": "py"},
            )
    elif isinstance(backend.broker, RedisBroker):
        stage.ledger.hset("dramatiq:fast.msgs", message_id, truncated)
        stage.ledger.rpush("dramatiq:fast", message_id)
    else:
        with pika.BlockingConnection(pika.URLParameters(stage.broker_url)) as connection:
            connection.channel().basic_publish("", "fast", truncated)


def assert_worker_goes_on(stage: Stage, name: str, times_seen: Callable[[], list[int]]) -> None:
    """Assert that work behind the garbage is done, and that the garbage is not delivered again and again."""
    assert stage.program.echo.send(f"{name}-behind", 1).result() == 1
    eventually(lambda: all(times_seen()))
    eventually(lambda: is_settled(stage, name, times_seen))
    assert stage.running is None or stage.running.is_alive


def is_settled(stage: Stage, name: str, times_seen: Callable[[], list[int]]) -> bool:
    """Whether nothing more was said while a delayed task ran; what loops never settles."""
    seen = times_seen()
    stage.program.echo.send_with_options((f"{name}-{uuid.uuid4()}", 1), delay=0.7).result()
    return times_seen() == seen


def times_logged(stage: Stage, *texts: str) -> Callable[[], list[int]]:
    """How often the worker's log speaks of each text; nothing where there is no log."""
    return lambda: [] if stage.running is None else [stage.running.log.count(text) for text in texts]


def test_the_task_systems_own_send_is_guarded(stage: Stage, name: str):
    if stage.backend == "memory":
        pytest.skip("there is no task system")

    native_send(stage, "program.echo", name, 3)
    native_send(stage, "program.echo", name, 3)
    eventually(lambda: stage.program.echo.send(name, 3).decision is Decision.REPLAYED)

    assert stage.program.echo.send(name, 3).result() == 3
    assert stage.effects(name) == ["ran"]


def test_a_native_send_joins_ours(stage: Stage, name: str):
    if stage.backend == "memory":
        pytest.skip("there is no task system")

    ours = stage.program.steps.send(name, 3, 0.1)
    native_send(stage, "program.steps", name, 3, 0.1)

    assert ours.result() == f"{name}: 3 steps"
    assert stage.effects(name).count("done") == 1


def test_celery_apps_own_send_returns_the_handles_id(stage: Stage, name: str):
    if stage.backend != "celery":
        pytest.skip("Dramatiq's send makes an id of its own")
    first = stage.queue.backend.app.tasks["program.echo"].delay(name, Decimal("0.10"))
    second = stage.queue.backend.app.tasks["program.echo"].delay(name, value=Decimal("0.10"))

    assert first.id == second.id
    assert stage.queue.handle(first.id).result() == Decimal("0.10")
    assert stage.effects(name) == ["ran"]


def test_celerys_command_line_sends_guarded_messages(stage: Stage, name: str):
    if stage.backend != "celery":
        pytest.skip("Dramatiq has no command that sends")
    command = [sys.executable, "-m", "celery", "-A", "onceq_celery", "call", "program.echo", "-a", f'["{name}", 9]']
    environment = {**os.environ, **stage.environment, "PYTHONPATH": str(PROGRAMS)}

    for _ in range(2):
        subprocess.run(command, cwd=PROGRAMS, env=environment, check=True, capture_output=True, timeout=240)
    eventually(lambda: stage.program.echo.send(name, 9).decision is Decision.REPLAYED)

    assert stage.program.echo.send(name, 9).result() == 9
    assert stage.effects(name) == ["ran"]


def test_messages_with_bad_headers_are_refused_once(stage: Stage, name: str):
    if stage.backend == "memory":
        pytest.skip("a message in memory has no header")
    message_ids = [str(uuid.uuid4()) for _ in BAD_HEADERS]

    for message_id, head in zip(message_ids, BAD_HEADERS, strict=True):
        put(stage, message_id, "program.echo", (name, 1), head)

    assert_worker_goes_on(stage, name, times_logged(stage, *message_ids))
    assert stage.effects(name) == []


def test_messages_with_arguments_that_do_not_fit_are_refused_once(stage: Stage, name: str):
    message_ids = [str(uuid.uuid4()) for _ in BAD_ARGUMENTS]

    for message_id, args in zip(message_ids, BAD_ARGUMENTS, strict=True):
        put(stage, message_id, "program.echo", args)

    assert_worker_goes_on(stage, name, times_logged(stage, *message_ids))


def test_a_message_for_an_unknown_task_does_not_stop_the_worker(stage: Stage, name: str):
    message_id = str(uuid.uuid4())

    put(stage, message_id, f"program.nothing_{name}", (name,))

    assert_worker_goes_on(stage, name, times_logged(stage, f"nothing_{name}"))


def test_a_truncated_message_does_not_stop_the_worker(stage: Stage, name: str):
    if stage.backend == "memory":
        pytest.skip("a message in memory has no bytes")

    put_truncated(stage, str(uuid.uuid4()))

    assert_worker_goes_on(stage, name, list)


def test_celerys_own_options_keep_the_guard_and_the_queue(stage: Stage, name: str):
    if stage.backend != "celery":
        pytest.skip("Dramatiq's options are tested with its middleware")
    task = stage.queue.backend.app.tasks["program.echo"]

    for _ in range(2):
        task.apply_async((name, 5), expires=60)
    eventually(lambda: stage.program.echo.send(name, 5).decision is Decision.REPLAYED)

    assert stage.program.echo.send(name, 5).result() == 5
    assert stage.effects(name) == ["ran"]
