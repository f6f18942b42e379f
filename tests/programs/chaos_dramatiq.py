"""`dramatiq chaos_dramatiq:broker`."""

from typing import Any

from chaos_program import queue

backend: Any = queue().backend
broker = backend.broker
