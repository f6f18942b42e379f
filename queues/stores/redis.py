"""Records in Redis or Valkey: each operation is one script, atomic and one round trip.

The keys of one record lie in one hash slot. Time is the server's own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import redis
import redis.exceptions

from queues.errors import StoreUnavailableError
from queues.idempotency.in_turn import InTurn
from queues.idempotency.pipeline import Pipeline
from queues.idempotency.standby import NoStandby, Standby
from queues.idempotency.state import Admit, Answer, Look, Operation, Record, replicas_wanted
from queues.idempotency.store import WORKER_SEEN_WITHIN_MS, Due, Filled, WorkerInfo, chosen
from queues.limits.limiter import Limiter
from queues.stores import outcome, scripts
from queues.stores.admission import packed_admission
from queues.stores.bulk import Batch
from queues.stores.connection import ERRORS, Client, Clients, impatient, translated, translation
from queues.stores.redis_letters import RedisLetters
from queues.stores.redis_limiter import RedisLimiter
from queues.stores.redis_pipeline import RedisPipeline
from queues.stores.replication import load, run_replicated
from queues.stores.running import run_many
from queues.stores.scripts import Argument, Call, Keys
from queues.stores.single_server import SingleServer
from queues.stores.standby import standby_for
from queues.stores.stencil import Stencil


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
        if type(operation) is Look and operation.is_ended:
            return outcome.answer(digest, self._run_plain(outcome.command(self.keys, digest)), operation)
        if replicas_wanted(operation):
            return self.apply_many([(digest, operation)])[0]
        reply = self._admitted(digest, operation) if type(operation) is Admit else None
        if reply is None:
            reply = self._run(scripts.call(self.keys, digest, operation, self._now()))
        return scripts.answer(reply)

    def _admitted(self, digest: str, admit: Admit) -> Any:
        """The reply of one server that publishes the message too; None where the operation goes the way of all."""
        if admit.publication is None or not self._is_one_command(admit):
            return None
        return self._reply(packed_admission(self.keys, digest, admit, admit.publication))

    def stencil(self, digest: str, admit: Admit, marks: Sequence[str], sized: int) -> Filled[Answer | None] | None:
        """What carries that operation out once the values are there; None where it takes more than one command."""
        if replicas_wanted(admit) or not self._is_one_command(admit):
            return None
        command = scripts.call(self.keys, digest, admit).command
        filled = Stencil(command, [mark.encode() for mark in marks], sized).filled

        def carried_out(values: Sequence[bytes]) -> Answer | None:
            reply = self._reply(filled(values))
            return None if reply is None else scripts.answer(reply)

        return carried_out

    def _is_one_command(self, admit: Admit) -> bool:
        """Whether it is one script of one server; so it is with most messages."""
        if not admit.is_plain or self._now_ms:
            return False
        try:
            return isinstance(self._client, SingleServer)
        except ERRORS as exc:
            raise translation(exc) from exc

    def _reply(self, command: bytes) -> Any:
        """The reply of the one server; None where it does not know the script."""
        try:
            return self._client.reply(command)
        except redis.exceptions.NoScriptError:
            return None
        except ERRORS as exc:
            raise translation(exc) from exc

    def apply_many(self, requests: Sequence[tuple[str, Operation]]) -> list[Answer]:
        """The answers to several operations, in order, in one round trip."""
        answers: list[Answer] = []
        for answer in self.apply_each(requests):
            if isinstance(answer, StoreUnavailableError):
                raise answer
            answers.append(answer)
        return answers

    def pipeline(self) -> Pipeline:
        """Takes batches; a single server works on one while the next is made."""
        with translated():
            client = self._client
        if isinstance(client, SingleServer):
            return RedisPipeline(client, self.keys, self._now, self)
        return InTurn(self)

    def apply_each(
        self, requests: Sequence[tuple[str, Operation]], within_ms: int | None = None
    ) -> list[Answer | StoreUnavailableError]:
        """As `apply_many`, with an error in the place of an answer that did not come, or not within the time."""
        wanted = max((replicas_wanted(operation) for _, operation in requests), default=0)
        with translated():
            client = self._client if within_ms is None else self._impatient(within_ms)
            batch = Batch(self.keys, requests, self._now(), may_join=not wanted and isinstance(client, redis.Redis))
            run = partial(run_replicated, client, self.keys, wanted=wanted) if wanted else partial(run_many, client)
            answers = batch.answers(run(batch.taken(run(batch.calls))))
        return [translation(answer) if isinstance(answer, Exception) else answer for answer in answers]

    def _replies(self, calls: Sequence[Call]) -> list[Any]:
        with translated():
            replies = run_many(self._client, calls)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def read(self, digest: str) -> Record | None:
        """The record; None if there is none."""
        return scripts.record(digest, self._run(scripts.reading(self.keys, digest, self._now())))

    def read_many(self, digests: Sequence[str]) -> list[Record | None]:
        """The records of several keys, in one round trip."""
        now_ms = self._now()
        replies = self._replies([scripts.reading(self.keys, digest, now_ms) for digest in digests])
        return [scripts.record(digest, reply) for digest, reply in zip(digests, replies, strict=True)]

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
        # Not within `translated`, which costs a microsecond where there is nothing to translate.
        try:
            return self._client.execute_command(*call.command)
        except redis.exceptions.NoScriptError:
            return self._loaded_and_run(call)
        except ERRORS as exc:
            raise translation(exc) from exc

    def _run_plain(self, words: Sequence[Argument]) -> Any:
        try:
            return self._client.execute_command(*words)
        except ERRORS as exc:
            raise translation(exc) from exc

    def _loaded_and_run(self, call: Call) -> Any:
        with translated():
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


def worker_infos(found: Sequence[tuple[bytes, float]]) -> list[WorkerInfo]:
    """The workers that a reply lists."""
    names = [(name.decode(), int(score)) for name, score in found]
    return [WorkerInfo(name, name.partition("@")[0], seen_ms) for name, seen_ms in sorted(names)]
