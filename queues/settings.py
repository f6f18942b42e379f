"""What `connect` reads from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from queues.errors import InvalidOptionError

BACKENDS = ("celery", "dramatiq", "memory")
DEFAULT_BACKEND = "celery"
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
    """

    backend: str = DEFAULT_BACKEND
    redis_url: str = DEFAULT_REDIS_URL
    broker_url: str | None = None
    prefix: str = ""
    result_backend: str | None = None

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            msg = f"QUEUES_BACKEND is {self.backend!r}: one of {', '.join(BACKENDS)}"
            raise InvalidOptionError(msg)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """QUEUES_BACKEND, REDIS_URL, QUEUES_PREFIX, CELERY_BROKER_URL or DRAMATIQ_BROKER_URL, CELERY_RESULT_BACKEND.

        Raises:
            InvalidOptionError: no such backend.
        """
        backend = environment.get("QUEUES_BACKEND") or DEFAULT_BACKEND
        return cls(
            backend,
            environment.get("REDIS_URL") or DEFAULT_REDIS_URL,
            environment.get(f"{backend.upper()}_BROKER_URL") or None,
            environment.get("QUEUES_PREFIX", ""),
            environment.get("CELERY_RESULT_BACKEND") or None,
        )
