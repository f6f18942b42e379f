"""A submission of an event loop that is written down before it comes is, to the byte, the one of its parts."""

import asyncio
from typing import Any

import pytest
import redis.exceptions

from queues import Call, Decision, Once, Tasks, connect
from queues.clock import SystemClock
from queues.handle import Access
from queues.idempotency import key as keys
from queues.observer import Observer
from queues.producer import Producer
from queues.stores import redis_async
from queues.stores.memory import MemoryStore
from queues.stores.redis_async import AsyncRedisStore
from queues.stores.single_server_async import AsyncSingleServer
from queues.task import AnyTask

NOBODY = "redis://127.0.0.1:1/0"
ADMITTED = [b"admitted", b"first", b"queued"]


class Line:
    """Keeps the commands that it is sent; its replies are given."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.replies: list[Any] = []

    async def reply(self, data: bytes) -> Any:
        self.commands.append(data)
        reply = self.replies.pop(0) if self.replies else ADMITTED
        if isinstance(reply, Exception):
            raise reply
        return reply


class Shop:
    """A producer of one backend, over a server that is none."""

    def __init__(self, queue: Any, observer: Observer | None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.line = Line()
        server = AsyncSingleServer(host="127.0.0.1", port=1)
        server.line = self.line  # type: ignore[assignment]
        monkeypatch.setattr(redis_async, "connected_async", lambda _: server)
        store, self.clock = AsyncRedisStore(NOBODY), SystemClock()
        access = Access(MemoryStore(), store, self.clock, lambda _: None)
        self.producer = Producer(MemoryStore(), store, queue.backend, self.clock, access, observer)


def _anything(*args: Any, **kwargs: Any) -> None:
    """Takes what comes."""


class Watching(Observer):
    """Looks on."""


@pytest.mark.parametrize("observer", [None, Watching()])
@pytest.mark.parametrize("policy", [{}, {"once": Once(on_duplicate="skip")}, {"priority": 9}], ids=repr)
@pytest.mark.parametrize("backend", ["celery", "dramatiq"])
def test_a_prepared_command_is_the_one_that_is_made_from_its_parts(backend, policy, observer, monkeypatch):
    monkeypatch.setattr(SystemClock, "now_ms", lambda _: 1_700_000_000_000)
    monkeypatch.setattr(keys, "nonce", lambda: "5" * keys.NONCE_HEX)
    task: AnyTask = (tasks := Tasks()).task(name="t", **policy)(_anything)
    call = Call((1, "two"), {"three": 3}, scope="s")
    with connect(tasks, backend=backend, redis_url=NOBODY, broker_url=NOBODY) as queue:
        known = Shop(queue, observer, monkeypatch)
        handle = asyncio.run(known.producer.send_async(task, call))
        unknown = Shop(queue, observer, monkeypatch)
        # The server does not know the script of the prepared one: what goes the way of all is sent next.
        unknown.line.replies = [redis.exceptions.NoScriptError()]
        asyncio.run(unknown.producer.send_async(task, call))

    assert handle.decision is Decision.EXECUTED
    assert len(known.line.commands) == 1
    assert unknown.line.commands == known.line.commands * 2
