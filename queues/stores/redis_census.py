"""How much unfinished work and how many dead letters a Redis holds, at a cost that does not grow with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from queues.idempotency.state import LIVE, State
from queues.idempotency.store import WORKER_SEEN_WITHIN_MS
from queues.stores.connection import Clients, translated
from queues.stores.redis import worker_infos
from queues.stores.scripts import SHARDS, Keys

READ_PER_SHARD = 8
"""Records that are looked into, of each of the 256 shards: about two thousand."""
UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Census:
    """What there was at one moment.

    Args:
        states: unfinished work by state. Of each shard only what is due next is looked into, which is what runs
            before what is queued; the rest is `unread`. Together they are all the unfinished work.
        overdue: work that should have gone on by now, and that recovery will publish again.
        overdue_ms: since when the oldest of it is.
        lease_ms: for how long the oldest lease that was looked into is held.
        queued_ms: since when the oldest queued work that was looked into waits.
        workers: processes that were seen in the last half minute, by backend.
        dead_letters: that are kept; one that should be forgotten counts until its shard gets another.
    """

    states: Mapping[str, int] = field(default_factory=dict)
    overdue: int = 0
    overdue_ms: int = 0
    lease_ms: int = 0
    queued_ms: int = 0
    workers: Mapping[str, int] = field(default_factory=dict)
    dead_letters: int = 0


class RedisCensus:
    """Counts by the indexes of leases, in three round trips; no KEYS, and no SCAN.

    Args:
        url: as that of the `RedisStore`.
        prefix: as that of the `RedisStore`.

    Raises:
        InvalidOptionError: a URL that cannot be used.
    """

    def __init__(self, url: str, *, prefix: str = "") -> None:
        self._keys = Keys(prefix)
        self._clients = Clients(url)

    def taken(self) -> Census:
        """The numbers as they are now.

        Raises:
            StoreUnavailableError: the server does not answer, or refuses.
        """
        with translated():
            seconds, microseconds = self._clients.current.time()
            now_ms = int(seconds) * 1000 + int(microseconds) // 1000
            total, overdue, next_due, workers, letters = self._counted(now_ms)
            records = self._read([digest for digest, _ in next_due])
        states = {state.value: 0 for state in State if state in LIVE}
        lease_ms = queued_ms = 0
        for state, token, created in records:
            if state in states:
                states[state] += 1
            if state == State.RUNNING:
                lease_ms = max(lease_ms, now_ms - token // 1000)
            elif state == State.QUEUED:
                queued_ms = max(queued_ms, now_ms - created)
        oldest_ms = min((score for _, score in next_due), default=now_ms)
        unread = max(0, total - sum(states.values()))
        late_ms = max(0, now_ms - oldest_ms)
        return Census({**states, UNREAD: unread}, overdue, late_ms, lease_ms, queued_ms, workers, letters)

    def close(self) -> None:
        """Close the connection."""
        self._clients.close()

    def _counted(self, now_ms: int) -> tuple[int, int, list[tuple[str, int]], dict[str, int], int]:
        pipe: Any = self._clients.current.pipeline(transaction=False)
        shards = self._keys.leases()
        for shard in shards:
            pipe.zcard(shard)
            pipe.zcount(shard, "-inf", now_ms)
            pipe.zrange(shard, 0, READ_PER_SHARD - 1, withscores=True)
        pipe.zrangebyscore(self._keys.workers(), f"({now_ms - WORKER_SEEN_WITHIN_MS}", "+inf", withscores=True)
        for shard in SHARDS:
            pipe.zcard(self._keys.letters(shard)[1])
        found: list[Any] = pipe.execute()
        replies, seen, letters = found[: 3 * len(shards)], found[3 * len(shards)], found[3 * len(shards) + 1 :]
        workers: dict[str, int] = {}
        for info in worker_infos(seen):
            workers[info.backend] = workers.get(info.backend, 0) + 1
        next_due = [(member.decode(), int(score)) for pairs in replies[2::3] for member, score in pairs]
        return sum(replies[::3]), sum(replies[1::3]), next_due, workers, sum(letters)

    def _read(self, digests: Sequence[str]) -> list[tuple[str, int, int]]:
        pipe: Any = self._clients.current.pipeline(transaction=False)
        for digest in digests:
            pipe.hmget(self._keys.of(digest)[0], "state", "token", "created")
        found: list[Any] = pipe.execute() if digests else []
        return [(state.decode(), int(token or 0), int(created or 0)) for state, token, created in found if state]
