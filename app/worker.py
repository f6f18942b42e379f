"""What a worker process is made of; the entry points of Celery and of Dramatiq share it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from app.logs import use_json
from app.one_thread import use_one_thread
from app.settings import Settings
from app.tasks.registry import build_tasks
from app.tasks.services import Services
from queues import Queue, Tasks, connect, current
from queues.task import AnyTask

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """The parts of a worker process, connected to nothing yet."""

    settings: Settings
    services: Services
    tasks: Tasks
    queue: Queue


def build_worker(settings: Settings | None = None, *, backend: str | None = None) -> Worker:
    """Services, tasks and queue as the settings say; each run of a task is told to the log.

    Args:
        settings: read from the environment when None.
        backend: the one whose worker this is; a worker of Celery is one of Celery, whatever the settings choose.

    Raises:
        pydantic.ValidationError, ValueError: a setting that cannot be used.
    """
    use_one_thread()
    settings = settings or Settings()
    use_json(settings, backend or settings.queues_backend)
    if backend is not None:
        settings = settings.model_copy(update={"queues_backend": backend})
    Services(settings).check()  # a channel that cannot work is told now, not with the first message
    services = Services(settings)
    tasks = build_tasks(services)
    for task in tasks:
        if task.once is not None:
            task.once = replace(task.once, lease=settings.lease_s)
        task.fn = _told(task)
    queue = connect(
        tasks,
        backend=settings.queues_backend,
        redis_url=settings.redis_url,
        broker_url=settings.broker_url,
        prefix=settings.queues_prefix,
        result_backend=settings.celery_result_backend,
    )
    return Worker(settings, services, tasks, queue)


def _told(task: AnyTask) -> Callable[..., Any]:
    """The task's function, which says in the log that it is entered.

    Celery and Dramatiq log deliveries, also those that are answered without running. These lines are the runs.
    """
    function = task.fn

    def tell() -> None:
        _LOG.info("run %s of %s: attempt %d, token %d", current.message_id, task.name, current.attempt, current.token)

    @wraps(function)
    async def run_async(*args: Any, **kwargs: Any) -> Any:
        tell()
        return await function(*args, **kwargs)

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        tell()
        return function(*args, **kwargs)

    return run_async if task.is_async else run
