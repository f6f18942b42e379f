"""Dramatiq's Redis broker, with Celery's priorities, and consumers that share one window of unacknowledged messages."""

import threading
import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any, Self

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import DecodeError
from redis.exceptions import RedisError

from compat.celery.brokers.depth import Depth
from compat.celery.brokers.lost import told_as_closed
from compat.celery.brokers.names import quoted
from compat.celery.brokers.redis_client import client_of
from compat.celery.message import PRIORITY

NAMESPACE = "celery-dramatiq"
"""Stands before every key, so that neither Celery's own queues nor a Dramatiq application's are touched."""
PRIORITY_STEPS = (0, 3, 6, 9)
"""kombu's: on Redis a smaller number goes first, and a message without one is of priority 0."""
HEARTBEAT_TIMEOUT_MS = 30_000
"""After so long without a sign of life, the messages that a worker held go to another."""
HEARTBEAT_S = 5.0
FULL_WAIT_S = 0.05
BELL_WAIT_S = 0.5
FETCH_MESSAGES = 500


class SharedWindowConsumer(_RedisConsumer):
    """Reads one queue; the window says how many messages may be unacknowledged, over all queues together.

    Dramatiq's own consumer polls an idle queue with pauses. This one blocks on a bell that every publisher rings.
    """

    window: Any = None
    """Set by the reader: `take`, `give` and `wait`."""
    redelivers = False
    """A lost connection loses no delivery: what is unacknowledged is this process's until it is silent for long."""
    _beaten_s = 0.0

    def __next__(self) -> MessageProxy | None:
        if not self.message_cache:
            with told_as_closed(RedisError):
                self._fetch()
        return self._decoded(self.message_cache.pop(0)) if self.message_cache else None

    def _fetch(self) -> None:
        taken = self.window.take(FETCH_MESSAGES)
        if not taken:
            # A full window says nothing to Redis; a long task would lose its message to another worker.
            self.beat()
            self.window.wait(FULL_WAIT_S)
            return
        try:
            self.message_cache = self.broker.do_fetch(self.queue_name, taken)
        finally:
            self.window.give(taken - len(self.message_cache))
        if not self.message_cache:
            self.broker.wait_for_bell(self.queue_name, BELL_WAIT_S)

    def _decoded(self, data: bytes) -> MessageProxy | None:
        try:
            message: Any = MessageProxy(dramatiq.Message.decode(data))
        except DecodeError:
            # It stays unacked in Redis, for a person.
            self.logger.exception("A message on %r cannot be read.", self.queue_name)
            self.window.give(1)
            return None
        message.redelivered = data.startswith(b" ")
        message.is_plain = b"__type__" not in data  # nothing in it is to be revived
        return message  # type: ignore[no-any-return]

    def settled(self) -> None:
        """A message of this consumer is no longer unacknowledged."""
        self.window.give(1)

    def beat(self) -> None:
        """Keep what is unacknowledged ours.

        Raises:
            ConnectionClosed: Redis does not answer.
        """
        if time.monotonic() - self._beaten_s < HEARTBEAT_S:
            return
        with told_as_closed(RedisError):
            self.broker.do_heartbeat(self.queue_name)
        self._beaten_s = time.monotonic()

    def ack_all(self, messages: Iterable[MessageProxy]) -> None:
        """Take the messages off the queue, in one round trip."""
        ids = [message.options["redis_message_id"] for message in messages]
        with told_as_closed(RedisError):
            self.broker.do_ack_all(self.queue_name, *ids)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give messages back, to the front of their queue, in the order in which they came."""
        levels: dict[str, list[str]] = {}
        for message in messages:
            levels.setdefault(level_of(message.options), []).append(message.options["redis_message_id"])
        with told_as_closed(RedisError):
            for level, ids in levels.items():
                self.broker.do_give_back(self.queue_name, level, *ids)

    def stop(self) -> None:
        """Give back what was fetched and not handed on."""
        fetched, self.message_cache = self.message_cache, []
        self.requeue(filter(None, map(self._decoded, fetched)))

    def pump(self, wait_s: float) -> None:
        """Keep what is unacknowledged ours, while nothing is read."""
        self.beat()
        time.sleep(wait_s)


class RedisQueues(RedisBroker):
    """Dramatiq's Redis broker in the shim's namespace."""

    def __init__(self, **options: Any) -> None:
        super().__init__(middleware=[], **options)  # type: ignore[no-untyped-call] # dramatiq
        dispatch: Any = self.scripts["dispatch"].script
        self.scripts["dispatch"] = self.client.register_script(_script() + dispatch)
        self._maintained_s: dict[str, float] = {}
        self._maintaining = threading.local()

    @classmethod
    def of(cls, connection: Any) -> Self:
        """The broker on the same Redis as a kombu connection."""
        options = connection.transport_options
        timeout_ms = options.get("heartbeat_timeout_ms", HEARTBEAT_TIMEOUT_MS)
        namespace = f"{options.get('global_keyprefix', '')}{NAMESPACE}"
        return cls(client=client_of(connection), namespace=namespace, heartbeat_timeout=timeout_ms)

    def close(self) -> None:
        """Close the connections, which Dramatiq's own broker leaves to the garbage collector."""
        super().close()
        self.client.close()

    @property
    def consumer_class(self) -> type[SharedWindowConsumer]:
        """What reads a queue."""
        return SharedWindowConsumer

    def queue_for(self, name: str) -> str:
        """Dramatiq's name of a Celery queue."""
        return quoted(name)

    def create(self, queue_name: str) -> None:
        """Have the queue there; Redis needs nothing for it."""
        self.declare_queue(queue_name)

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """Put a message on the list of its priority, in one round trip."""
        entry = dramatiq.message.generate_unique_id()
        message = message.copy(options={"redis_message_id": entry})
        self.emit_before("enqueue", message, delay)
        level = filter(None, [level_of(message.options)])
        self._dispatch("enqueue")(message.queue_name, entry, message.encode(), *level)
        self.emit_after("enqueue", message, delay)
        return message

    def wait_for_bell(self, queue_name: str, wait_s: float) -> None:
        """Return when something was put on the queue, or after `wait_s`."""
        limit_s = self.client.connection_pool.connection_kwargs.get("socket_timeout")
        self.client.blpop([f"{self.namespace}:{queue_name}:bell"], min(wait_s, limit_s / 2 if limit_s else wait_s))

    def purge(self, name: str) -> int:
        """Drop what waits in a Celery queue; returns how many messages."""
        return int(self.do_purge(self.queue_for(name)) or 0)

    def depths(self, names: Sequence[str]) -> list[Depth]:
        """How much is in each of these Celery queues, in one round trip."""
        with self.client.pipeline() as pipe:
            for name in names:
                key = f"{self.namespace}:{self.queue_for(name)}"
                for level in ("", *(f":{step}" for step in PRIORITY_STEPS[1:])):
                    pipe.llen(key + level)
                pipe.hlen(f"{key}.msgs")
            counts: list[int] = pipe.execute()
        width = len(PRIORITY_STEPS) + 1
        return [_depth(counts[start : start + width]) for start in range(0, len(counts), width)]

    def _dispatch(self, command: str) -> Any:
        call = super()._dispatch(command)  # type: ignore[no-untyped-call] # dramatiq

        def dispatch(queue_name: str, *args: Any) -> Any:
            # Dramatiq throws dice, one in a thousand commands; who waits for a dead worker must not wait for luck.
            due_s = self._maintained_s.get(queue_name, 0.0) + self.heartbeat_timeout / 4000
            self._maintaining.is_due = command == "fetch" and time.monotonic() > due_s
            if self._maintaining.is_due:
                self._maintained_s[queue_name] = time.monotonic()
            return call(queue_name, *args)

        return dispatch

    def _should_do_maintenance(self, command: str) -> int:
        return int(self._maintaining.is_due)


def level_of(options: dict[str, Any]) -> str:
    """Which of its queue's lists a message is in; empty for the first."""
    priority = options.get(PRIORITY)
    if not isinstance(priority, int):
        return ""
    step = PRIORITY_STEPS[max(bisect_right(PRIORITY_STEPS, priority) - 1, 0)]
    return str(step) if step else ""


def _depth(counts: list[int]) -> Depth:
    """From the lengths of the lists, and how many messages there are of them all."""
    *lists, messages = counts
    return Depth(sum(lists), max(messages - sum(lists), 0))


@cache
def _script() -> bytes:
    return (resources.files("compat.celery.brokers") / "redis.lua").read_bytes()
