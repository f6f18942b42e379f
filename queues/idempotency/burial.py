"""What is asked of dead letters: keep one of a message that has no record, queue its work again, remove it."""

from dataclasses import dataclass

LETTER_TTL_MS = 7 * 86_400_000
"""How long a dead letter is kept, unless a setting says otherwise."""


@dataclass(frozen=True, slots=True)
class Bury:
    """Keep a dead letter of a message that was refused and got no record; twice is as once.

    Args:
        message: the message, or the bytes that are none.
        outcome: the envelope of the error.
        letter_ms: how long it is kept; 0 keeps none.
    """

    message_id: str
    message: bytes
    outcome: bytes
    created_ms: int = 0
    letter_ms: int = LETTER_TTL_MS


@dataclass(frozen=True, slots=True)
class Revive:
    """Queue the work of a dead letter again, overdue, so that any worker's recovery publishes it; remove the letter.

    Args:
        is_released: whether a stored outcome gives way; else it answers, and the letter stays.
        ttl_ms: how long the record is kept for a worker to find it.
    """

    message_id: str
    fingerprint: str
    message: bytes
    is_released: bool
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove a dead letter."""

    message_id: str


OnLetter = Bury | Revive | Drop
