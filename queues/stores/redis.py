"""Records in Redis or Valkey: each operation is one script, atomic and one round trip.

The keys of one record lie in one hash slot. Time is the server's own.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
import redis.exceptions

from queues.errors import InvalidOptionError, StoreUnavailableError
from queues.idempotency.standby import NoStandby, Standby
from queues.idempotency.state import Answer, Operation, Record
from queues.idempotency.store import WORKER_SEEN_WITHIN_MS, WorkerInfo
from queues.limits.limiter import Limiter
from queues.stores import scripts
from queues.stores.redis_limiter import RedisLimiter
from queues.stores.scripts import Call, Keys
from queues.stores.standby import standby_for

TIMEOUT_S = 5.0
"""After this long without a reply a server counts as away; the URL's own `socket_timeout` wins."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn any error of the driver into StoreUnavailableError."""
    try:
        yield
    except (redis.exceptions.RedisError, OSError) as exc:
        msg = f"Redis did not answer: {type(exc).__name__}: {exc}"
        raise StoreUnavailableError(msg) from exc


def check_url(url: str) -> str:
    """The URL, if redis-py can read it.

    Raises:
        InvalidOptionError: another scheme, or a part that is malformed; the text leaves the password out.
    """
    try:
        options = redis.ConnectionPool.from_url(url).connection_kwargs
    except ValueError:
        options = None
    if options is None or options.get("decode_responses"):
        # Nothing of the text is shown, nor the library's own error: a password may stand anywhere in it.
        msg = "not a usable Redis URL: redis://, rediss:// or unix://, without decode_responses, is expected"
        raise InvalidOptionError(msg)
    return url


def connected(url: str) -> redis.Redis:
    """A client for a URL, which connects at its first use.

    Raises:
        InvalidOptionError: as `check_url`.
    """
    return redis.Redis.from_url(check_url(url), socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)


class RedisStore:
    """A store in one Redis or Valkey server.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        prefix: stands before every key, to keep applications apart.
        client: used in place of `url`; it must not decode responses.
        now_ms: the clock of a test; None takes the server's.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379/0",
        *,
        prefix: str = "",
        client: "redis.Redis | None" = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self.url = url
        self.keys = Keys(prefix)
        self.standby: Standby = standby_for(url, prefix) if client is None else NoStandby()
        self._client = (
            client
            if client is not None
            else redis.Redis.from_url(check_url(url), socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        )
        self._now_ms = now_ms
        self.limiter: Limiter = RedisLimiter(self.keys, self._replies, self._remove, self._now)

    def apply(self, digest: str, operation: Operation) -> Answer:
        """The answer to one operation, as `machine.apply` states it."""
        return scripts.answer(self._run(scripts.call(self.keys, digest, operation, self._now())))

    def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in order, in one round trip."""
        now_ms = self._now()
        calls = [scripts.call(self.keys, digest, operation, now_ms) for digest, operation in requests]
        return [scripts.answer(reply) for reply in self._replies(calls)]

    def _replies(self, calls: Sequence[Call]) -> list[Any]:
        if not calls:
            return []
        with translated():
            replies = self._run_many(calls)
            missing = [i for i, r in enumerate(replies) if isinstance(r, redis.exceptions.NoScriptError)]
            if missing:
                self._load()
                for i, reply in zip(missing, self._run_many([calls[i] for i in missing]), strict=True):
                    replies[i] = reply
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def read(self, digest: str) -> Record | None:
        """The record; None if there is none."""
        return scripts.record(self._run(scripts.reading(self.keys, digest, self._now())))

    def overdue(self, limit: int) -> list[str]:
        """Digests of at most `limit` keys whose message anyone may publish again now."""
        with translated():
            now_ms = self._server_now_ms()
            pipe = self._client.pipeline(transaction=False)
            # In another order each time: overdue work that nobody here can do must not hide the rest.
            shards = self.keys.leases()
            random.shuffle(shards)
            for key in shards:
                pipe.zrangebyscore(key, "-inf", now_ms, start=0, num=limit)
            found = [digest.decode() for shard in pipe.execute() for digest in shard]
        return found[:limit]

    def take_turn(self, name: str, period_ms: int) -> bool:
        """Whether the caller is the first in `period_ms` to ask for the turn of that name."""
        with translated():
            return bool(self._client.set(self.keys.turn(name), "1", nx=True, px=period_ms))

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
        self._client.close()

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
        arguments = (call.script.sha1, len(call.keys), *call.keys, *call.arguments)
        with translated():
            try:
                return self._client.execute_command("EVALSHA", *arguments)  # type: ignore[no-untyped-call] # redis-py
            except redis.exceptions.NoScriptError:
                self._load()
                return self._client.execute_command("EVALSHA", *arguments)  # type: ignore[no-untyped-call] # redis-py

    def _run_many(self, calls: Sequence[Call]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for call in calls:
            pipe.execute_command("EVALSHA", call.script.sha1, len(call.keys), *call.keys, *call.arguments)  # type: ignore[no-untyped-call] # redis-py
        return pipe.execute(raise_on_error=False)

    def _load(self) -> None:
        # All of them: a server that knew only some would carry out a pipeline in another order.
        for source in scripts.sources():
            self._client.script_load(source)


def worker_infos(found: Sequence[tuple[bytes, float]]) -> list[WorkerInfo]:
    """The workers that a reply lists."""
    names = [(name.decode(), int(score)) for name, score in found]
    return [WorkerInfo(name, name.partition("@")[0], seen_ms) for name, seen_ms in sorted(names)]
