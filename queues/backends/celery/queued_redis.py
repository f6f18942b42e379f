"""What waits on Celery's queues in Redis: a list for each priority of each queue."""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import redis
from celery import Celery

from queues.backends.celery.queued import UNREADABLE, read, translated
from queues.message import Message
from queues.queued import Lane, Look, Taken
from queues.tasks import Tasks

PAGE = 500
LOOK_BEHIND = 1_000
"""How far a message may be from where it was seen. Workers only bring it nearer to the end; a long list is not
searched for one that they have taken."""
CLAIM = """
-- Take entries off a list, and note them where Celery's workers note what they hold: they restore it after the
-- visibility timeout. kombu's own way pops first, and loses what it cannot read.
--
-- KEYS     list of the queue, hash of what is held, sorted set of when it was taken
-- ARGV[1]  now in s
-- ARGV[2]  how many entries, from the list's end, to look at
-- ARGV     then for each: the entry, a tag, what is noted under the tag
-- Returns  the tags of those that were still there
local taken = {}
for i = 3, #ARGV, 3 do
  if redis.call('LPOS', KEYS[1], ARGV[i], 'RANK', -1, 'MAXLEN', ARGV[2]) then
    redis.call('LREM', KEYS[1], -1, ARGV[i])
    redis.call('ZADD', KEYS[3], ARGV[1], ARGV[i + 1])
    redis.call('HSET', KEYS[2], ARGV[i + 1], ARGV[i + 2])
    taken[#taken + 1] = ARGV[i + 1]
  end
end
return taken
"""


class RedisQueued:
    """The lists that the app's workers consume; what is not wanted stays in its place."""

    def __init__(self, app: Celery, tasks: Tasks) -> None:
        self._tasks = tasks
        self._connection = app.connection_for_read()
        self._names = sorted({queue.name for queue in app.amqp.queues.values()})
        self._opened: tuple[Any, redis.Redis] | None = None

    @property
    def lanes(self) -> Sequence[Lane]:
        """Every list of every queue, the most urgent first; what is not due yet is in them, too, or with a worker."""
        with translated(self._connection):
            channel, _ = self._open()
            return [
                Lane(f"{channel.global_keyprefix}{channel._q_for_pri(name, step)}", name)
                for name in self._names
                for step in channel.priority_steps
            ]

    def depth_messages(self, lane: Lane) -> int:
        """How many messages wait in a list."""
        with translated(self._connection):
            _, client = self._open()
            return int(client.llen(lane.name))

    def held_messages(self) -> int:
        """How many messages Celery's workers hold: running, prefetched or until their time."""
        with translated(self._connection):
            _, client = self._open()
            # Other programs that share the Redis note their messages in the same hash.
            entries: Any = client.hscan_iter(self._key("unacked_key"), count=PAGE)
            return sum(json.loads(entry)[2] in self._names for _, entry in entries)

    def take(self, lane: Lane, limit: int, passed_over: int, is_wanted: Callable[[Message], bool]) -> Look:
        """The wanted ones of the next messages of a list; its end is what comes next."""
        with translated(self._connection):
            channel, client = self._open()
            entries: Any = client.lrange(lane.name, -(passed_over + limit), -(passed_over + 1))
            wanted: dict[str, Taken] = {}
            arguments: list[Any] = []
            for entry in reversed(entries):
                tag = str(uuid.uuid4())
                taken, noted = self._read(channel, lane, entry, tag)
                if taken.message is not None and is_wanted(taken.message):
                    wanted[tag] = taken
                    arguments += [entry, tag, noted]
            keys = (lane.name, self._key("unacked_key"), self._key("unacked_index_key"))
            others_seen = len(entries) - len(wanted)
            if not wanted:
                return Look([], [], len(entries), others_seen)
            look_at = passed_over + limit + LOOK_BEHIND
            tags: Any = client.eval(CLAIM, len(keys), *keys, time.time(), look_at, *arguments)
            return Look([wanted[tag.decode()] for tag in tags], [], len(entries), others_seen)

    def remove(self, taken: Sequence[Taken]) -> None:
        """Forget that these are held."""
        self._release(taken, is_back=False)

    def give_back(self, taken: Sequence[Taken]) -> None:
        """Put these back where they come next."""
        self._release(taken, is_back=True)

    def close(self) -> None:
        """Close the connection."""
        with translated(self._connection):
            self._connection.release()

    def _release(self, taken: Sequence[Taken], *, is_back: bool) -> None:
        with translated(self._connection):
            _, client = self._open()
            pipe = client.pipeline(transaction=True)
            for each in reversed(taken):
                name, entry, tag = each.native
                pipe.hdel(self._key("unacked_key"), tag)
                pipe.zrem(self._key("unacked_index_key"), tag)
                if is_back:
                    pipe.rpush(name, entry)
            pipe.execute()

    def _read(self, channel: Any, lane: Lane, entry: bytes, tag: str) -> tuple[Taken, str]:
        try:
            raw = json.loads(entry)
            native = channel.message_to_python(raw)
            noted = json.dumps([raw, native.delivery_info["exchange"], native.delivery_info["routing_key"]])
        except (*UNREADABLE, AttributeError):
            return Taken(None, 0, None), ""
        return read(native, self._tasks, (lane.name, entry, tag)), noted

    def _key(self, name: str) -> str:
        channel, _ = self._open()
        return f"{channel.global_keyprefix}{getattr(channel, name)}"

    def _open(self) -> tuple[Any, redis.Redis]:
        if self._opened is None:
            channel: Any = self._connection.channel()
            # kombu's own client puts the app's prefix before the keys of some commands only.
            self._opened = channel, redis.Redis(connection_pool=channel.pool)
        return self._opened
