"""`process_document` on a Celery worker of BENCH_PROCESSES processes: it reads, and writes the chunks to MongoDB."""

import asyncio
import os
from functools import cache
from itertools import count as counted
from pathlib import Path
from typing import Any

from app.bench import surroundings
from app.bench.documents import documents
from app.settings import Settings
from app.tasks.registry import build_tasks
from app.tasks.services import Services
from queues import connect
from queues.task import AnyTask

WITHIN_S = 120
_numbers = counted()


@cache
def _environment() -> dict[str, str]:
    return surroundings.settings()


@cache
def _task() -> tuple[AnyTask, Path]:
    """The task, on its queue, and the folder of uploads."""
    settings = Settings(**{name.lower(): value for name, value in _environment().items()})  # type: ignore[arg-type]  # as from the environment
    services = Services(settings)
    # As the API does when it starts: without indexes, each removal of older chunks reads all there are.
    asyncio.run(services.stores.prepare())
    tasks = build_tasks(services)
    connect(tasks, backend="celery", redis_url=settings.redis_url)
    return tasks.get("app.tasks.process_document"), settings.uploads_dir


def worker(_: int) -> list[str]:
    """Celery's own command."""
    options = (
        "worker",
        "-c",
        os.environ["BENCH_PROCESSES"],
        "-l",
        "ERROR",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    )
    return surroundings.command(_environment(), "-m", "celery", "-A", "app.celery_app", *options)


def load(count: int) -> None:
    """Have `count` documents read, those of the folder again and again, each as a document of its own.

    Raises:
        ValueError: one was not read.
    """
    task, uploads = _task()
    paths = documents(Path(os.environ["BENCH_LEDGER"]).parent)
    handles = [_submit(task, uploads, paths[number % len(paths)]) for number in range(count)]
    for handle in handles:
        result = handle.result(timeout=WITHIN_S)
        if not result["chunks_created"]:
            message = f"no text was found: {result}"
            raise ValueError(message)


def _submit(task: AnyTask, uploads: Path, path: Path) -> Any:
    name = f"bench-{next(_numbers)}"
    place = uploads / name / path.name
    place.parent.mkdir(parents=True)
    place.write_bytes(path.read_bytes())
    return task.send(name, str(place.relative_to(uploads)), "bench")
