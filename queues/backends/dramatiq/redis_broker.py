"""Dramatiq's Redis broker, with priorities; its consumers outlive what they cannot read and a lost connection.

Acknowledgements travel together, with the next fetch: one by one they are half of the commands that a worker sends. A
message whose acknowledgement is still to be sent when its worker dies is delivered again, and answered by its outcome.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

import dramatiq
import redis.exceptions
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import compute_backoff, q_name
from dramatiq.errors import ConnectionClosed, DecodeError

from queues.backends.dramatiq.ahead import Ahead
from queues.backends.dramatiq.garbage import GarbageProof
from queues.backends.dramatiq.hooks import KnownHooks
from queues.errors import StoreUnavailableError

HIGH_FROM, NORMAL_FROM = 7, 4
"""Priorities from which a message is in the first list of its queue, and in the second: as Celery's on Redis are."""


LEVELS = ("high", "", "low")
"""The lists of a queue, the most urgent first; the one without a name is Dramatiq's own."""


MOST_ACKS = 256
"""In one command."""
LONGEST_WAIT_S = 0.1
LONGEST_PAUSE_MS = 50
"""Between looks at an empty queue. Dramatiq's own pauses grow to a second, in which what is sent then waits."""
TOGETHER_WITHIN_S = 0.005
"""How long an outcome may wait for others that are stored with it."""


class GarbageProofConsumer(_RedisConsumer):
    """Keeps a dead letter of what it cannot decode, and moves it to the queue's `.XQ`, as Dramatiq does on RabbitMQ.

    Dramatiq's own consumer ends there, and with it the messages that it had fetched in the same step: they stay
    unacked, and undone, as long as the worker lives.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call] # dramatiq
        self._misses = 0
        self._is_wanted = threading.Event()
        """That there is room for more, or that what has ended is to be told."""

    def __next__(self) -> MessageProxy | None:
        if self.message_cache:
            return self._handed(self.message_cache.pop(0))
        try:
            self._is_wanted.clear()
            self.broker.settle(self.queue_name)
            if self._is_refused:
                self._is_woken(LONGEST_WAIT_S)
                return None
            if self._is_busy and (self._is_woken(LONGEST_WAIT_S) or self.outstanding_message_count >= self.prefetch):
                return None
            self.message_cache = self._fetched()
        except (redis.exceptions.RedisError, StoreUnavailableError) as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq
        if self.message_cache:
            self._misses = 0
            return self._handed(self.message_cache.pop(0))
        self._misses, backoff_ms = compute_backoff(self._misses, max_backoff=min(self.timeout, LONGEST_PAUSE_MS))
        self._is_woken(backoff_ms / 1000)
        return None

    def _handed(self, message: MessageProxy) -> MessageProxy:
        self.queued_message_ids.add(message.message_id)
        return message

    def _fetched(self) -> list[MessageProxy]:
        room = self.prefetch - self.outstanding_message_count
        messages: list[MessageProxy] = []
        for data in self.broker.do_fetch(self.queue_name, room):
            try:
                messages.append(MessageProxy(_decoded(data)))
            except DecodeError as exc:
                # What cannot be kept stays unacked in Redis, and comes again when this worker is gone.
                if self.broker.keep(exc.data, self.queue_name, exc.error):
                    self._move_to_dead_letters(exc.data)
        if self.broker.ahead is not None:
            self.broker.ahead.fetched(messages)
        return messages

    def _is_woken(self, longest_s: float) -> bool:
        """Whether there is something to do, before the time is over."""
        is_woken = self._is_wanted.wait(longest_s)
        if self._ends_waiting and self._is_busy:
            # More will end in a moment, and one round trip stores them all.
            self._is_wanted.clear()
            if self._ends_waiting and self._is_busy:
                self._is_wanted.wait(TOGETHER_WITHIN_S)
        return is_woken

    @property
    def _ends_waiting(self) -> int:
        return self.broker.ahead.waiting(self.queue_name) if self.broker.ahead is not None else 0

    @property
    def _is_busy(self) -> bool:
        """Whether the worker's threads have enough in hand."""
        return bool(self.outstanding_message_count > self.prefetch // 2)

    @property
    def _is_refused(self) -> bool:
        """Whether the store takes no outcomes, so that those of more tasks would only be added to those that wait."""
        return self.broker.ahead is not None and self.broker.ahead.refused(self.queue_name) >= self.prefetch

    def ack(self, message: MessageProxy) -> None:
        """Have the message acknowledged with the next fetch; at once, when the worker has no other in hand."""
        if self.broker.ahead is not None and self.broker.ahead.is_left(message):
            self._leave(message)
            return
        self.broker.ended[self.queue_name].append(message.options["redis_message_id"])
        self._leave(message)
        if not self.outstanding_message_count:
            self._send_acks()

    def nack(self, message: MessageProxy) -> None:
        """Move the message to the queue's dead letters."""
        try:
            super().nack(message)  # type: ignore[no-untyped-call] # dramatiq
        finally:
            self._leave(message)

    def close(self) -> None:
        """Acknowledge what is still to be, and give back what nobody was handed."""
        try:
            self.broker.settle(self.queue_name)
        except StoreUnavailableError as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq
        unhanded, self.message_cache = self.message_cache, []
        if unhanded:
            self.requeue(unhanded)
        self._send_acks()

    def _leave(self, message: MessageProxy) -> None:
        self.queued_message_ids.discard(message.message_id)
        if not self._is_busy or self._ends_waiting == 1:
            self._is_wanted.set()

    def _send_acks(self) -> None:
        try:
            while self.broker.ended[self.queue_name]:
                self.broker.do_ack_all(self.queue_name)
        except redis.exceptions.RedisError as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give fetched messages back; Dramatiq's thread ends at an error that is not one of its own."""
        messages = list(messages)
        if self.broker.ahead is not None:
            self.broker.ahead.give_back(messages)
        levels: dict[str, list[MessageProxy]] = {}
        for message in messages:
            levels.setdefault(level_of(self.queue_name, message.options), []).append(message)
        try:
            super().requeue(levels.pop("", []))  # type: ignore[no-untyped-call] # dramatiq
            for level, fetched in levels.items():
                ids = [message.options["redis_message_id"] for message in fetched]
                self.broker.do_requeue_at(self.queue_name, level, *ids)
        except redis.exceptions.RedisError as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq

    def _move_to_dead_letters(self, data: bytes) -> None:
        # A fetch returns the bytes of messages, not the names under which they are stored.
        names = f"{self.broker.namespace}:__acks__.{self.broker.broker_id}.{self.queue_name}"
        try:
            for name in self.broker.client.smembers(names):
                if self.broker.client.hget(f"{self.broker.namespace}:{self.queue_name}.msgs", name) == data:
                    self.broker.do_nack(self.queue_name, name)
        except redis.exceptions.RedisError as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq


class GarbageProofRedisBroker(GarbageProof, KnownHooks, RedisBroker):
    """A Redis broker whose consumers are garbage-proof, and take the messages of a high `broker_priority` first.

    That option is Dramatiq's own, for RabbitMQ: 0 to 9, higher first. A message without it goes between the two.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ahead: Ahead | None = None
        self.ended: defaultdict[str, deque[str]] = defaultdict(deque)
        """By queue, what is to be acknowledged; a consumer that lost its connection leaves it to the next."""
        dispatch: Any = self.scripts["dispatch"].script
        self.scripts["dispatch"] = self.client.register_script(_levels() + dispatch)

    def close(self) -> None:
        """Close the connections, which Dramatiq's own broker leaves to the garbage collector."""
        super().close()
        self.client.connection_pool.disconnect()

    @property
    def consumer_class(self) -> type[GarbageProofConsumer]:
        """What reads a queue."""
        return GarbageProofConsumer

    def do_fetch(self, queue_name: str, count: int) -> Any:
        """The data of at most so many messages; what has ended is acknowledged."""
        return self._acknowledging("fetch", queue_name, count)

    def do_ack_all(self, queue_name: str) -> None:
        """Acknowledge what has ended."""
        self._acknowledging("ack_all", queue_name)

    def settle(self, *queue_names: str) -> None:
        """Have the outcomes stored that wait for it; their messages are acknowledged with the next fetch.

        Args:
            queue_names: none means all.

        Raises:
            StoreUnavailableError: the worker is stopping, and the store does not answer.
        """
        if self.ahead is not None:
            for name in queue_names or self.ahead.queues:
                self.ended[name].extend(self.ahead.settled(name))

    def _acknowledging(self, command: str, queue_name: str, *arguments: Any) -> Any:
        ended = self.ended[queue_name]
        # Other threads append and take meanwhile.
        ids: list[str] = []
        try:
            while len(ids) < MOST_ACKS:
                ids.append(ended.popleft())
        except IndexError:
            pass
        try:
            return self._dispatch(command)(queue_name, *arguments, *ids)  # type: ignore[no-untyped-call] # dramatiq
        except BaseException:
            ended.extend(ids)
            raise

    def do_enqueue(self, queue_name: str, message_id: str, data: bytes) -> None:
        """Put an encoded message on the list of its priority."""
        level = level_of(queue_name, dramatiq.Message.decode(data).options)
        self._dispatch("enqueue")(queue_name, message_id, data, *filter(None, [level]))  # type: ignore[no-untyped-call] # dramatiq


def _decoded(data: bytes) -> dramatiq.Message[Any]:
    """The message that the bytes tell of.

    Raises:
        DecodeError: they tell of none, or of one with an odd part: that one would end the consumer, and with it the
            others of its fetch would stay undone.
    """
    message = dramatiq.Message.decode(data)
    texts = {type(message.queue_name), type(message.actor_name), type(message.message_id)}
    options = message.options
    if texts == {str} and type(message.kwargs) is dict and type(options) is dict and "redis_message_id" in options:
        return message
    msg = "Failed to decode message."
    raise DecodeError(msg, data, TypeError("a part is missing or of another kind"))  # type: ignore[no-untyped-call] # dramatiq


def level_of(queue_name: str, options: dict[str, Any]) -> str:
    """Which of its queue's lists a message is in: `high`, `low`, or, empty, Dramatiq's own."""
    priority = options.get("broker_priority")
    # What is delayed waits in a worker, in the order of its time.
    if not isinstance(priority, int) or queue_name != q_name(queue_name) or NORMAL_FROM <= priority < HIGH_FROM:
        return ""
    return "high" if priority >= HIGH_FROM else "low"


@cache
def _levels() -> bytes:
    return (resources.files("queues.backends.dramatiq") / "levels.lua").read_bytes()
