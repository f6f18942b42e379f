"""A backend in one process and one thread, for tests and a first try: the order of runs is always the same."""

import heapq
import itertools
import threading
import time
from collections.abc import Sequence

from queues.backend import Elsewhere
from queues.clock import Clock, SystemClock
from queues.disposition import Disposition, Failed
from queues.errors import TaskNotFoundError
from queues.executor import Executor
from queues.idempotency.envelope import failure_of
from queues.idempotency.publication import Publication
from queues.idempotency.recovery import Recovery
from queues.message import Message
from queues.priority import MAX_PRIORITY


class MemoryBackend:
    """Messages in a heap, run by whoever waits for a result or calls `run_pending`.

    Args:
        clock: says when delayed messages are due; injected by tests.
    """

    name = "memory"
    app = Elsewhere("celery")
    broker = Elsewhere("dramatiq")

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._ready: list[tuple[int, int, Message]] = []
        self._delayed: list[tuple[int, int, Message]] = []
        self._executor: Executor | None = None
        self._recovery: Recovery | None = None

    def serve(self, executor: Executor, recovery: Recovery) -> None:
        """Run messages with `executor`, and recover with `recovery` when idle."""
        self._executor = executor
        self._recovery = recovery

    def publish(self, message: Message, delay_ms: int = 0) -> None:
        """Put the message on its queue."""
        with self._lock:
            order = next(self._order)
            if delay_ms > 0:
                heapq.heappush(self._delayed, (self._clock.now_ms() + delay_ms, order, message))
            else:
                heapq.heappush(self._ready, (MAX_PRIORITY - message.priority, order, message))

    def publish_many(self, messages: Sequence[tuple[Message, int]]) -> None:
        """Put many on their queues."""
        for message, delay_ms in messages:
            self.publish(message, delay_ms)

    def publication(self, message: Message, delay_ms: int) -> Publication | None:
        """None: the queue is not in Redis."""
        return None

    def is_ours(self, message: Message) -> bool:
        """Whether no other backend's options are in it."""
        return not message.options

    def pause(self, ms: int) -> None:
        """Run one message; when none is due, let `ms` pass."""
        if self.run_one() is None:
            time.sleep(ms / 1000)

    def run_pending(self) -> list[Disposition]:
        """Run what is due until nothing is; what came of each run."""
        return list(iter(self.run_one, None))

    def run_one(self) -> Disposition | None:
        """Run the next message; None when none is due."""
        message = self._next()
        if message is None and self._recovery is not None and self._recovery.look():
            message = self._next()
        if message is None or self._executor is None:
            return None
        try:
            return self._executor.execute(message)
        except TaskNotFoundError as exc:
            # Whoever waits for another result must not get this message's error.
            self._executor.guard.refuse(message, exc)
            return Failed(failure_of(exc), exc)

    def depth_messages(self) -> int:
        """How many messages wait, due or not."""
        with self._lock:
            return len(self._ready) + len(self._delayed)

    def close(self) -> None:
        """Keep the messages: the process may connect again."""

    def _next(self) -> Message | None:
        with self._lock:
            now_ms = self._clock.now_ms()
            while self._delayed and self._delayed[0][0] <= now_ms:
                _, order, message = heapq.heappop(self._delayed)
                heapq.heappush(self._ready, (MAX_PRIORITY - message.priority, order, message))
            return heapq.heappop(self._ready)[2] if self._ready else None
