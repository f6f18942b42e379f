"""What `connect` reads from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from queues.errors import InvalidOptionError
from queues.idempotency.burial import LETTER_TTL_MS

BACKENDS = ("celery", "dramatiq", "memory")
DEFAULT_BACKEND = "celery"
DEAD_LETTER_TTL = "QUEUES_DEAD_LETTER_TTL"
MAX_LETTER_TTL_S = 366 * 86_400
DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the work goes.

    Args:
        backend: `celery`, `dramatiq` or `memory`.
        redis_url: where the records live.
        broker_url: `redis://` or `amqp://`; None takes `redis_url`.
        prefix: stands before every key of the records, to keep applications apart.
        result_backend: of Celery; None stores results in the records only.
        dead_letter_ttl: seconds for which dead letters are kept, 0 keeps none; None takes a week.
    """

    backend: str = DEFAULT_BACKEND
    redis_url: str = DEFAULT_REDIS_URL
    broker_url: str | None = None
    prefix: str = ""
    result_backend: str | None = None
    dead_letter_ttl: object = None

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            msg = f"QUEUES_BACKEND is {self.backend!r}: one of {', '.join(BACKENDS)}"
            raise InvalidOptionError(msg)
        letter_ttl_ms(self.dead_letter_ttl, {})

    @property
    def letter_ms(self) -> int:
        """`dead_letter_ttl` in ms."""
        return letter_ttl_ms(self.dead_letter_ttl, {})

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """QUEUES_BACKEND, REDIS_URL, QUEUES_PREFIX, CELERY_BROKER_URL or DRAMATIQ_BROKER_URL, CELERY_RESULT_BACKEND,
        QUEUES_DEAD_LETTER_TTL.

        Raises:
            InvalidOptionError: no such backend, or a time that is none.
        """
        backend = environment.get("QUEUES_BACKEND") or DEFAULT_BACKEND
        return cls(
            backend,
            environment.get("REDIS_URL") or DEFAULT_REDIS_URL,
            environment.get(f"{backend.upper()}_BROKER_URL") or None,
            environment.get("QUEUES_PREFIX", ""),
            environment.get("CELERY_RESULT_BACKEND") or None,
            environment.get(DEAD_LETTER_TTL) or None,
        )


def letter_ttl_ms(seconds: object, environment: Mapping[str, str] = os.environ) -> int:
    """How long dead letters are kept, in ms.

    Args:
        seconds: a number, or its text; None takes the environment's, else a week.

    Raises:
        InvalidOptionError: no number from 0 to a year.
    """
    given = environment.get(DEAD_LETTER_TTL) if seconds is None else seconds
    try:
        chosen = float(str(given)) if given not in (None, "") else LETTER_TTL_MS / 1000
    except ValueError:
        chosen = -1.0
    if not 0 <= chosen <= MAX_LETTER_TTL_S:
        msg = f"dead letters cannot be kept for {str(given)[:40]!r} seconds: a number from 0 to {MAX_LETTER_TTL_S}"
        raise InvalidOptionError(msg)
    return round(chosen * 1000)
