"""What the observer of a Celery or Dramatiq application of its own is told of submissions."""

import dramatiq
import pytest
from celery import Celery, group
from dramatiq.brokers.redis import RedisBroker

from queues import Observer
from queues.backends.celery import IdempotentTask
from queues.backends.dramatiq import Idempotency
from queues.message import Message

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Submissions(Observer):
    """Keeps the decisions, and gives each message a trace."""

    def __init__(self) -> None:
        self.decisions: list[str] = []

    def carried(self, message: Message) -> dict[str, str]:
        return {"traceparent": PARENT}

    def sent(self, message: Message, decision: str, owner: str) -> None:
        self.decisions.append(str(decision))


@pytest.fixture
def observer() -> Submissions:
    return Submissions()


def test_celerys_plain_and_always_published_messages_are_told(valkey_url: str, key_prefix: str, observer: Submissions):
    app = Celery("observed", broker=valkey_url, backend=valkey_url, set_as_current=False)
    app.conf.update(
        idempotency_prefix=key_prefix,
        idempotency_observer=observer,
        task_default_queue=f"{key_prefix}queue",
    )

    @app.task(base=IdempotentTask, name="observed.add", shared=False)
    def add(a: int) -> int:
        return a

    add.delay(1)
    add.delay(1)
    add.apply_async((2,), link=add.s())
    group(add.s(3), add.s(3)).apply_async()
    with app.connection_for_read() as connection, connection.SimpleQueue(f"{key_prefix}queue") as queue:
        heads = [queue.get(timeout=60).headers["onceq"] for _ in range(4)]

    assert observer.decisions == ["executed", "joined", "published", "published", "published"]
    assert [head["trace"] for head in heads] == [{"traceparent": PARENT}] * 4
    app.close()


def test_dramatiqs_messages_are_told_once_however_they_are_sent(
    valkey_url: str, key_prefix: str, observer: Submissions
):
    broker = RedisBroker(url=valkey_url, namespace=key_prefix)
    broker.add_middleware(Idempotency(valkey_url, prefix=key_prefix, observer=observer))

    @dramatiq.actor(broker=broker)
    def add(a: int) -> int:
        return a

    sent = [add.send(1), add.send_with_options(args=(1,), delay=1000)]
    dramatiq.pipeline([add.message(2), add.message()], broker=broker).run()
    sent.append(broker.enqueue(add.message(3)))
    broker.enqueue(sent[0])  # a copy: it is no submission

    assert observer.decisions == ["published"] * 4
    assert [message.options["onceq"]["trace"] for message in sent] == [{"traceparent": PARENT}] * 3
    broker.close()
