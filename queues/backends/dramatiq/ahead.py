"""What a worker does for many messages at once: begin those that it has fetched, and store what it has run.

One by one, two round trips a task are most of what a short task costs. Here those that were fetched together are begun
in one, and the outcomes that came together are stored in one, before their messages are acknowledged. A message whose
run has begun waits for its turn in this process as a fetched one does anyway; if the worker dies, it is taken over when
its lease has ended, as all that a dead worker ran.

Only for tasks that were short lately: behind a long one nothing waits with a lease, and no outcome waits to be stored.
Short is what the next message waits for: a run takes longer, the more threads take turns in it, but they take as many
messages in that time.
"""

import logging
import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dramatiq.broker import MessageProxy

from queues.backends.dramatiq.messages import from_native
from queues.errors import (
    InvalidArgumentsError,
    InvalidMessageError,
    QueueError,
    StoreUnavailableError,
    UnencodableError,
)
from queues.executor import Executor, Later
from queues.idempotency.guard import Begun, Ending
from queues.message import Message
from queues.once import REPLACING
from queues.run import Run
from queues.task import AnyTask
from queues.tasks import Tasks

logger = logging.getLogger(__name__)

SHORT_MS = 5.0
"""The mean of the runs of a short task, for each thread."""
NEWEST = 0.2
"""The weight of the last run in that mean."""
REFUSED_PAUSE_MS = 500
"""Before the store is asked again to take an outcome that it refused."""
SHORTEST_LEASE_MS = 1_000
"""A fetched message waits for some short tasks before it; that must be little of its lease."""


@dataclass(frozen=True, slots=True)
class _Held:
    message: Message
    begun: Begun


@dataclass(frozen=True, slots=True)
class _Ended:
    redis_id: str
    ending: Ending


class Ahead:
    """Begins and ends the runs of a worker's messages; its consumers' threads and its workers' threads share it.

    Args:
        tasks: those that may be begun ahead.
    """

    def __init__(self, executor: Executor, tasks: Tasks) -> None:
        self.threads = 1
        """Of the worker."""
        self._executor = executor
        self._tasks = tasks
        self._mean_ms: dict[str, float] = {}
        self._held: dict[str, _Held] = {}
        self._ended: defaultdict[str, deque[_Ended]] = defaultdict(deque)
        self._refused: defaultdict[str, list[_Ended]] = defaultdict(list)
        self._again_ms: dict[str, int] = {}
        self._is_left: set[str] = set()
        self._settling = threading.Lock()

    def fetched(self, natives: Sequence[MessageProxy]) -> None:
        """Begin those of them that may be; what is not known of one is asked at its turn."""
        wanted = self._wanted(natives)
        if len(wanted) < 2:
            return
        try:
            begun = self._executor.guard.begin_many([(message, task.policy) for message, task in wanted.values()])
        except QueueError:
            return  # the store is away, or one of them has no encoding: each is asked for, or refused, at its turn
        for (name, (message, _)), said in zip(wanted.items(), begun, strict=True):
            if isinstance(said, StoreUnavailableError):
                continue
            run = said[1]
            if run is not None and run.lost:
                # What a worker died of may end this one too: it is begun alone, so that no other work is lost with it.
                self._executor.give_back(run)
                continue
            self._held[name] = _Held(message, said)

    def take(self, native: MessageProxy) -> tuple[Message, Begun] | None:
        """The message and its run, begun before; None where it is to be begun now."""
        held = self._held.pop(redis_id(native), None)
        if held is None:
            return None
        run, guard = held.begun[1], self._executor.guard
        if run is not None:
            if not guard.may_start(run, self._tasks.get(held.message.task).policy):
                return None
            run.begun_ms = guard.clock.monotonic_ms()
        return held.message, held.begun

    def later(self, native: MessageProxy, task: AnyTask) -> Later | None:
        """What takes the end of the message's run, to store it with others; None where it is to be stored at once."""
        if not self._is_short(task):
            return None

        def end(ending: Ending) -> None:
            self.ran(task, ending.run_ms)
            self._is_left.add(redis_id(native))
            self._ended[native.queue_name].append(_Ended(redis_id(native), ending))

        return end

    def ran(self, task: AnyTask, run_ms: float) -> None:
        """Remember how long a run of the task took."""
        mean_ms = self._mean_ms.get(task.name, run_ms)
        self._mean_ms[task.name] = mean_ms + NEWEST * (run_ms - mean_ms)

    def is_left(self, native: MessageProxy) -> bool:
        """Whether the message is acknowledged by `settled`, when the end of its run is stored; asked once."""
        try:
            self._is_left.remove(redis_id(native))
        except KeyError:
            return False
        return True

    @property
    def queues(self) -> list[str]:
        """Those in which a run's end was ever left to be stored with others."""
        return list(self._ended)

    def waiting(self, queue: str) -> int:
        """How many ends of that queue's runs are to be stored."""
        return len(self._ended[queue])

    def refused(self, queue: str) -> int:
        """How many ends of that queue's runs the store did not take when it was asked last."""
        return len(self._refused[queue])

    def settled(self, queue: str) -> list[str]:
        """Store the ends of that queue's runs; which messages may be acknowledged.

        What the store does not take, as of a record that somebody spoiled, keeps no other back: it is asked later.

        Raises:
            StoreUnavailableError: the worker is stopping, and the store does not answer.
        """
        # One thread at a time: another returns when all that had ended before its call is stored.
        with self._settling:
            return self._settled(queue)

    def _settled(self, queue: str) -> list[str]:
        waiting = self._ended[queue]
        ended: list[_Ended] = []
        now_ms = self._executor.guard.clock.monotonic_ms()
        try:
            # In here, as Dramatiq may interrupt a worker's thread anywhere.
            ended.extend(waiting.popleft() for _ in range(len(waiting)))
            if self._refused[queue] and now_ms >= self._again_ms[queue]:
                ended += self._refused.pop(queue)
            if not ended:
                return []
            left = {id(ending) for ending in self._executor.guard.end_many([one.ending for one in ended])}
        except BaseException:
            waiting.extendleft(reversed(ended))
            raise
        if left:
            self._refused[queue] += [one for one in ended if id(one.ending) in left]
            self._again_ms[queue] = now_ms + REFUSED_PAUSE_MS
        told = [one for one in ended if id(one.ending) not in left]
        for one in told:
            self._executor.settle(one.ending.run)
        return [one.redis_id for one in told]

    def give_back(self, natives: Iterable[MessageProxy]) -> None:
        """End the runs of messages that go back to their queues."""
        for native in natives:
            self._end_unused(native, self._executor.give_back)

    def passed(self, native: MessageProxy) -> None:
        """End the run of a message that another middleware has skipped or failed, if it was begun."""
        self._end_unused(native, self._executor.pass_over)

    def _end_unused(self, native: MessageProxy, end: Callable[[Run], None]) -> None:
        held = self._held.pop(redis_id(native), None)
        run = held.begun[1] if held is not None else None
        if run is None:
            return
        try:
            end(run)
        except StoreUnavailableError as exc:
            logger.warning("%s goes on when its lease has ended: %s", run.message.id, exc)

    def _wanted(self, natives: Iterable[MessageProxy]) -> dict[str, tuple[Message, AnyTask]]:
        """By its name in Redis, each message that is to be begun, and its task."""
        wanted: dict[str, tuple[Message, AnyTask]] = {}
        for native in natives:
            found = self._readable(native)
            # One that was taken for a dead worker's is on its queue again while it waits here: begun a second time, it
            # would be told that it runs, and its run would be forgotten, and renewed for ever.
            if found is not None and redis_id(native) not in self._held:
                wanted.setdefault(redis_id(native), found)
        return wanted

    def _readable(self, native: MessageProxy) -> tuple[Message, AnyTask] | None:
        """The message and its task; None where it is not to be begun ahead, or cannot be at all."""
        if native.actor_name not in self._tasks or "eta" in native.options:
            return None
        task = self._tasks.get(native.actor_name)
        if not self._is_short(task):
            return None
        try:
            message = from_native(native, task)
        except (InvalidMessageError, InvalidArgumentsError, UnencodableError):
            return None  # refused at its turn
        # What expires must have begun, and not only be about to, by then.
        return None if message.options or message.begin_by_ms else (message, task)

    def _is_short(self, task: AnyTask) -> bool:
        if self._mean_ms.get(task.name, math.inf) >= SHORT_MS * self.threads or task.is_gated:
            return False
        policy = task.policy
        is_plain = not (policy.replicas or policy.lossy or policy.fail_open) and policy.on_duplicate not in REPLACING
        return is_plain and policy.lease_ms >= SHORTEST_LEASE_MS and policy.max_lost >= 1


def redis_id(native: MessageProxy) -> str:
    """The name under which the message's copy is stored in Redis."""
    # Not through the proxy, which takes four times as long: each task's name is asked for some times.
    return str(native._message.options["redis_message_id"])
