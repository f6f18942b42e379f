"""Dramatiq as a backend: one actor a task, on Redis or on RabbitMQ."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import current_millis, dq_name
from dramatiq.middleware import Middleware, Shutdown, SkipMessage, TimeLimitExceeded

from queues.backend import Elsewhere
from queues.backends.dramatiq.ahead import Ahead
from queues.backends.dramatiq.broker_errors import BROKER_ERRORS
from queues.backends.dramatiq.deliveries import Deliveries, settle
from queues.backends.dramatiq.garbage import GarbageProof
from queues.backends.dramatiq.messages import OWN_OPTIONS, PRIORITY, from_native, payload, to_native
from queues.backends.dramatiq.queued_rabbitmq import RabbitmqQueued
from queues.backends.dramatiq.queued_redis import RedisQueued
from queues.backends.dramatiq.rabbitmq_broker import GarbageProofRabbitmqBroker
from queues.backends.dramatiq.redis_broker import GarbageProofRedisBroker, level_of
from queues.backends.dramatiq.schedules import declare_ticks
from queues.disposition import Disposition, Done
from queues.errors import BrokerUnavailableError, InvalidOptionError, StoreUnavailableError
from queues.executor import Executor
from queues.idempotency.publication import Publication
from queues.idempotency.recovery import Recovery
from queues.message import Message
from queues.outline import Outline, marked
from queues.priority import MAX_PRIORITY
from queues.producer import Producer
from queues.queued import Queued
from queues.redis_url import Topology, is_redis_url, is_same_redis, read
from queues.stores.connection import connected
from queues.task import AnyTask
from queues.tasks import Tasks
from queues.ticker import Ticker

logger = logging.getLogger(__name__)


class DramatiqBackend:
    """Publishes to Dramatiq's queues; `dramatiq module:broker` runs the worker.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `amqp://` of the broker.
        store_url: of the records, to know whether the broker is the same Redis.
        broker: an existing broker, used in place of `url`.

    Raises:
        InvalidOptionError: a URL of another scheme.
    """

    name = "dramatiq"
    failures = (TimeLimitExceeded,)
    app = Elsewhere("celery")

    def __init__(
        self,
        tasks: Tasks,
        url: str,
        *,
        store_url: str,
        stopping: threading.Event,
        broker: dramatiq.Broker | None = None,
    ) -> None:
        self._tasks = tasks
        self._stopping = stopping
        self.broker = broker if broker is not None else make_broker(url)
        self._is_in_store = isinstance(self.broker, RedisBroker) and is_same_redis(url, store_url)
        self._outlines: dict[tuple[str, str, int], Outline] = {}
        self._deliveries = Deliveries(stopping)
        self._ahead: Ahead | None = None
        self.broker.add_middleware(self._deliveries)
        # A middleware that watches what is enqueued would not see what a script pushes.
        self._is_in_store = self._is_in_store and not any(watches_enqueue(m) for m in self.broker.middleware)

    def serve(self, executor: Executor, recovery: Recovery, producer: Producer) -> None:
        """Declare an actor for each task, run by `executor`."""
        del producer  # Dramatiq's own senders are not answered at the producer
        self._deliveries.recover_with(recovery)
        self._deliveries.refuse_with(executor.guard.refuse, self._tasks)
        if isinstance(self.broker, GarbageProof):
            self.broker.refuse_with(executor.guard.refuse)
        if isinstance(self.broker, GarbageProofRedisBroker):
            self._ahead = self.broker.ahead = Ahead(executor, self._tasks)
            self._deliveries.tell(self._ahead)
        declare_ticks(self.broker, self._tasks, Ticker(self._tasks, executor.guard.store))
        for task in self._tasks:
            declare = dramatiq.actor(
                actor_name=task.name,
                queue_name=task.queue,
                broker=self.broker,
                max_retries=0,
                time_limit=float("inf"),
            )
            declare(self._runner(task, executor))

    def _runner(self, task: AnyTask, executor: Executor) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            native = self._deliveries.message
            if native is None:
                return task(*args, **kwargs)
            is_awaited = self._takes_results(native.options)
            try:
                disposition = self._executed(native, task, executor, is_awaited=is_awaited)
            except Shutdown as exc:
                # The executor has put a copy back on the queue.
                raise SkipMessage("the worker shuts down") from exc
            # Its options are what callbacks and groups go by.
            value = settle(disposition, native, is_awaited=is_awaited or not native.options.keys() <= OWN_OPTIONS)
            return value if is_awaited else None

        return run

    def _executed(self, native: MessageProxy, task: AnyTask, executor: Executor, *, is_awaited: bool) -> Disposition:
        taken = self._ahead.take(native) if self._ahead is not None else None
        if taken is None:
            self._settle()
        message, begun = taken or (from_native(native, task), None)
        self._deliveries.take(native)
        if self._ahead is None or is_awaited or message.options:
            return executor.execute(message, begun)
        later = self._ahead.later(native, task)
        if later is not None:
            return executor.execute(message, begun, later)
        begun_ms = executor.guard.clock.monotonic_ms()
        disposition = executor.execute(message, begun)
        if isinstance(disposition, Done) and not disposition.is_replay:
            self._ahead.ran(task, executor.guard.clock.monotonic_ms() - begun_ms)
        return disposition

    def _settle(self) -> None:
        # This one may end the process, as it may have ended others: what has run before it does not run again.
        if isinstance(self.broker, GarbageProofRedisBroker):
            try:
                self.broker.settle()
            except StoreUnavailableError:
                return  # the worker stops; its consumer asks once more

    def _takes_results(self, options: dict[str, Any]) -> bool:
        # Dramatiq warns of every result that nothing in its own pipeline takes.
        for middleware in self.broker.middleware:
            if isinstance(middleware, dramatiq.results.Results):
                return True
        return options.get("pipe_target") is not None

    def publish(self, message: Message, delay_ms: int = 0) -> None:
        """Put the message on its queue, or on its queue of delayed messages."""
        native = to_native(message, self._tasks.get(message.task))
        try:
            self.broker.enqueue(native, delay=delay_ms or None)
        except BROKER_ERRORS as exc:
            msg = f"Dramatiq's broker did not take {message.id}: {type(exc).__name__}: {exc}"
            raise BrokerUnavailableError(msg) from exc

    def publish_many(self, messages: Sequence[tuple[Message, int]]) -> None:
        """Put many on their queues."""
        for message, delay_ms in messages:
            self.publish(message, delay_ms)

    def publication(self, message: Message, delay_ms: int) -> Publication | None:
        """What Dramatiq's own script does to enqueue, where the queue is in the store's Redis."""
        if not self._is_in_store:
            return None
        broker: Any = self.broker
        # Dramatiq takes a new name for every copy of a message; this is the only one that bears its own id.
        entry = message.id
        own: dict[str, Any] = {"redis_message_id": entry}
        queue = message.queue
        if delay_ms:
            queue = dq_name(queue)
            own["eta"] = current_millis() + delay_ms
        list_key = hash_key = f"{broker.namespace}:{queue}"
        level = level_of(queue, {PRIORITY: message.priority}) if isinstance(broker, GarbageProofRedisBroker) else ""
        if level:
            list_key += f":{level}"
        data = payload(message, self._tasks.get(message.task), queue, own)
        return Publication(list_key, entry.encode(), is_left=False, hash_key=f"{hash_key}.msgs", payload=data)

    def outline(self, task: AnyTask) -> Outline | None:
        """How the messages of a task are published, where Dramatiq writes JSON to the store's Redis."""
        if not self._is_in_store or type(dramatiq.get_encoder()) is not dramatiq.JSONEncoder:
            return None
        key = (task.name, task.queue, task.priority)
        outline = self._outlines.get(key)
        if outline is None:
            published = self.publication(marked(task), 0)
            outline = None if published is None else self._outlines.setdefault(key, Outline(published, (), _no_parts))
        return outline

    def is_ours(self, message: Message) -> bool:
        """Whether no other backend's options are in it."""
        return not message.options.keys() - {"dramatiq"}

    def queued(self) -> Queued:
        """What waits on the broker's queues.

        Raises:
            InvalidOptionError: a broker that is neither Dramatiq's for Redis nor that for RabbitMQ.
        """
        if isinstance(self.broker, RedisBroker):
            return RedisQueued(self.broker, self._tasks)
        if isinstance(self.broker, RabbitmqBroker):
            return RabbitmqQueued(self.broker, self._tasks)
        msg = f"the queues of a {type(self.broker).__name__} cannot be looked at"
        raise InvalidOptionError(msg)

    def pause(self, ms: int) -> None:
        """Let `ms` pass, or less when the queue is closed."""
        self._stopping.wait(ms / 1000)

    def close(self) -> None:
        """Close the connections to the broker."""
        self.broker.close()


def make_broker(url: str) -> dramatiq.Broker:
    """A broker for a URL.

    Raises:
        InvalidOptionError: the scheme is neither Redis's nor AMQP's, or it is a cluster.
    """
    scheme = url.partition("://")[0]
    if is_redis_url(url):
        if read(url).topology is Topology.CLUSTER:
            msg = "a cluster can keep the records, not Dramatiq's queues: name another broker with DRAMATIQ_BROKER_URL"
            raise InvalidOptionError(msg)
        return GarbageProofRedisBroker(client=connected(url))
    if scheme in ("amqp", "amqps"):
        return GarbageProofRabbitmqBroker(url=url, confirm_delivery=True, max_priority=MAX_PRIORITY)
    known = "redis://, rediss://, unix://, redis+sentinel://, amqp:// or amqps://"
    msg = f"not a broker's URL ({known}): it begins with {scheme[:16]!r}"
    raise InvalidOptionError(msg)


def watches_enqueue(middleware: Middleware) -> bool:
    """Whether the middleware has a hook for enqueuing of its own."""
    kind = type(middleware)
    return kind.before_enqueue is not Middleware.before_enqueue or kind.after_enqueue is not Middleware.after_enqueue


def _no_parts(*_: object) -> tuple[bytes, ...]:
    # The texts of the arguments are all that the payload has of them.
    return ()
