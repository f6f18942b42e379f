"""The programs of the service, as the settings say."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from app.embedded.program import Program
from app.one_thread import ONE_THREAD
from app.settings import Settings

KEY_LINE = re.compile(r"^API key\b")
"""The API shows a key that it makes once, on stdout; no log may have it."""


def mongo_program(folder: Path, port: int) -> Program:
    """The embedded MongoDB subset with its data in `folder`."""
    command = (sys.executable, "-m", "app.embedded.mongo", "--data", str(folder), "--port", str(port), "--with-parent")
    return Program(name="mongo", command=command, ready=re.compile(r"^mongo: ready on "))


def service_programs(settings: Settings, environment: Mapping[str, str]) -> list[Program]:
    """Worker, API and scheduler: stopped from the last to the first, so that nothing new comes while the worker ends.

    Args:
        environment: where the servers are, and what else the programs shall see; their settings are read from it.
    """
    api = Program(
        name="api",
        command=(sys.executable, "-m", "app.main"),
        ready=re.compile(r"Uvicorn running on "),
        environment={**ONE_THREAD, **environment},
        secret=KEY_LINE,
    )
    makers = {"celery": _celery, "dramatiq": _dramatiq}
    worker, scheduler = makers[settings.queues_backend](settings, {**ONE_THREAD, **environment})
    return [worker, api, scheduler]


def _celery(settings: Settings, environment: Mapping[str, str]) -> tuple[Program, Program]:
    celery = (sys.executable, "-m", "celery", "-A", "app.celery_app")
    # Mingle and gossip are for many workers; here they only cost a second at the start.
    alone = ("--without-mingle", "--without-gossip", "--pool", "prefork")
    worker = Program(
        name="worker",
        command=(*celery, "worker", "-l", "INFO", "-c", str(settings.worker_processes), *alone),
        ready=re.compile(r" ready\.(\"|$)"),  # as text, or within JSON
        environment=environment,
        stop_within_s=settings.stop_within_s,
    )
    scheduler = Program(
        name="scheduler",
        # No pid file: one that a crash left would keep beat from starting. The data folder has one supervisor.
        command=(*celery, "beat", "-l", "INFO", "--pidfile="),
        ready=re.compile(r"beat: Starting"),
        environment=environment,
    )
    return worker, scheduler


def _dramatiq(settings: Settings, environment: Mapping[str, str]) -> tuple[Program, Program]:
    timeout_ms = round(settings.stop_within_s * 1000)
    size = ("-p", "1", "-t", str(settings.worker_threads), "--worker-shutdown-timeout", str(timeout_ms))
    worker = Program(
        name="worker",
        command=(sys.executable, "-m", "dramatiq", "app.dramatiq_app", *size),
        ready=re.compile(r"Worker process is ready for action"),
        environment=environment,
        # Its master looks at its processes once a second.
        stop_within_s=settings.stop_within_s + 3,
    )
    scheduler = Program(
        name="scheduler",
        # The package has no `__main__`; this is what its command `periodiq` does.
        command=(sys.executable, "-c", "from periodiq import entrypoint; entrypoint()", "app.dramatiq_app"),
        ready=re.compile(r"Registered periodic actors"),
        environment=environment,
    )
    return worker, scheduler
