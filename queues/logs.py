"""Log records that say which task they are about: a filter for any format, and a formatter for JSON."""

import json
import logging
from contextvars import ContextVar, Token
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

from queues.message import Message
from queues.run import current_run

_ABOUT: ContextVar["Subject | None"] = ContextVar("onceq_subject", default=None)


@dataclass(frozen=True, slots=True)
class Subject:
    """The work that a thread or an asyncio task speaks of."""

    task: str
    task_id: str
    key: str


class about:  # noqa: N801 - used as a function; a generator would cost each delivery twice as much
    """What is logged within this block is about this message."""

    __slots__ = ("_subject", "_token")

    def __init__(self, message: Message) -> None:
        self._subject = Subject(message.task, message.id, message.digest)

    def __enter__(self) -> None:
        self._token: Token[Subject | None] = _ABOUT.set(self._subject)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _ABOUT.reset(self._token)


def speak_of(subject: Subject) -> None:
    """What is logged from here on, in this thread or asyncio task, is about that work."""
    _ABOUT.set(subject)


class TaskContext(logging.Filter):
    """Lets every record pass, with `task`, `task_id`, `key`, `attempt`, `token` and `backend` for its format.

    They are empty where no task is spoken of, and `attempt` and `token` also while none runs.
    Add it to a handler: the filters of a logger do not see what is logged below it.

    Args:
        backend: of the worker.
    """

    def __init__(self, backend: str = "") -> None:
        super().__init__()
        self._backend = backend

    def filter(self, record: logging.LogRecord) -> bool:
        """True."""
        record.__dict__.update(context(self._backend))
        return True


def context(backend: str = "") -> dict[str, str | int]:
    """What there is to say of the work that this code is part of."""
    run, subject = current_run(), _ABOUT.get()
    if run is not None:
        m = run.message
        subject = Subject(m.task, m.id, m.digest)
    return {
        "task": subject.task if subject is not None else "",
        "task_id": subject.task_id if subject is not None else "",
        "key": subject.key if subject is not None else "",
        "attempt": run.attempt if run is not None else "",
        "token": run.token if run is not None else "",
        "backend": backend,
    }


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the work it is about, and the traceback of an error.

    What else a record carries is left out: Celery puts the arguments of a task into its own.

    Args:
        backend: of the worker.
    """

    def __init__(self, backend: str = "") -> None:
        super().__init__()
        self._backend = backend

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        content: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in context(self._backend).items() if value != ""},
            "process": record.process,
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, default=str)  # ASCII: a lone surrogate, as of a file's name, has no other encoding
