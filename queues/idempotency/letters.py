"""The specification of dead letters: which transition leaves one, and how a shard keeps them.

A letter is written in the step that ends the work, so that no crash comes between. It outlives the outcome, and a new
submission does not touch it. What a shard keeps is bounded, so that a flood of failures cannot fill the server: the
oldest letters make room, and are counted. The scripts do the same in Redis (`queues/scripts/letters.lua`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from queues.idempotency import machine
from queues.idempotency.burial import Bury, Drop, Revive
from queues.idempotency.machine import DEAD_OUTCOME, Result
from queues.idempotency.state import Answer, Begin, Fail, Kind, Operation, Record, State

MAX_LETTERS = 400
"""Of one shard of 256: about 100,000 in all."""
MAX_LETTERS_BYTES = 2 * 1024 * 1024
"""Of one shard: 512 MiB in all. The newest letter is kept even when it alone is longer."""
FORMAT = "1"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: a message that came to nothing, and why; kept beside the records and longer than an outcome.

    Args:
        id: of the message.
        state: FAILED, or DEAD when every worker that ran it died.
        message: to be run again; or the bytes that are no message.
        outcome: the envelope of the failure.
        attempts: how often it was begun after a run that ended by itself; 0 when it was refused.
        lost: takeovers in the last attempt.
        created_ms, failed_ms: on the store's clock; when the work was asked for, and when it was given up.
        expires_ms: when it is forgotten.
    """

    id: str
    digest: str
    state: State
    message: bytes
    outcome: bytes
    attempts: int
    lost: int
    created_ms: int
    failed_ms: int
    expires_ms: int

    @property
    def cursor(self) -> "Cursor":
        """Where it stands among all letters."""
        return self.failed_ms, self.id

    def encoded(self) -> bytes:
        """As a store keeps it: a line of numbers, then the message and the outcome."""
        numbers = (self.attempts, self.lost, self.created_ms, self.failed_ms, self.expires_ms, len(self.message))
        head = " ".join((FORMAT, self.state.value, self.digest, *map(str, numbers)))
        return b"%b\n%b%b" % (head.encode(), self.message, self.outcome)

    @classmethod
    def decoded(cls, message_id: str, data: bytes) -> "Letter":
        """The letter that `encoded` wrote.

        Raises:
            ValueError: not such a letter, or one of another format.
        """
        head, _, rest = data.partition(b"\n")
        written, state, digest, *numbers = head.decode().split(" ")
        if written != FORMAT:
            msg = f"a dead letter of format {written[:20]!r}; this library reads {FORMAT!r}"
            raise ValueError(msg)
        attempts, lost, created_ms, failed_ms, expires_ms, message_bytes = map(int, numbers)
        return cls(
            message_id,
            digest,
            State(state),
            rest[:message_bytes],
            rest[message_bytes:],
            attempts,
            lost,
            created_ms,
            failed_ms,
            expires_ms,
        )


Cursor = tuple[int, str]
"""When a letter's work failed, and its id: letters are listed by it, the newest first."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How many letters are kept, and how many made room for newer ones."""

    kept: int = 0
    removed: int = 0


class Letters(Protocol):
    """Reads the dead letters of a store; what changes them are operations, applied as any other.

    Every method raises StoreUnavailableError when the store does not answer.
    """

    def get(self, message_id: str) -> Letter | None:
        """The letter of that message; None if there is none."""
        ...

    def newest(self, limit: int, before: Cursor | None = None) -> Sequence[Letter]:
        """At most `limit` letters, the newest first, of those that are older than `before`."""
        ...

    def totals(self) -> Totals:
        """How many there are."""
        ...


@dataclass(slots=True)
class Shelf:
    """The dead letters of one shard.

    Args:
        removed: how many made room for newer ones.
    """

    letters: dict[str, Letter] = field(default_factory=dict)
    removed: int = 0

    @property
    def bytes(self) -> int:
        """How long they are together."""
        return sum(len(letter.encoded()) for letter in self.letters.values())

    def put(self, letter: Letter) -> None:
        """Keep a letter, in place of an older one of the same message."""
        self.letters.pop(letter.id, None)
        self.letters[letter.id] = letter
        oldest_ms = 2 * letter.failed_ms - letter.expires_ms
        for kept in self.in_order():
            if kept.failed_ms <= oldest_ms:
                del self.letters[kept.id]
        for kept in self.in_order():
            if len(self.letters) <= MAX_LETTERS and (self.bytes <= MAX_LETTERS_BYTES or len(self.letters) == 1):
                break
            del self.letters[kept.id]
            self.removed += 1

    def take(self, message_id: str) -> bool:
        """Remove a letter; False if there was none."""
        return self.letters.pop(message_id, None) is not None

    def in_order(self) -> list[Letter]:
        """The oldest first."""
        return sorted(self.letters.values(), key=lambda letter: (letter.failed_ms, letter.id.encode()))


def apply(shelf: Shelf, digest: str, record: Record | None, operation: Operation, now_ms: int) -> Result:
    """As `machine.apply`, with what the operation does to the dead letters of the digest's shard."""
    after, answer = machine.apply(record, operation, now_ms)
    match operation:
        case Drop():
            return record, answer if shelf.take(operation.message_id) else Answer(Kind.FENCED)
        case Revive() if answer.kind is Kind.ADMITTED and not shelf.take(operation.message_id):
            # Somebody was faster: replayed twice, the work runs once.
            return record, Answer(Kind.FENCED, record.owner, record.state) if record else Answer(Kind.FENCED)
    letter = letter_of(record, digest, operation, answer, now_ms)
    if letter is not None:
        shelf.put(letter)
    return after, answer


def letter_of(before: Record | None, digest: str, operation: Operation, answer: Answer, now_ms: int) -> Letter | None:
    """The letter that a transition leaves; None when it leaves none.

    A function of the record before, of the operation and of its answer: the record afterwards may be that of the run
    that follows. Work that somebody cancelled leaves none.
    """
    match operation:
        case Bury():
            state, message, outcome = State.FAILED, operation.message, operation.outcome
            source = Record(state, "", operation.message_id, created_ms=operation.created_ms)
            attempts = 0
        case Fail() | Begin() if before is not None and _ends(before, operation, answer):
            state = State.FAILED if isinstance(operation, Fail) else State.DEAD
            message = before.message
            outcome = operation.outcome if isinstance(operation, Fail) else DEAD_OUTCOME
            source, attempts = before, before.retries + 1
        case _:
            return None
    if not operation.letter_ms:
        return None
    return Letter(
        source.owner,
        digest,
        state,
        message,
        outcome,
        attempts,
        source.lost,
        source.created_ms,
        now_ms,
        now_ms + operation.letter_ms,
    )


def _ends(before: Record, operation: Fail | Begin, answer: Answer) -> bool:
    ending = Kind.OK if isinstance(operation, Fail) else Kind.DEAD
    return before.state is State.RUNNING and not before.is_cancelled and answer.kind is ending
