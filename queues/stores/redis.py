"""Records in Redis or Valkey: each operation is one script, atomic and one round trip.

The keys of one record lie in one hash slot. Time is the server's own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis.exceptions

from queues.errors import StoreUnavailableError
from queues.idempotency.standby import NoStandby, Standby
from queues.idempotency.state import Answer, Operation, Record, replicas_wanted
from queues.idempotency.store import WORKER_SEEN_WITHIN_MS, Due, WorkerInfo, chosen
from queues.limits.limiter import Limiter
from queues.stores import scripts
from queues.stores.connection import Client, Clients, impatient, translated, translation
from queues.stores.redis_letters import RedisLetters
from queues.stores.redis_limiter import RedisLimiter
from queues.stores.replication import load, run_replicated
from queues.stores.scripts import Call, Keys
from queues.stores.single_server import SingleServer
from queues.stores.standby import standby_for


class RedisStore:
    """A store in one Redis or Valkey server, a master behind sentinels, or a cluster.

    Its pipelines may be used on each of them, as long as each command's first key names its place.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://`.
        prefix: stands before every key, to keep applications apart.
        client: used in place of `url`; it must not decode responses.
        now_ms: the clock of a test; None takes the server's.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379/0",
        *,
        prefix: str = "",
        client: Client | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self.url = url
        self.keys = Keys(prefix)
        self.standby: Standby = standby_for(url, prefix) if client is None else NoStandby()
        self._given = client
        self._clients = Clients(url, client)
        self._impatient_clients: dict[int, Clients] = {}
        self._now_ms = now_ms
        self.letters = RedisLetters(self._clients, self.keys, now_ms)
        self.limiter: Limiter = RedisLimiter(self.keys, self._replies, self._remove, self._now)

    def apply(self, digest: str, operation: Operation) -> Answer:
        """The answer to one operation, as `machine.apply` states it."""
        if replicas_wanted(operation):
            return self.apply_many([(digest, operation)])[0]
        return scripts.answer(self._run(scripts.call(self.keys, digest, operation, self._now())))

    def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in order, in one round trip."""
        answers: list[Answer] = []
        for answer in self.apply_each(requests):
            if isinstance(answer, StoreUnavailableError):
                raise answer
            answers.append(answer)
        return answers

    def apply_each(
        self, requests: Sequence[tuple[str, Operation]], within_ms: int | None = None
    ) -> list[Answer | StoreUnavailableError]:
        """As `apply_many`, with an error in the place of an answer that did not come, or not within the time."""
        now_ms = self._now()
        calls = [scripts.call(self.keys, digest, operation, now_ms) for digest, operation in requests]
        wanted = max((replicas_wanted(operation) for _, operation in requests), default=0)
        with translated():
            client = self._client if within_ms is None else self._impatient(within_ms)
            replies = run_replicated(client, self.keys, calls, wanted) if wanted else self._run_many(calls, client)
        return [translation(r) if isinstance(r, Exception) else scripts.answer(r) for r in replies]

    def _replies(self, calls: Sequence[Call]) -> list[Any]:
        with translated():
            replies = self._run_many(calls)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def read(self, digest: str) -> Record | None:
        """The record; None if there is none."""
        return scripts.record(self._run(scripts.reading(self.keys, digest, self._now())))

    def read_many(self, digests: Sequence[str]) -> list[Record | None]:
        """The records of several keys, in one round trip."""
        now_ms = self._now()
        replies = self._replies([scripts.reading(self.keys, digest, now_ms) for digest in digests])
        return [scripts.record(reply) for reply in replies]

    def due(self, within_ms: int, limit: int) -> list[Due]:
        """At most `limit` keys whose message anyone may publish within that time."""
        with translated():
            now_ms = self._server_now_ms()
            pipe = self._client.pipeline(transaction=False)
            for key in self.keys.leases():
                pipe.zrangebyscore(key, "-inf", now_ms + within_ms, start=0, num=limit, withscores=True)
            shards = pipe.execute()
        return chosen([Due(digest.decode(), int(at_ms) - now_ms) for shard in shards for digest, at_ms in shard], limit)

    def take_turn(self, name: str, period_ms: int) -> bool:
        """Whether the caller is the first in `period_ms` to ask for the turn of that name."""
        with translated():
            return bool(self._client.set(self.keys.turn(name), "1", nx=True, px=period_ms))

    def ticks(self) -> tuple[Mapping[str, int], int]:
        """The last moment of each schedule that was submitted, and the server's clock."""
        with translated():
            found: Any = self._client.zrange(self.keys.ticks(), 0, -1, withscores=True)
            return {name.decode(): int(score) for name, score in found}, self._server_now_ms()

    def ticked(self, name: str, moment_ms: int) -> None:
        """Remember that the schedule of that name has submitted this moment."""
        with translated():
            self._client.zadd(self.keys.ticks(), {name: moment_ms}, gt=True)

    def unfinished(self) -> int:
        """How many keys have work that is queued, running or waiting."""
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for key in self.keys.leases():
                pipe.zcard(key)
            return int(sum(pipe.execute()))

    def announce(self, worker: str) -> None:
        """Say that a worker lives; it is forgotten `WORKER_SEEN_WITHIN_MS` later."""
        with translated():
            now_ms = self._server_now_ms()
            pipe = self._client.pipeline(transaction=False)
            pipe.zadd(self.keys.workers(), {worker: now_ms})
            pipe.zremrangebyscore(self.keys.workers(), "-inf", now_ms - WORKER_SEEN_WITHIN_MS)
            pipe.execute()

    def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        with translated():
            oldest_ms = self._server_now_ms() - WORKER_SEEN_WITHIN_MS
            found: Any = self._client.zrangebyscore(self.keys.workers(), f"({oldest_ms}", "+inf", withscores=True)
        return worker_infos(found)

    def ping(self) -> None:
        """Return if the server answers."""
        with translated():
            self._client.ping()

    def close(self) -> None:
        """Close the connections."""
        for clients in (self._clients, *self._impatient_clients.values()):
            clients.close()

    @property
    def _client(self) -> Any:
        return self._clients.current

    def _remove(self, key: str, member: str) -> None:
        with translated():
            self._client.zrem(key, member)

    def _now(self) -> int | None:
        return self._now_ms() if self._now_ms is not None else None

    def _server_now_ms(self) -> int:
        if self._now_ms is not None:
            return self._now_ms()
        seconds, microseconds = self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _run(self, call: Call) -> Any:
        with translated():
            try:
                return self._client.execute_command(*call.command)
            except redis.exceptions.NoScriptError:
                load(self._client, [call])
            try:
                return self._client.execute_command(*call.command)
            except redis.exceptions.NoScriptError:
                # Its slot is on its way to a node that did not know the script.
                return self._client.execute_command(*call.whole_command)

    def _impatient(self, within_ms: int) -> Any:
        if within_ms not in self._impatient_clients:
            self._impatient_clients[within_ms] = Clients(self.url, self._given, **impatient(within_ms))
        return self._impatient_clients[within_ms].current

    def _run_many(self, calls: Sequence[Call], client: Any = None) -> list[Any]:
        client = client or self._client
        replies = _pipelined(client, calls)
        missing = _missing(replies)
        if missing:
            load(client, [calls[at] for at in missing])
            replies = _merged(replies, missing, _pipelined(client, [calls[at] for at in missing]))
        for at in _missing(replies):
            replies[at] = client.execute_command(*calls[at].whole_command)
        return replies


def _pipelined(client: Any, calls: Sequence[Call]) -> list[Any]:
    if not calls:
        return []
    if isinstance(client, SingleServer):
        return client.replies([call.command for call in calls])
    pipe = client.pipeline(transaction=False)
    for call in calls:
        pipe.execute_command(*call.command)
    return list(pipe.execute(raise_on_error=False))


def _missing(replies: Sequence[Any]) -> list[int]:
    return [at for at, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]


def _merged(replies: Sequence[Any], places: Sequence[int], newer: Sequence[Any]) -> list[Any]:
    found = dict(zip(places, newer, strict=True))
    return [found.get(at, reply) for at, reply in enumerate(replies)]


def worker_infos(found: Sequence[tuple[bytes, float]]) -> list[WorkerInfo]:
    """The workers that a reply lists."""
    names = [(name.decode(), int(score)) for name, score in found]
    return [WorkerInfo(name, name.partition("@")[0], seen_ms) for name, seen_ms in sorted(names)]
