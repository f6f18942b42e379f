"""Stories of dead letters that a random walk meets too rarely: the bounds of what a shard keeps, to the letter."""

from queues.idempotency.burial import Bury
from queues.idempotency.letters import MAX_LETTERS, MAX_LETTERS_BYTES, letter_of
from queues.idempotency.state import Answer, Kind
from tests.contract.lockstep import DivergenceError, Lockstep, Model
from tests.contract.operations import (
    LEASE_MS,
    LETTER_MS,
    begin,
    bury,
    cancel,
    fail,
    fail_cached,
    heartbeat,
    release,
    revive,
    wait,
)

TOLERANCE_MS = 60_000


def too_many_letters(lockstep: Lockstep, model: Model) -> None:
    """The oldest make room, of those of one ms the first by name."""
    for number in range(MAX_LETTERS + 2):
        lockstep.clock.advance(number % 2)
        # Hundreds of letters, read after each of hundreds, would be half the time of the gate's mutants.
        lockstep.apply(model, bury(f"m{number:03}"), reads_letters=number >= MAX_LETTERS - 1)
    lockstep.settle()


def too_long_letters(lockstep: Lockstep, model: Model) -> None:
    """Letters may be as long together as the bound says, and not a byte longer; a single one may be of any length."""
    half = MAX_LETTERS_BYTES // 2
    lengths = (("m1", half), ("m2", half), ("m3", 200), ("m4", half - 200), ("m5", half + 1), ("m6", 3 * half))
    for owner, length_bytes in (*lengths, ("m7", 200)):
        lockstep.clock.advance(1)
        lockstep.apply(model, _letter(lockstep, model, owner, length_bytes))
    lockstep.settle()


def letters_that_are_forgotten(lockstep: Lockstep, model: Model) -> None:
    """A letter whose time is over is removed by the next one, and the whole shard expires with the last."""
    lockstep.apply(model, bury("m1"))
    lockstep.clock.advance(LETTER_MS - 1)
    lockstep.apply(model, bury("m2"))
    lockstep.clock.advance(1)
    lockstep.apply(model, bury("m3"))
    lockstep.settle()
    for name in lockstep.keys.letters(model.digest[:2]):
        left_ms = lockstep.client.pttl(name)
        if not LETTER_MS - TOLERANCE_MS < left_ms <= LETTER_MS:
            msg = f"{name} expires in {left_ms} ms"
            raise DivergenceError(msg)


def ends_of_runs(lockstep: Lockstep, model: Model) -> None:
    """Each way in which a run may end badly, and the letter's way back."""
    lost = (begin("m1", "x1"), LEASE_MS, begin("m1", "x2"), LEASE_MS, begin("m1", "x3", max_lost=1))
    retried = (begin("m1", "x1"), wait, begin("m1", "x2"), LEASE_MS, begin("m1", "x3"), fail)
    cancelled = (begin("m1", "x1"), cancel(), heartbeat, fail)
    cancelled_twice = [(begin("m1", "x1"), cancel(), end, end) for end in (wait, release)]
    cached = (begin("m1", "x1", "f1"), fail_cached)
    for ending in (lost, retried, cancelled, *cancelled_twice, cached):
        for step in ending:
            if isinstance(step, int):
                lockstep.clock.advance(step)
            else:
                lockstep.apply(model, step(model.record.token if model.record else 0) if callable(step) else step)
        for back in (revive(), revive("m1", "f1"), revive("m2"), revive(is_released=True), revive()):
            lockstep.apply(model, back)
        lockstep.settle()
        lockstep.expire(model)


def _letter(lockstep: Lockstep, model: Model, owner: str, length_bytes: int) -> Bury:
    letter, padding = None, 0
    while letter is None or len(letter.encoded()) != length_bytes:
        padding += length_bytes - len(letter.encoded()) if letter is not None else 1
        asked = bury(owner, b"x" * padding)
        letter = letter_of(None, model.digest, asked, Answer(Kind.OK), lockstep.clock.now_ms())
    return asked


STORIES = (too_many_letters, too_long_letters, letters_that_are_forgotten, ends_of_runs)
