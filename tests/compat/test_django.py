"""A Django project on the shim: django-celery-results keeps its results, django-celery-beat its schedule."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.compat.sides import ROOT
from tests.servers import ValkeyServer
from tests.stage import eventually
from tests.workers import Worker, has_logged

WAIT_S = 60
SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
QUIET = ("--without-gossip", "--without-mingle", "-l", "INFO")

if os.environ.get("CI") != "true":
    for needed in ("django", "django_celery_beat", "django_celery_results"):
        pytest.importorskip(needed, reason=f"{needed}, of the extra dev, is not installed")


class Project:
    """The project of `programs/compat_django.py`, with a database and a broker of its own."""

    def __init__(self, folder: Path, broker_url: str) -> None:
        self._folder = folder
        self._database = folder / "project.sqlite3"
        self._environment = {
            "COMPAT_DATABASE": str(self._database),
            "BROKER_URL": broker_url,
            "DJANGO_SETTINGS_MODULE": "compat_django_settings",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "programs")]),
        }
        self._run("-m", "django", "migrate", "--verbosity", "0")

    def _run(self, *arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def shell(self, code: str) -> str:
        """What a program prints that has the project set up."""
        return self._run("-c", f"from compat_django import *\nimport django\ndjango.setup()\n{code}")

    def select(self, query: str, *values: object) -> list[Any]:
        """Rows of the database."""
        with closing(sqlite3.connect(self._database, timeout=30)) as database:
            return database.execute(query, values).fetchall()

    def process(self, *command: str) -> Worker:
        """`python -m compat.celery -A compat_django COMMAND`."""
        log = self._folder / f"{command[0]}.log"
        ready = has_logged if command[0] == "worker" else lambda beat: "beat: Starting" in beat.log
        return Worker(["compat.celery", "-A", "compat_django", *command], self._environment, log, ready)


@pytest.fixture(scope="module")
def project(roomy_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project, with a worker."""
    made = Project(tmp_path_factory.mktemp("django"), f"{roomy_valkey.url.removesuffix('/0')}/196")
    with made.process("worker", "-c", "2", *QUIET):
        yield made


def test_results_are_in_the_projects_database(project: Project) -> None:
    assert project.shell("print(add.delay(20, 22).get(timeout=60))") == "42"

    (row,) = project.select(
        "SELECT status, result, task_args, worker FROM django_celery_results_taskresult WHERE task_name = ?",
        "compat_django.add",
    )
    assert row[:2] == ("SUCCESS", "42")
    assert "20, 22" in row[2]
    assert "@" in row[3]


def test_a_failure_is_there_with_its_traceback(project: Project) -> None:
    task_id = project.shell("print(fail.delay('no such order'))")
    query = "SELECT status, result, traceback FROM django_celery_results_taskresult WHERE task_id = ?"

    eventually(lambda: [row[0] for row in project.select(query, task_id)] == ["FAILURE"], within_s=WAIT_S)
    ((_, result, traceback),) = project.select(query, task_id)
    assert "no such order" in result
    assert "ValueError" in traceback


def test_a_chord_is_joined_by_the_database(project: Project) -> None:
    code = "from celery import chord\nprint(chord([add.si(1, 1), add.si(2, 2)])(add.si(3, 4)).get(timeout=60))"

    assert project.shell(code) == "7"


def test_beat_sends_what_the_database_says_and_sees_it_change(project: Project) -> None:
    project.shell(
        "from django_celery_beat.models import IntervalSchedule, PeriodicTask\n"
        "every, _ = IntervalSchedule.objects.get_or_create(every=1, period='seconds')\n"
        "PeriodicTask.objects.create(name='sums', task='compat_django.add', interval=every, args='[100, 1]')"
    )
    query = (
        "SELECT count(*) FROM django_celery_results_taskresult"
        " WHERE periodic_task_name = 'sums' AND status = 'SUCCESS' AND result = ?"
    )

    with project.process("beat", "--scheduler", SCHEDULER, "--max-interval", "1", "-l", "INFO"):
        eventually(lambda: project.select(query, "101")[0][0] >= 2, within_s=WAIT_S)
        project.shell(
            "from django_celery_beat.models import PeriodicTask\n"
            "task = PeriodicTask.objects.get(name='sums')\ntask.args = '[200, 1]'\ntask.save()"
        )
        eventually(lambda: project.select(query, "201")[0][0] >= 1, within_s=WAIT_S)
