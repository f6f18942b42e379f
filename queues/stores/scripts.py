"""The Lua scripts: how each operation is called, and how its reply is read."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, assert_never

from queues.errors import InvalidOptionError
from queues.idempotency.burial import Bury, Drop, Revive
from queues.idempotency.machine import CANCELLED_OUTCOME, DEAD_OUTCOME, EXPIRED_OUTCOME
from queues.idempotency.publication import Publication
from queues.idempotency.state import (
    Admit,
    Answer,
    Begin,
    Cancel,
    Complete,
    Confirm,
    Fail,
    Heartbeat,
    Help,
    Kind,
    Look,
    Operation,
    Record,
    Release,
    State,
    Wait,
)
from queues.lean import lean

Argument = str | int | bytes
LIVE_FIELDS = (
    *("state", "fingerprint", "owner", "token", "execution", "message", "until"),
    *("helps", "lost", "retries", "cancelled", "progress", "created"),
    *("replaced", "follows", "next", "next_owner", "next_fingerprint", "begin_by"),
)
FINISHED_FIELDS = (
    *("state", "fingerprint", "owner", "token", "retries", "outcome"),
    *("cached", "created", "finished", "replaced", "follows", "wait", "ran"),
)
NOTHING = b'{"ok":null}'
"""The outcome of a task that returned nothing; a completed record that is stored short leaves it out."""
WITHOUT_RECORD = frozenset({"rate", "take_slot", "keep_slot", "admit_many"})
"""Scripts that touch no record, or many: `head.lua` and `record.lua`, of one, do not stand before them."""
ON_KEYS = frozenset({"look"})
"""Scripts that have `head.lua` alone before them: making the functions of `record.lua` costs more than all they do."""
ON_LETTERS = frozenset({"begin", "fail", "bury", "revive", "drop"})
"""Scripts that have `letters.lua` before them, and the keys of the shard's dead letters after the record's."""
FIRST = {"admit": ("admit_again", "short"), "begin": ("begin_own", "short"), "complete": ("short", "complete_plain")}
"""What most calls of a script find is answered before the functions for every case are made."""
PARTS = frozenset({"head", "short", "record", "letters", *(part for parts in FIRST.values() for part in parts)})
"""Files that are no scripts of their own."""
KINDS = {kind.value.encode(): kind for kind in Kind}
STATES = {state.value.encode(): state for state in State}
SHARDS = tuple(f"{byte:02x}" for byte in range(256))


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and its SHA-1, by which Redis knows it."""

    name: str
    source: str
    sha1: str


@lean(frozen=True, slots=True)
class Call:
    """One script with its keys and arguments."""

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[Argument, ...]

    @property
    def command(self) -> tuple[Argument, ...]:
        """The call of a script that the server knows."""
        return ("EVALSHA", self.script.sha1, len(self.keys), *self.keys, *self.arguments)

    @property
    def whole_command(self) -> tuple[Argument, ...]:
        """The call, with the script."""
        return ("EVAL", self.script.source, len(self.keys), *self.keys, *self.arguments)


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of a key's three places in Redis; a prefix may stand before them.

    Raises:
        InvalidOptionError: a brace in the prefix would take the place of those that keep a record in one hash slot.
    """

    prefix: str = ""

    def __post_init__(self) -> None:
        if "{" in self.prefix or "}" in self.prefix:
            msg = f"the prefix {self.prefix!r} has a brace: Redis Cluster would look there for the keys' hash slot"
            raise InvalidOptionError(msg)

    def of(self, digest: str) -> tuple[str, str, str]:
        """The lock, the result and the index of leases, all in one hash slot."""
        shard = digest[:2]
        return (
            f"{self.prefix}task_lock:{{{shard}}}:{digest}",
            f"{self.prefix}task_result:{{{shard}}}:{digest}",
            f"{self.prefix}task_leases:{{{shard}}}",
        )

    def result(self, digest: str) -> str:
        """The second of them."""
        return f"{self.prefix}task_result:{{{digest[:2]}}}:{digest}"

    def letters(self, shard: str) -> tuple[str, str, str]:
        """The dead letters of a shard, their index and their counts, in the hash slot of its records."""
        return (
            f"{self.prefix}task_dead:{{{shard}}}",
            f"{self.prefix}task_dead_index:{{{shard}}}",
            f"{self.prefix}task_dead_counts:{{{shard}}}",
        )

    def leases(self) -> list[str]:
        """Every shard's index of leases."""
        return [f"{self.prefix}task_leases:{{{shard}}}" for shard in SHARDS]

    def mark(self, digest: str) -> str:
        """A key beside the record's, written to wait for replicas."""
        return f"{self.prefix}task_mark:{{{digest[:2]}}}"

    def turn(self, name: str) -> str:
        """Where a turn of that name is taken."""
        return f"{self.prefix}task_turn:{name}"

    def ticks(self) -> str:
        """The sorted set of schedules, each with its last moment."""
        return f"{self.prefix}task_ticks"

    def workers(self) -> str:
        """The sorted set of living workers."""
        return f"{self.prefix}task_workers"

    def rate(self, task: str) -> tuple[str, str]:
        """The rate of a task and the places in its line, in one hash slot."""
        return f"{self.prefix}task_rate:{{{task}}}", f"{self.prefix}task_places:{{{task}}}"

    def slots(self, name: str) -> tuple[str, str]:
        """The slots of that name and who waits for one, in one hash slot."""
        return f"{self.prefix}task_slots:{{{name}}}", f"{self.prefix}task_slots_waiting:{{{name}}}"


@cache
def script(name: str) -> Script:
    """The script of that name, with what it begins with before it."""
    folder = resources.files("queues") / "scripts"
    source = "".join((folder / f"{part}.lua").read_text("utf-8") for part in parts(name))
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def parts(name: str) -> tuple[str, ...]:
    """The files that make a script, in order."""
    if name in WITHOUT_RECORD:
        return (name,)
    if name in ON_KEYS:
        return ("head", name)
    if name == "admit_plain":
        first, *others = parts("admit")
        return (first, name, *others)
    letters = ("letters",) if name in ON_LETTERS else ()
    return ("head", *FIRST.get(name, ("short",)), "record", *letters, name)


def sources() -> list[str]:
    """The text of every script."""
    folder = resources.files("queues") / "scripts"
    names = sorted(entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua"))
    return [script(name).source for name in names if name not in PARTS]


def call(keys: Keys, digest: str, operation: Operation, now_ms: int | None = None) -> Call:
    """The script call that carries out an operation.

    Args:
        now_ms: the clock of a test; None takes the server's.
    """
    name, arguments = _arguments(operation)
    names: tuple[str, ...] = keys.of(digest)
    if name in ON_LETTERS:
        names = (*names, *keys.letters(digest[:2]))
    if isinstance(operation, Admit) and operation.publication is not None:
        names, arguments = _publish(operation.publication, names, arguments)
    return Call(script(name), names, (digest, "" if now_ms is None else now_ms, *arguments))


def _publish(
    publication: Publication, names: tuple[str, ...], arguments: tuple[Argument, ...]
) -> tuple[tuple[str, ...], tuple[Argument, ...]]:
    names = (*names, publication.list_key)
    arguments = (*arguments, "L" if publication.is_left else "R", publication.entry)
    if publication.hash_key:
        return (*names, publication.hash_key), (*arguments, publication.payload)
    return names, arguments


def _arguments(operation: Operation) -> tuple[str, tuple[Argument, ...]]:  # noqa: C901 - one arm an operation
    match operation:
        case Admit() as o if o.is_plain and not o.fingerprint:
            return "admit_plain", (o.message_id, o.message, o.help_after_ms, o.ttl_ms)
        case Admit() as o:
            head = (o.fingerprint, o.message_id, o.message, o.help_after_ms, o.ttl_ms)
            return "admit", (*head, o.duplicate.value, o.quiet_ms, int(o.is_held), o.begin_by_ms)
        case Look() as o:
            return "look", (o.fingerprint, int(o.is_ended))
        case Confirm() as o:
            return "confirm", (o.message_id, o.help_after_ms, o.ttl_ms)
        case Begin() as o:
            run = (o.message, o.execution, o.retries, o.lease_ms, o.max_lost, o.ttl_ms)
            outcomes = (DEAD_OUTCOME, CANCELLED_OUTCOME, o.letter_ms, EXPIRED_OUTCOME)
            return "begin", (o.fingerprint, o.message_id, *run, *outcomes, o.begin_by_ms)
        case Heartbeat() as o:
            return "heartbeat", (o.token, o.lease_ms, o.ttl_ms, o.progress)
        case Complete() as o:
            return "complete", (o.token, o.outcome, o.ttl_ms)
        case Wait() as o:
            attempt = (o.message, o.retries, o.delay_ms)
            return "wait", (o.token, *attempt, o.help_after_ms, o.ttl_ms, CANCELLED_OUTCOME, int(o.is_held))
        case Fail() as o:
            return "fail", (o.token, o.outcome, int(o.is_cached), o.ttl_ms, o.letter_ms)
        case Release() as o:
            return "release", (o.token, o.help_after_ms, o.ttl_ms, CANCELLED_OUTCOME, int(o.is_forgotten))
        case Cancel() as o:
            return "cancel", (CANCELLED_OUTCOME, o.ttl_ms, int(o.spares_running))
        case Help() as o:
            return "help", (o.help_after_ms, o.ttl_ms, EXPIRED_OUTCOME)
        case Bury() as o:
            return "bury", (o.message_id, o.message, o.outcome, o.created_ms, o.letter_ms)
        case Revive() as o:
            return "revive", (o.message_id, o.fingerprint, o.message, int(o.is_released), o.ttl_ms)
        case Drop() as o:
            return "drop", (o.message_id,)
    assert_never(operation)


def answer(reply: Any) -> Answer:
    """What a script's reply says: the id that was admitted, or a list."""
    if isinstance(reply, bytes):
        return Answer(Kind.ADMITTED, reply.decode(), State.QUEUED)
    if len(reply) == 3:
        kind, owner, state = reply
        return Answer(KINDS[kind], owner.decode(), STATES[state])
    kind, owner, state, token, wait_ms, retries, lost, outcome, message, created_ms = reply
    return Answer(
        KINDS[kind], owner.decode(), STATES[state], token, wait_ms, retries, lost, outcome, message, int(created_ms)
    )


def reading(keys: Keys, digest: str, now_ms: int | None = None) -> Call:
    """The script call that reads a record."""
    return Call(script("read"), keys.of(digest), (digest, "" if now_ms is None else now_ms))


def record(digest: str, reply: Sequence[Any]) -> Record | None:
    """The record that a reply to `reading` holds; None if there is none."""
    now, live, help_at, live_ttl_ms, finished, finished_ttl_ms = reply
    fields, ttl_ms = (live, live_ttl_ms) if live[0] is not None else (finished, finished_ttl_ms)
    names = LIVE_FIELDS if live[0] is not None else FINISHED_FIELDS
    if fields[0] is None:
        return None
    values = {name: value for name, value in zip(names, fields, strict=True) if value is not None}
    if "ran" in values:
        values = _in_full(digest, values)

    def text(name: str) -> str:
        return str(values.get(name, b""), "utf-8")

    def number(name: str) -> int:
        return int(values.get(name, b"0"))

    return Record(
        State(text("state")),
        text("fingerprint"),
        text("owner"),
        token=number("token"),
        execution=text("execution"),
        message=values.get("message", b""),
        until_ms=number("until"),
        help_at_ms=int(float(help_at)),
        helps=number("helps"),
        lost=number("lost"),
        retries=number("retries"),
        is_cancelled=text("cancelled") == "1",
        progress=text("progress"),
        outcome=values.get("outcome", b""),
        is_cached=text("cached") == "1",
        is_replaced=text("replaced") == "1",
        next_message=values.get("next", b""),
        next_owner=text("next_owner"),
        next_fingerprint=text("next_fingerprint"),
        follows=text("follows"),
        created_ms=number("created"),
        finished_ms=number("finished"),
        begin_by_ms=number("begin_by"),
        expires_ms=int(now) + max(0, ttl_ms),
    )


def _in_full(digest: str, values: dict[str, bytes]) -> dict[str, bytes]:
    # A completed record that was stored short, as short.lua tells.
    begun_ms = int(values.get("token", 0)) // 1000
    return {
        "outcome": NOTHING,
        **values,
        "owner": digest.encode() + values.get("owner", b""),
        "created": b"%d" % (begun_ms - int(values.get("wait", 0))),
        "finished": b"%d" % (begun_ms + int(values["ran"])),
    }
