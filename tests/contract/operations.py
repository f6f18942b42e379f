"""Operations for the tests of the engine: short builders, a way to play them, and a random choice of one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from queues.idempotency.burial import Bury, Drop, Revive
from queues.idempotency.state import (
    Admit,
    Answer,
    Begin,
    Cancel,
    Complete,
    Confirm,
    Duplicate,
    Fail,
    Heartbeat,
    Help,
    Kind,
    Operation,
    Record,
    Release,
    Wait,
)

START_MS = 1_760_000_000_000
LEASE_MS = 30_000
HELP_MS = 20_000
TTL_MS = 3_600_000
DELAY_MS = 60_000
LETTER_MS = 86_400_000

OUTCOME = b'{"ok":1}'
FAILURE = b'{"error":{"type":"ValueError"}}'

T = TypeVar("T")


@dataclass
class ManualClock:
    """A clock that stands still until a test moves it."""

    at_ms: int = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    def advance(self, by_ms: int) -> None:
        self.at_ms += by_ms


def admit(owner: str = "m1", fingerprint: str = "", help_ms: int = HELP_MS, message: bytes = b"") -> Admit:
    return Admit(fingerprint, owner, message or b"message of " + owner.encode(), help_ms, TTL_MS)


def replacing(owner: str, fingerprint: str = "", quiet_ms: int = 0) -> Admit:
    message = b"message of " + owner.encode()
    return Admit(fingerprint, owner, message, HELP_MS, TTL_MS, None, Duplicate.REPLACE, quiet_ms)


def following(owner: str, fingerprint: str = "") -> Admit:
    return Admit(fingerprint, owner, b"message of " + owner.encode(), HELP_MS, TTL_MS, None, Duplicate.FOLLOW)


def holding(owner: str = "m1", fingerprint: str = "", duplicate: Duplicate = Duplicate.JOIN) -> Admit:
    message = b"message of " + owner.encode()
    return Admit(fingerprint, owner, message, HELP_MS, TTL_MS, None, duplicate, DELAY_MS, is_held=True)


def expiring(owner: str = "m1", fingerprint: str = "", duplicate: Duplicate = Duplicate.JOIN) -> Admit:
    return replace(admit(owner, fingerprint), duplicate=duplicate, begin_by_ms=BEGIN_BY_MS[0])


def late(owner: str = "m1", execution: str = "x1", fingerprint: str = "") -> Begin:
    """A begin that is late one minute after the start."""
    return replace(begin(owner, execution, fingerprint), begin_by_ms=BEGIN_BY_MS[0])


def confirm(owner: str = "m1", help_ms: int = 10 * HELP_MS) -> Confirm:
    return Confirm(owner, help_ms, TTL_MS)


def begin(
    owner: str = "m1", execution: str = "x1", fingerprint: str = "", retries: int = 0, max_lost: int = 2
) -> Begin:
    message = b"message of " + owner.encode()
    return Begin(fingerprint, owner, message, execution, retries, LEASE_MS, max_lost, TTL_MS)


def heartbeat(token: int, progress: str = "") -> Heartbeat:
    return Heartbeat(token, LEASE_MS, TTL_MS, progress)


def complete(token: int, outcome: bytes = OUTCOME) -> Complete:
    return Complete(token, outcome, TTL_MS)


def wait(token: int, retries: int = 1) -> Wait:
    return Wait(token, b"message of the retry", retries, DELAY_MS, HELP_MS, TTL_MS)


def hold(token: int) -> Wait:
    return Wait(token, b"message of the retry", 1, DELAY_MS, HELP_MS, TTL_MS, is_held=True)


def fail(token: int) -> Fail:
    return Fail(token, FAILURE, is_cached=False, ttl_ms=TTL_MS)


def fail_cached(token: int) -> Fail:
    return Fail(token, FAILURE, is_cached=True, ttl_ms=TTL_MS)


def release(token: int, *, is_forgotten: bool = False) -> Release:
    return Release(token, HELP_MS, TTL_MS, is_forgotten)


def bury(owner: str = "m1", message: bytes = b"message", letter_ms: int = LETTER_MS) -> Bury:
    return Bury(owner, message, FAILURE, START_MS, letter_ms)


def revive(owner: str = "m1", fingerprint: str = "", *, is_released: bool = False) -> Revive:
    return Revive(owner, fingerprint, b"message of " + owner.encode(), is_released, TTL_MS)


def drop(owner: str = "m1") -> Drop:
    return Drop(owner)


def cancel(*, spares_running: bool = False) -> Cancel:
    return Cancel(TTL_MS, spares_running)


def help_(help_ms: int = HELP_MS) -> Help:
    return Help(help_ms, TTL_MS)


Step = Operation | int | Callable[[int], Operation]
"""An operation; ms to let pass; or an operation of the last run, made from its token."""


class Applies(Protocol):
    """The one method of a store that `play` needs."""

    def apply(self, digest: str, operation: Operation) -> Answer: ...


def play(store: Applies, clock: ManualClock, digest: str, steps: Sequence[Step]) -> list[Answer]:
    """The answers to `steps`, one an operation."""
    answers: list[Answer] = []
    token = 0
    for step in steps:
        if isinstance(step, int):
            clock.advance(step)
            continue
        answers.append(store.apply(digest, step(token) if callable(step) else step))
        if answers[-1].kind is Kind.RUN:
            token = answers[-1].token
    return answers


TTLS_MS = (90_000, TTL_MS, 40 * 86_400_000)
HELPS_MS = (1_000, HELP_MS, 700_000)
LEASES_MS = (5_000, LEASE_MS)
LETTERS_MS = (LETTER_MS, LETTER_MS, 90_000, 0)
ADVANCES_MS = (0, 0, 0, 0, 0, 1, 900, 5_000, 29_999, 30_000, 30_001, 61_000, 650_000, -1, -4_000)
FINGERPRINTS = ("", "f1")
OWNERS = ("m1", "m1", "m2", "m3")
BEGIN_BY_MS = (START_MS + 60_000, START_MS + 700_000, START_MS + 20_000_000)
EXECUTIONS = ("x1", "x2", "x3")
DUPLICATES = (Duplicate.JOIN, Duplicate.JOIN, Duplicate.REPLACE, Duplicate.FOLLOW)
BLOBS = (b"message", b"\x00\xff\r\n", b'{"ok":null}')


@dataclass
class Chooser:
    """Makes one operation after another with a `choose` of Hypothesis or of `random`."""

    choose: Callable[[Sequence[T]], T] = field(repr=False)

    def advance_ms(self) -> int:
        return self.choose(ADVANCES_MS)

    def operation(self, record: Record | None) -> Operation:
        writes = (self._write, self._write, self._write)
        kinds = (self._admit, self._begin, self._begin, *writes, self._other, self._on_letter)
        return self.choose(kinds)(record)

    def admissions(self, keys: Sequence[T]) -> list[tuple[T, Admit]]:
        """What one call may admit: alike in all but the key, the message and its id; a key may come twice."""
        c = self.choose
        help_ms, ttl_ms = c(HELPS_MS), c(TTLS_MS)
        return [(c(keys), Admit("", c(OWNERS), c(BLOBS), help_ms, ttl_ms)) for _ in range(c((1, 2, 3, 6)))]

    def _fingerprint(self, record: Record | None) -> str:
        own = record.fingerprint if record else ""
        return self.choose((own, own, own, own, *FINGERPRINTS))

    def _admit(self, record: Record | None) -> Operation:
        c = self.choose
        head = (self._fingerprint(record), c(OWNERS), c(BLOBS), c(HELPS_MS), c(TTLS_MS))
        quiet_ms, is_held = c(((0, False), (0, False), (5_000, False), (5_000, True), (650_000, True)))
        begin_by_ms = self._begin_by_ms()
        return Admit(*head, duplicate=c(DUPLICATES), quiet_ms=quiet_ms, is_held=is_held, begin_by_ms=begin_by_ms)

    def _begin(self, record: Record | None) -> Operation:
        c = self.choose
        head = (self._fingerprint(record), c(OWNERS), c(BLOBS), c(EXECUTIONS), c((0, 2)))
        return Begin(*head, c(LEASES_MS), c((0, 1, 3)), c(TTLS_MS), c(LETTERS_MS), self._begin_by_ms())

    def _begin_by_ms(self) -> int:
        return self.choose((0, 0, 0, *BEGIN_BY_MS))

    def _write(self, record: Record | None) -> Operation:
        c = self.choose
        own = record.token if record else 0
        token = c((own, own, own, own, own - 1, own + 1))
        ttl_ms = c(TTLS_MS)
        return c(
            (
                lambda: Heartbeat(token, c(LEASES_MS), ttl_ms, c(("", '{"done":1}', '{"done":2}'))),
                lambda: Complete(token, c(BLOBS), ttl_ms),
                lambda: Wait(
                    token, c(BLOBS), c((0, 1, 3)), c((0, 5_000, DELAY_MS)), c(HELPS_MS), ttl_ms, c((False, True))
                ),
                lambda: Fail(token, c(BLOBS), c((False, False, True)), ttl_ms, letter_ms=c(LETTERS_MS)),
                lambda: Release(token, c(HELPS_MS), ttl_ms, c((False, False, True))),
            )
        )()

    def _other(self, record: Record | None) -> Operation:
        c = self.choose
        ttl_ms = c(TTLS_MS)
        return c(
            (
                lambda: Confirm(c(OWNERS), c(HELPS_MS), ttl_ms),
                lambda: Help(c(HELPS_MS), ttl_ms),
                lambda: Help(c(HELPS_MS), ttl_ms),
                lambda: Cancel(ttl_ms, c((False, False, True))),
            )
        )()

    def _on_letter(self, record: Record | None) -> Operation:
        c = self.choose
        return c(
            (
                lambda: Bury(c(OWNERS), c(BLOBS), c(BLOBS), c((0, START_MS)), c(LETTERS_MS)),
                lambda: Drop(c(OWNERS)),
                lambda: Revive(c(OWNERS), self._fingerprint(record), c(BLOBS), c((False, True)), c(TTLS_MS)),
                lambda: Revive(c(OWNERS), self._fingerprint(record), c(BLOBS), c((False, True)), c(TTLS_MS)),
            )
        )()
