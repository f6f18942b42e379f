"""Asking again while the store does not answer, as a worker does."""

import time
from collections.abc import Callable
from typing import TypeVar

from queues.errors import NotReplicatedError, StoreUnavailableError

T = TypeVar("T")
PATIENCE_S = 60.0


def insisting(call: Callable[[], T], *, on_replicas: bool = True) -> T:
    """The answer, asked for again while the store does not answer.

    Args:
        on_replicas: False where too few replicas are an answer, which is raised.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except StoreUnavailableError as exc:
            is_answer = isinstance(exc, NotReplicatedError) and not on_replicas
            if is_answer or time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
