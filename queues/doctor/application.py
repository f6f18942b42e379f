"""The application that is examined: its tasks, and the task system's own object."""

import importlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from queues.client import Queue
from queues.errors import InvalidOptionError
from queues.task import AnyTask

DEFAULT_NAME = "queue"
EXPECTED = "what `connect` returned is expected here, whose messages mean the same on either backend"
EXAMINE = "`queues doctor` examines it, `queues cancel ID` ends a task of it"
OF_ITS_OWN = {
    "celery": f"a Celery app of its own: {EXAMINE}, `celery purge` empties its queues",
    "dramatiq": f"a Dramatiq broker of its own: {EXAMINE}, `broker.flush_all()` empties its queues",
}


@dataclass(frozen=True, slots=True)
class Application:
    """What the doctor looks at, beside the servers.

    Args:
        backend: `celery`, `dramatiq` or `memory`.
        native: the Celery app or the Dramatiq broker; None for `memory`.
        redis_url: of the records; None for `memory`.
        prefix: before their keys.
        is_queue: it is what `connect` returned; else an app or a broker of its own.
    """

    backend: str
    tasks: tuple[AnyTask, ...]
    native: Any
    redis_url: str | None
    prefix: str
    is_queue: bool = False

    @property
    def shortest_lease_ms(self) -> int | None:
        """The shortest lease of its tasks; None when it has none."""
        return min((task.policy.lease_ms for task in self.tasks), default=None)


def loaded(text: str) -> Application:
    """The application that `MODULE:NAME` names; the module is imported, from the working directory too.

    Args:
        text: NAME is `queue` when it is left out; it may be a `Queue`, a Celery app with tasks whose base is
            `IdempotentTask`, or a Dramatiq broker with the middleware `Idempotency`.

    Raises:
        InvalidOptionError: it cannot be imported, or is none of these.
    """
    found = imported(text)
    application = _application(found)
    if application is None:
        msg = f"{text!r} is a {type(found).__name__}: a connected Queue, a Celery app or a Dramatiq broker is expected"
        raise InvalidOptionError(msg)
    return application


def queue_of(text: str) -> Queue:
    """The `Queue` that `MODULE:NAME` names, imported as `loaded` does.

    Raises:
        InvalidOptionError: it cannot be imported, or is no Queue.
    """
    found = imported(text)
    if not isinstance(found, Queue):
        raise InvalidOptionError(
            f"{text!r} is {OF_ITS_OWN.get(_system(found), f'a {type(found).__name__}')}; {EXPECTED}"
        )
    return found


def imported(text: str) -> Any:
    """What `MODULE:NAME` names; the module is imported, from the working directory too.

    Raises:
        InvalidOptionError: it cannot be, or it was connected with a setting that cannot be used.
    """
    module_name, _, name = text.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module_name)
        for part in (name or DEFAULT_NAME).split("."):
            found = getattr(found, part)
    except InvalidOptionError:
        raise
    except Exception as exc:  # a user's module may raise anything
        msg = f"{text!r} cannot be imported: {type(exc).__name__}: {exc}"
        raise InvalidOptionError(msg) from exc
    return found


def _application(found: Any) -> Application | None:
    if isinstance(found, Queue):
        native = getattr(found.backend, "app", None) or getattr(found.backend, "broker", None)
        made = _with_store(found.backend.name, tuple(found.tasks), native, found.store)
        return replace(made, is_queue=True)
    match _system(found):
        case "celery":
            return _of_celery(found)
        case "dramatiq":
            return _of_dramatiq(found)
        case _:
            return None


def _system(found: Any) -> str:
    """Whose own application it is; empty for anything else."""
    if hasattr(found, "conf") and hasattr(found, "amqp"):
        return "celery"
    return "dramatiq" if hasattr(found, "actors") and hasattr(found, "middleware") else ""


def _of_celery(app: Any) -> Application:
    app.loader.import_default_modules()
    app.finalize()
    guarded = [task for task in app.tasks.values() if hasattr(task, "onceq_task")]
    if not guarded:
        msg = "no task of this Celery app has the base IdempotentTask: nothing of it is guarded"
        raise InvalidOptionError(msg)
    return _with_store("celery", tuple(task.guarded for task in guarded), app, guarded[0].engine.store)


def _of_dramatiq(broker: Any) -> Application:
    for middleware in broker.middleware:
        tasks, store = getattr(middleware, "tasks", None), getattr(middleware, "store", None)
        if tasks is not None and store is not None:
            return _with_store("dramatiq", tuple(tasks), broker, store)
    msg = "this Dramatiq broker has no middleware Idempotency; where `connect` made it, name its Queue instead"
    raise InvalidOptionError(msg)


def _with_store(backend: str, tasks: tuple[AnyTask, ...], native: Any, store: Any) -> Application:
    url = getattr(store, "url", None)
    return Application(backend, tasks, native, url, store.keys.prefix if url is not None else "")
