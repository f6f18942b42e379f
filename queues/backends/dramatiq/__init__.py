"""Dramatiq: a backend of this library, and a middleware for any Dramatiq application."""

from queues.backends.dramatiq.backend import DramatiqBackend
from queues.backends.dramatiq.middleware import Idempotency

__all__ = ["DramatiqBackend", "Idempotency"]
