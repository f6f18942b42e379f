"""The records of one Redis, listed and read without changing anything: for people and their tools.

Unfinished work is found by the indexes of leases, outcomes by SCAN; KEYS is never sent. Only plain reads are used,
so that a read-only user, or a replica, will do.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from queues.idempotency.state import Record, State
from queues.idempotency.store import WORKER_SEEN_WITHIN_MS, WorkerInfo
from queues.stores import scripts
from queues.stores.connection import Clients, masters, translated
from queues.stores.pattern import literal
from queues.stores.redis import worker_infos
from queues.stores.redis_letters import RedisLetters
from queues.stores.redis_waits import RedisWaits
from queues.stores.scripts import FINISHED_FIELDS, LIVE_FIELDS, Keys

BATCH = 200
SCAN_COUNT = 1_000
MAX_SCANNED_KEYS = 1_000_000
"""A scan for outcomes looks at no more keys of the whole database than that."""
MAX_OUTCOME_BYTES = 64 * 1024
"""A longer outcome is not fetched; only its length is told."""
_DIGEST = re.compile(rb"(?:^|\{[0-9a-f]{2}\}:)([0-9a-f]{40})$")
REPLIES = 6
"""Of one record, as `_ask` asks for it."""
_OUTCOME = FINISHED_FIELDS.index("outcome")
_SHORT_FIELDS = tuple(name for name in FINISHED_FIELDS if name != "outcome")


@dataclass(frozen=True, slots=True)
class Found:
    """A record as it was read.

    Args:
        record: its `outcome` is empty when it is longer than `MAX_OUTCOME_BYTES`.
        outcome_bytes: how long the outcome is.
        now_ms: the server's clock when it was read.
        problem: why what lies there is no record; its state is UNKNOWN then. Empty when it is one.
    """

    digest: str
    record: Record
    outcome_bytes: int
    now_ms: int
    problem: str = ""


class RedisListing:
    """Lists and reads the records under one prefix.

    Every method raises StoreUnavailableError when the server does not answer, or refuses the command.

    Args:
        url: as that of the `RedisStore`.
        prefix: as that of the `RedisStore`.
        max_scanned_keys: where a scan for outcomes ends.

    Raises:
        InvalidOptionError: a URL that cannot be used.
    """

    def __init__(self, url: str, *, prefix: str = "", max_scanned_keys: int = MAX_SCANNED_KEYS) -> None:
        self.keys = Keys(prefix)
        self.is_cut = False
        """Whether a scan ended at `max_scanned_keys`, and there may be more."""
        self._prefix = prefix
        self._max_scanned_keys = max_scanned_keys
        self._clients = Clients(url)
        self.letters = RedisLetters(self._clients, self.keys)
        self.waits = RedisWaits(self._clients, self.keys)

    def now_ms(self) -> int:
        """The server's clock, in ms since the Unix epoch."""
        with translated():
            seconds, microseconds = self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def live(self) -> Iterator[tuple[str, int]]:
        """The digest of each unfinished work, and from when its message may be published again (ms)."""
        cursors = dict.fromkeys(self.keys.leases(), 0)
        seen: set[bytes] = set()
        while cursors:
            with translated():
                pipe = self._client.pipeline(transaction=False)
                for key, cursor in cursors.items():
                    pipe.zscan(key, cursor, count=BATCH)
                replies: list[tuple[int, list[tuple[bytes, float]]]] = pipe.execute()
            # One that changes its place while the index is read may be shown twice by Redis.
            members = [pair for _, pairs in replies for pair in pairs if pair[0] not in seen and _DIGEST.match(pair[0])]
            seen.update(member for member, _ in members)
            yield from ((member.decode(), int(score)) for member, score in members)
            cursors = {key: int(reply[0]) for key, reply in zip(cursors, replies, strict=True) if int(reply[0])}

    def finished(self) -> Iterator[str]:
        """The digest of each outcome, in no order; ends after `max_scanned_keys` keys of the database."""
        return self._scanned("task_result")

    def locks(self) -> Iterator[str]:
        """The digest of each unfinished work, by its lock and not by the index; else as `finished`."""
        return self._scanned("task_lock")

    def _scanned(self, name: str) -> Iterator[str]:
        pattern = f"{literal(self._prefix)}{name}:{{??}}:*"
        seen: set[bytes] = set()
        scanned_keys = 0
        for keys in self._scanned_keys(pattern):
            if scanned_keys >= self._max_scanned_keys:
                self.is_cut = True
                return
            digests = [found[1] for key in keys if (found := _DIGEST.search(key)) and found[1] not in seen]
            seen.update(digests)
            yield from (digest.decode() for digest in digests)
            scanned_keys += SCAN_COUNT

    def _scanned_keys(self, pattern: str) -> Iterator[list[bytes]]:
        with translated():
            servers = masters(self._client)
        for server in servers:
            cursor, is_begun = 0, False
            while cursor or not is_begun:
                with translated():
                    reply: Any = server.scan(cursor, match=pattern, count=SCAN_COUNT)
                cursor, is_begun = int(reply[0]), True
                yield reply[1]

    def read(self, digest: str) -> Found | None:
        """The record; None if there is none."""
        return next(iter(self.read_many([digest])), None)

    def read_many(self, digests: Sequence[str]) -> list[Found]:
        """The records of these digests that there are, in few round trips; `BATCH` at a time is a good number."""
        if not digests:
            return []
        with translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.time()
            for digest in digests:
                self._ask(pipe, digest)
            (seconds, microseconds), *replies = pipe.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception) and not str(reply).startswith("WRONGTYPE"):
                    raise reply
        now_ms = int(seconds) * 1000 + int(microseconds) // 1000
        starts = range(0, len(replies), REPLIES)
        read = [_found(d, replies[i : i + REPLIES], now_ms) for d, i in zip(digests, starts, strict=True)]
        return self._with_outcomes([found for found in read if found is not None])

    def field(self, name: str, digests: Sequence[str]) -> list[str]:
        """One field of each of these digests' records, without the rest of them; empty for one that is gone."""
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for digest in digests:
                lock, result, _ = self.keys.of(digest)
                pipe.hget(lock, name)
                pipe.hget(result, name)
            replies = pipe.execute(raise_on_error=False)
        chosen = [live or finished for live, finished in zip(replies[::2], replies[1::2], strict=True)]
        return [value.decode("utf-8", "replace") if isinstance(value, bytes) else "" for value in chosen]

    def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        oldest_ms = self.now_ms() - WORKER_SEEN_WITHIN_MS
        with translated():
            found: Any = self._client.zrangebyscore(self.keys.workers(), f"({oldest_ms}", "+inf", withscores=True)
        return worker_infos(found)

    def has_index_entry(self, digests: Sequence[str]) -> list[bool]:
        """Whether recovery would see each of these."""
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for digest in digests:
                pipe.zscore(self.keys.of(digest)[2], digest)
            return [score is not None for score in pipe.execute()]

    def close(self) -> None:
        """Close the connections."""
        self._clients.close()

    @property
    def _client(self) -> Any:
        return self._clients.current

    def _ask(self, pipe: Any, digest: str) -> None:
        # The lock before the result: work that ends in between is then seen in the one or in the other.
        lock, result, leases = self.keys.of(digest)
        pipe.hmget(lock, LIVE_FIELDS)
        pipe.zscore(leases, digest)
        pipe.pttl(lock)
        pipe.hmget(result, _SHORT_FIELDS)
        pipe.pttl(result)
        pipe.hstrlen(result, "outcome")

    def _with_outcomes(self, found: list[Found]) -> list[Found]:
        with translated():
            pipe = self._client.pipeline(transaction=False)
            asked = [f.digest for f in found if 0 < f.outcome_bytes <= MAX_OUTCOME_BYTES and not f.record.outcome]
            for digest in asked:
                pipe.hget(self.keys.of(digest)[1], "outcome")
            outcomes = dict(zip(asked, pipe.execute() if asked else [], strict=True))
        return [_with_outcome(f, outcomes.get(f.digest) or f.record.outcome) for f in found]


def _found(digest: str, replies: Sequence[Any], now_ms: int) -> Found | None:
    *reply, outcome_bytes = replies
    try:
        for part in replies:
            if isinstance(part, Exception):
                raise ValueError(str(part))  # noqa: TRY301, TRY004 - as any other thing that is no record
        short = reply[3]
        # Where there is one, it is fetched later.
        finished = [*short[:_OUTCOME], b"" if outcome_bytes else None, *short[_OUTCOME:]]
        record = scripts.record(digest, [now_ms, reply[0], reply[1] or b"0", reply[2], finished, reply[4]])
    except ValueError as exc:
        return Found(digest, Record(State.UNKNOWN, "", ""), 0, now_ms, f"no record of this library: {exc}")
    if record is None:
        return None
    return Found(digest, record, 0 if record.state.is_live else int(outcome_bytes) or len(record.outcome), now_ms)


def _with_outcome(found: Found, outcome: bytes) -> Found:
    return replace(found, record=replace(found.record, outcome=outcome))
