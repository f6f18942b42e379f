"""What waits on Dramatiq's queues in Redis."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dramatiq.brokers.redis import MAINTENANCE_SCALE, RedisBroker
from dramatiq.common import current_millis

from queues.backends.dramatiq.broker_errors import translated
from queues.backends.dramatiq.queued import lanes, read
from queues.backends.dramatiq.redis_broker import LEVELS, GarbageProofRedisBroker
from queues.message import Message
from queues.queued import Lane, Look, Taken
from queues.tasks import Tasks

COLON = ":"
"""Stands between a queue's name, which can hold none, and that of one of its lists."""
LOOK_BEHIND = 1_000
"""How far a message may be from where it was seen. Workers only bring it nearer to the head; a long list is not
searched for one that they have taken."""
CLAIM = """
-- Take messages off a queue, and note them where Dramatiq's workers note what they hold: once this process has been
-- silent for a minute, they get them. Dramatiq's own `fetch` takes whatever comes next.
--
-- KEYS     list of the queue, set of what this process holds of it, sorted set of who is alive
-- ARGV[1]  now in ms
-- ARGV[2]  this process's id
-- ARGV[3]  how many entries, from the list's head, to look at
-- ARGV     then the ids of the messages in Redis
-- Returns  the ids of those that were still there
local taken = {}
redis.call('ZADD', KEYS[3], ARGV[1], ARGV[2])
for i = 4, #ARGV do
  if redis.call('LPOS', KEYS[1], ARGV[i], 'MAXLEN', ARGV[3]) then
    redis.call('LREM', KEYS[1], 1, ARGV[i])
    redis.call('SADD', KEYS[2], ARGV[i])
    taken[#taken + 1] = ARGV[i]
  end
end
return taken
"""


class RedisQueued:
    """The lists that the broker's workers consume; what is not wanted stays in its place."""

    def __init__(self, broker: RedisBroker, tasks: Tasks) -> None:
        self._broker: Any = broker
        self._tasks = tasks
        self._restored: set[str] = set()

    @property
    def lanes(self) -> Sequence[Lane]:
        """Every list of every queue that was declared, the most urgent first, and those of delayed messages."""
        levels = LEVELS if isinstance(self._broker, GarbageProofRedisBroker) else ("",)
        return [
            Lane(f"{lane.name}{COLON}{level}" if level else lane.name, lane.queue, lane.is_delayed)
            for lane in lanes(self._broker)
            for level in (("",) if lane.is_delayed else levels)
        ]

    def depth_messages(self, lane: Lane) -> int:
        """How many messages wait in a queue."""
        with translated():
            return int(self._broker.client.llen(self._key(lane)))

    def held_messages(self) -> int:
        """How many messages Dramatiq's workers hold: what was taken off a list keeps its entry until it is acked."""
        with translated():
            pipe = self._broker.client.pipeline(transaction=True)
            lists = self.lanes
            consumed = sorted({_consumed(lane.name) for lane in lists})
            for lane in lists:
                pipe.llen(self._key(lane))
            for name in consumed:
                pipe.hlen(f"{self._broker.namespace}:{name}.msgs")
            counts: list[int] = pipe.execute()
            return max(0, sum(counts[len(lists) :]) - sum(counts[: len(lists)]))

    def take(self, lane: Lane, limit: int, passed_over: int, is_wanted: Callable[[Message], bool]) -> Look:
        """The wanted ones of the next messages of a queue."""
        with translated():
            self._restore(lane)
            client, key, queue = self._broker.client, self._key(lane), _consumed(lane.name)
            name, me = self._broker.namespace, self._broker.broker_id
            ids = client.lrange(key, passed_over, passed_over + limit - 1)
            wanted: dict[bytes, Taken] = {}
            for id_, data in zip(ids, client.hmget(f"{name}:{queue}.msgs", ids) if ids else [], strict=True):
                taken = read(data, self._tasks, id_)
                if taken.message is not None and is_wanted(taken.message):
                    wanted[id_] = replace(taken, native=(lane.name, id_))
            others_seen = len(ids) - len(wanted)
            if not wanted:
                return Look([], [], len(ids), others_seen)
            keys = (key, f"{name}:__acks__.{me}.{queue}", f"{name}:__heartbeats__")
            look_at = passed_over + limit + LOOK_BEHIND
            still = client.eval(CLAIM, len(keys), *keys, current_millis(), me, look_at, *wanted)
            return Look([wanted[id_] for id_ in still], [], len(ids), others_seen)

    def remove(self, taken: Sequence[Taken]) -> None:
        """Ack these."""
        with translated():
            for each in taken:
                name, id_ = each.native
                self._broker.do_ack(_consumed(name), id_)

    def give_back(self, taken: Sequence[Taken]) -> None:
        """Requeue these, behind the rest."""
        with translated():
            for each in taken:
                name, id_ = each.native
                queue, _, level = name.partition(COLON)
                if level:
                    self._broker.do_requeue_at(queue, level, id_)
                else:
                    self._broker.do_requeue(queue, id_)

    def close(self) -> None:
        """Keep the connection: it is the broker's."""

    def _restore(self, lane: Lane) -> None:
        # What dead workers held comes back with Dramatiq's maintenance, which is any worker's; there may be none.
        queue = _consumed(lane.name)
        if queue in self._restored:
            return
        self._restored.add(queue)
        chance, self._broker.maintenance_chance = self._broker.maintenance_chance, MAINTENANCE_SCALE
        try:
            self._broker.do_requeue(queue)
        finally:
            self._broker.maintenance_chance = chance

    def _key(self, lane: Lane) -> str:
        return f"{self._broker.namespace}:{lane.name}"


def _consumed(name: str) -> str:
    """The queue, as Dramatiq's commands name it, of one of its lists."""
    return name.partition(COLON)[0]
