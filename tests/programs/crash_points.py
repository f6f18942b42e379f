"""Ends a process at a named point of the library, or cuts its connection there; in a real worker, and once.

A worker's program calls `arm`. The environment names the point, a file that whichever process comes there first
takes away, and whom the SIGKILL ends: the process, or every process of its worker.
"""

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from celery import signals as celery_signals
from dramatiq.broker import Broker

from queues.errors import StoreUnavailableError
from queues.idempotency.guard import Guard
from queues.idempotency.state import Admit, Begin
from queues.stores import single_server
from queues.stores.redis import RedisStore

_TAKEN = os.environ.get("CRASH_FILE", "")
_WHOM = os.environ.get("CRASH_WHOM", "process")


def arm() -> None:
    """Make this process, and those that it forks, crash at the point that the environment names; else nothing."""
    point = os.environ.get("CRASH_AT")
    if point:
        POINTS[point]()


def is_first() -> bool:
    """Whether no process came here before."""
    try:
        Path(_TAKEN).unlink()
    except FileNotFoundError:
        return False
    return True


def die() -> None:
    """End this process, or its whole worker, as `kill -9` does; the first time only."""
    if is_first():
        if _WHOM == "worker":
            os.killpg(os.getpgid(0), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def after_admit() -> None:
    """The producer dies when the store has said that the work is admitted."""
    _wrap(RedisStore, "apply", after=lambda _, __, operation: isinstance(operation, Admit) and die())
    original = RedisStore._reply  # to a command that was prepared for a submission

    @functools.wraps(original)
    def answered(self: RedisStore, command: bytes) -> Any:
        reply = original(self, command)
        if reply is not None:  # else the server did not know the script
            die()
        return reply

    RedisStore._reply = answered  # type: ignore[method-assign] # the point of it


def after_begin() -> None:
    """The worker dies when it has the right to run, and has not begun."""
    _wrap(Guard, "begin", after=lambda *_, **__: die())


def after_complete() -> None:
    """The worker dies when the outcome is stored, before anyone is told."""
    _wrap(Guard, "complete", after=lambda *_, **__: die())


def before_ack() -> None:
    """The worker dies when the callbacks are called, before the message is acknowledged."""
    celery_signals.task_success.connect(lambda **_: die(), weak=False)
    _wrap(Broker, "emit_before", before=lambda _, name, *__, **___: name == "ack" and die())


def after_wait() -> None:
    """The worker dies when it is written that a retry is waited for, before the retry is published."""
    _wrap(Guard, "wait", after=lambda *_, **__: die())


def begin_reply_reset() -> None:
    """The connection is reset after the server has given the right to run; the client sends its request again."""
    original = single_server._exchanged

    @functools.wraps(original)
    def cut(*exchange: Any) -> Any:
        reply = original(*exchange)
        if isinstance(reply, list) and reply[:1] == [b"run"] and is_first():
            message = "reset by the test"
            raise redis.exceptions.ConnectionError(message)
        return reply

    single_server._exchanged = cut


def begin_reply_lost() -> None:
    """The right to run was given, and the worker never hears of it."""
    original = RedisStore.apply

    @functools.wraps(original)
    def lose(self: RedisStore, digest: str, operation: Any) -> Any:
        answer = original(self, digest, operation)
        if isinstance(operation, Begin) and is_first():
            message = "lost by the test"
            raise StoreUnavailableError(message)
        return answer

    RedisStore.apply = lose  # type: ignore[method-assign] # the point of it


def _wrap(owner: type, name: str, *, before: Callable[..., Any] | None = None, after: Any = None) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args, **kwargs)
        answer = original(*args, **kwargs)
        if after is not None:
            after(*args, **kwargs)
        return answer

    setattr(owner, name, wrapped)


POINTS = {
    point.__name__: point
    for point in (
        after_admit,
        after_begin,
        after_complete,
        before_ack,
        after_wait,
        begin_reply_reset,
        begin_reply_lost,
    )
}
