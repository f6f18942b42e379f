"""What the store itself wrote down: the story of each key, read from Valkey's append-only file.

Every effect of a script stands there, in the order in which the store carried it out and with the times of the
store's own clock. It is another witness than the processes whose runs are judged.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from queues.stores.scripts import NOTHING

LOCK, RESULT = b"task_lock:{", b"task_result:{"
COUNT, LENGTH = 0x2A, 0x24  # * and $


@dataclass(slots=True)
class Lease:
    """One right to run that the store gave.

    Args:
        owner: id of the message that was given it.
        begun_ms, until_ms: on the store's clock; the end as it was last renewed.
        is_ended: the run ended it before another began: with an outcome, or put off.
        renewed_ms: when the store last renewed it; 0 for never.
    """

    token: int
    owner: str
    begun_ms: int
    until_ms: int
    is_ended: bool = False
    renewed_ms: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """One outcome that was written."""

    state: str
    token: int
    outcome: bytes
    finished_ms: int


@dataclass(slots=True)
class Story:
    """All that happened to one key, in order.

    Args:
        second_leases: leases that were given while the one before was live, as pairs.
        leases_after_outcome: leases that were given though a completion was stored.
    """

    digest: str
    owner: str = ""
    message: bytes = b""
    leases: list[Lease] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    second_leases: list[tuple[Lease, Lease]] = field(default_factory=list)
    leases_after_outcome: list[Lease] = field(default_factory=list)
    admissions: int = 0
    helps: int = 0

    @property
    def is_final(self) -> bool:
        """Whether an outcome is stored."""
        return bool(self.stored)

    def take_lock(self, fields: dict[bytes, bytes], lease_ms: int) -> None:
        """The store wrote these fields of the key's live record."""
        state = fields.get(b"state", b"")
        if b"owner" in fields:
            self.owner = fields[b"owner"].decode()
        if b"message" in fields:
            self.message = fields[b"message"]
        if b"helps" in fields:
            self.helps += 1
        if state == b"running":
            self._take_lease(fields, lease_ms)
        elif state:
            self.admissions += state == b"queued"
            self._end_lease()
        elif b"until" in fields and self.leases:
            self.leases[-1].until_ms = int(fields[b"until"])
            self.leases[-1].renewed_ms = self.leases[-1].until_ms - lease_ms

    def take_result(self, fields: dict[bytes, bytes]) -> None:
        """The store wrote these fields of the key's outcome; what not every outcome has is written after the rest."""
        if b"state" not in fields:
            return
        token = int(fields[b"token"])
        # A completion is stored in few bytes, as short.lua tells.
        finished_ms = token // 1000 + int(fields[b"ran"]) if b"ran" in fields else int(fields[b"finished"])
        self.stored.append(Stored(fields[b"state"].decode(), token, fields.get(b"outcome", NOTHING), finished_ms))
        self._end_lease()

    def _take_lease(self, fields: dict[bytes, bytes], lease_ms: int) -> None:
        until_ms = int(fields[b"until"])
        lease = Lease(int(fields[b"token"]), fields[b"owner"].decode(), until_ms - lease_ms, until_ms)
        last = self.leases[-1] if self.leases else None
        if last is not None and not last.is_ended and last.until_ms > lease.begun_ms:
            self.second_leases.append((last, lease))
        if any(stored.state == "completed" for stored in self.stored):
            self.leases_after_outcome.append(lease)
        self.leases.append(lease)

    def _end_lease(self) -> None:
        if self.leases:
            self.leases[-1].is_ended = True


def read(data_dir: Path, lease_ms: int) -> dict[str, Story]:
    """The stories by digest.

    Args:
        data_dir: of a Valkey that never rewrote its file, and that does not run any more.
        lease_ms: of every task.
    """
    stories: dict[str, Story] = {}
    for path in sorted((data_dir / "appendonlydir").glob("*.incr.aof"), key=lambda p: int(p.name.split(".")[-3])):
        for key, fields in _writes(path):
            digest = key.rpartition(b":")[2].decode()
            story = stories.get(digest) or stories.setdefault(digest, Story(digest))
            if LOCK in key:
                story.take_lock(fields, lease_ms)
            else:
                story.take_result(fields)
    return stories


def _writes(path: Path) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        for words in _commands(data):
            if words[0].upper() == b"HSET" and words[1].startswith((LOCK, RESULT)):
                yield words[1], dict(zip(words[2::2], words[3::2], strict=True))


def _commands(data: mmap.mmap) -> Iterator[list[bytes]]:
    place, size = 0, len(data)
    while place < size:
        end = data.find(b"\r\n", place)
        if end < 0 or data[place] != COUNT:
            return  # a write that a crash cut off; the store forgot it too
        count = int(data[place + 1 : end])
        words, place = [], end + 2
        for _ in range(count):
            end = data.find(b"\r\n", place)
            if end < 0 or data[place] != LENGTH:
                return
            length = int(data[place + 1 : end])
            words.append(data[end + 2 : end + 2 + length])
            place = end + 4 + length
        if place > size:
            return
        yield words
