"""The command line: each command says on the shim what `celery` says on Celery.

Where a worker is asked, it is named: the command ends with its answer, and not when nobody else can come any more.
"""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.compat.monitor import name_of
from tests.compat.sides import MODULES, Side
from tests.stage import eventually
from tests.workers import PROGRAMS, Worker

WAIT_S = 60

pytestmark = pytest.mark.usefixtures("reachable")


def said(side: Side, *arguments: str, status: int = 0) -> str:
    """What `celery -A compat_program ...`, or its counterpart, printed."""
    command = [sys.executable, "-m", MODULES[side.name], "-A", side.module, *arguments]
    ended = subprocess.run(
        command, env={**os.environ, **side.environment}, cwd=PROGRAMS, capture_output=True, text=True, check=False
    )
    assert ended.returncode == status, ended.stdout + ended.stderr
    return ended.stdout + (ended.stderr if status else "")


def test_a_task_is_called_and_its_result_read(side: Side) -> None:
    task_id = said(side, "call", "compat_program.add", "-a", "[20, 22]").strip()

    eventually(lambda: side.program.app.AsyncResult(task_id).ready(), within_s=WAIT_S)
    assert said(side, "result", task_id).strip() == "42"


def asked(worker: Worker) -> tuple[str, ...]:
    """The options that put a question to this worker, and wait for it."""
    return ("--destination", name_of(worker), "--timeout", str(WAIT_S))


def test_the_status_names_the_worker(side: Side, worker: Worker) -> None:
    found = said(side, "status", *asked(worker))

    assert re.search(r"\w+@\S+: OK", found)
    assert "1 node online." in found


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ping", "pong"),
        ("active_queues", '"routing_key": "celery"'),
        ("registered", "compat_program.add"),
        ("stats", '"prefetch_count"'),
        ("scheduled", "[]"),
    ],
)
def test_inspect_answers(side: Side, worker: Worker, command: str, expected: str) -> None:
    answers = json.loads(said(side, "inspect", command, "--json", *asked(worker)))

    assert len(answers) == 1
    assert expected in json.dumps(answers)


def test_control_answers(side: Side, worker: Worker) -> None:
    to_it = asked(worker)
    assert "new rate limit set" in said(side, "control", *to_it, "rate_limit", "compat_program.note", "100/s")
    assert "time limits set" in said(side, "control", *to_it, "time_limit", "compat_program.note", "50", "60")


def test_the_report_and_the_graph_are_celerys(side: Side) -> None:
    assert "software -> celery:5" in said(side, "report")
    assert "digraph" in said(side, "graph", "bootsteps")
    assert "digraph" in said(side, "graph", "workers", "nodes:1", "threads:2")


def test_an_unknown_command_and_an_unknown_app_are_refused(side: Side) -> None:
    assert "No such command 'nobody'" in said(side, "nobody", status=2)
    assert "Unable to load celery application" in said(side, "-A", "nobody_has_it", "status", status=2)
