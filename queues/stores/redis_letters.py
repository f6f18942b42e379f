"""The dead letters of one Redis, read without changing anything: plain reads, which a replica answers too."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from queues.idempotency.key import DIGEST_HEX
from queues.idempotency.letters import Cursor, Letter, Totals
from queues.idempotency.state import State
from queues.stores.connection import Clients, translated
from queues.stores.scripts import SHARDS, Keys

BATCH = 20
"""A letter may be as long as a message: so many are fetched in one round trip."""
FOR_EVER_MS = 2**62


class RedisLetters:
    """Reads the letters of every shard.

    Args:
        now_ms: the clock of a test; None takes the server's.
    """

    def __init__(self, clients: Clients, keys: Keys, now_ms: Callable[[], int] | None = None) -> None:
        self._clients = clients
        self._keys = keys
        self._now_ms = now_ms

    def get(self, message_id: str) -> Letter | None:
        """The letter of that message; None if there is none. An id of another library's making tells no shard."""
        now_ms, found = self._asked(lambda pipe, names: pipe.hget(names[0], message_id))
        letters = [
            _letter(message_id, shard, data) for shard, data in zip(SHARDS, found, strict=True) if data is not None
        ]
        living = [letter for letter in letters if letter.expires_ms > now_ms]
        return max(living, key=lambda letter: letter.failed_ms, default=None)

    def newest(self, limit: int, before: Cursor | None = None) -> list[Letter]:
        """At most `limit` letters, the newest first, of those that are older than `before`."""
        now_ms, cursors = self._cursors(limit, before)
        letters: list[Letter] = []
        for start in range(0, len(cursors), BATCH):
            letters += [letter for letter in self._read(cursors[start : start + BATCH]) if letter.expires_ms > now_ms]
            if len(letters) >= limit:
                break
        return letters[:limit]

    def totals(self) -> Totals:
        """How many there are; one that should be forgotten is counted until its shard gets another."""
        _, kept = self._asked(lambda pipe, names: pipe.zcard(names[1]))
        _, removed = self._asked(lambda pipe, names: pipe.hget(names[2], "removed"))
        return Totals(sum(kept), sum(int(count or 0) for count in removed))

    def _cursors(self, limit: int, before: Cursor | None) -> tuple[int, list[tuple[int, str, str]]]:
        # Of each shard as many as are asked for, and all of the last letter's own millisecond.
        newest: Any = "+inf" if before is None else f"({before[0]}"
        now_ms, found = self._asked(
            lambda pipe, names: pipe.zrevrangebyscore(names[1], newest, "-inf", 0, limit, withscores=True)
        )
        if before is not None:
            at_ms = before[0]
            _, same = self._asked(lambda pipe, names: pipe.zrangebyscore(names[1], at_ms, at_ms, withscores=True))
            found = [[*older, *equal] for older, equal in zip(found, same, strict=True)]
        cursors = [
            (int(failed_ms), member.decode("utf-8", "replace"), shard)
            for shard, members in zip(SHARDS, found, strict=True)
            for member, failed_ms in members
        ]
        return now_ms, sorted((c for c in cursors if before is None or c[:2] < before), reverse=True)

    def _read(self, cursors: Sequence[tuple[int, str, str]]) -> Iterator[Letter]:
        with translated():
            pipe = self._clients.current.pipeline(transaction=False)
            for _, message_id, shard in cursors:
                pipe.hget(self._keys.letters(shard)[0], message_id)
            found: list[Any] = pipe.execute()
        for (_, message_id, shard), data in zip(cursors, found, strict=True):
            if data is not None:
                yield _letter(message_id, shard, data)

    def _asked(self, ask: Callable[[Any, tuple[str, str, str]], object]) -> tuple[int, list[Any]]:
        with translated():
            pipe = self._clients.current.pipeline(transaction=False)
            pipe.time()
            for shard in SHARDS:
                ask(pipe, self._keys.letters(shard))
            (seconds, microseconds), *found = pipe.execute()
        now_ms = self._now_ms() if self._now_ms is not None else int(seconds) * 1000 + int(microseconds) // 1000
        return now_ms, found


def _letter(message_id: str, shard: str, data: bytes) -> Letter:
    try:
        return Letter.decoded(message_id, data)
    except ValueError:
        # Of a newer version perhaps: it is shown, and can be dropped, but not replayed.
        return Letter(message_id, shard.ljust(DIGEST_HEX, "0"), State.UNKNOWN, data, b"", 0, 0, 0, 0, FOR_EVER_MS)
