"""The ways to put an application on Dramatiq, and that Celery itself stays as it was."""

import os
import subprocess
import sys
from pathlib import Path

import celery
import pytest
import redis
from celery.exceptions import ImproperlyConfigured

from compat.celery import Celery, install
from compat.celery.app import is_installed
from tests.compat.sides import ROOT
from tests.servers import ValkeyServer
from tests.workers import Worker, has_logged

LOADER = {"CELERY_LOADER": "compat.celery.loader:Loader"}


@pytest.fixture(scope="module")
def url(roomy_valkey: ValkeyServer) -> str:
    """A database that no other module uses."""
    return f"{roomy_valkey.url.removesuffix('/0')}/199"


def environment(url: str) -> dict[str, str]:
    """For a process with the plain program."""
    paths = [str(ROOT), str(ROOT / "tests" / "programs")]
    return {"REDIS_URL": url, "BROKER_URL": url, "PYTHONPATH": os.pathsep.join(paths)}


def waiting(url: str) -> set[str]:
    """The queues in which something waits, by their keys in Redis."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        keys = client.keys("*celery")
        assert isinstance(keys, list)
        return {key for key in keys if not key.startswith("_kombu")}


def flush(url: str) -> None:
    """Begin with an empty database."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()


def test_one_application_is_on_dramatiq_and_another_of_the_same_process_is_not(url: str) -> None:
    flush(url)
    plain, installed = celery.Celery("plain", broker=url), install(celery.Celery("installed", broker=url))
    made = Celery("made", broker=url)

    for app in (plain, installed, made):
        app.send_task("some.task")

    assert not is_installed(plain)
    assert is_installed(installed)
    assert is_installed(made)
    assert waiting(url) == {"celery", "celery-dramatiq:celery"}
    for app in (plain, installed, made):
        app.close()


def test_code_that_cannot_be_edited_runs_on_dramatiq(url: str, tmp_path: Path) -> None:
    flush(url)
    given = environment(url)
    command = ["compat.celery", "-A", "compat_plain", "worker", "-c", "1", "--without-mingle", "--without-gossip"]
    command += ["-l", "INFO"]
    script = str(ROOT / "tests" / "programs" / "compat_plain.py")
    with Worker(command, given, tmp_path / "worker.log", has_logged):
        sent = subprocess.run(
            [sys.executable, script], env={**os.environ, **given, **LOADER}, capture_output=True, text=True, check=False
        )

    assert sent.stdout.strip() == "42", sent.stderr
    assert "celery" not in waiting(url)


def test_the_switch_leaves_an_application_on_celery(url: str) -> None:
    flush(url)
    program = "import compat_plain as p; p.double.delay(1)"
    switched_off = {**os.environ, **environment(url), **LOADER, "CELERY_ON_DRAMATIQ": "0"}
    subprocess.run([sys.executable, "-c", program], env=switched_off, check=True)

    assert waiting(url) == {"celery"}


def test_publishing_opens_no_connection_of_kombu(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from kombu import Connection

    def refuse(self: Connection) -> None:
        pytest.fail("kombu connected")

    monkeypatch.setattr(Connection, "_establish_connection", refuse)
    app = Celery("quiet", broker=url)

    app.send_task("some.task", countdown=5, expires=60, priority=3)

    app.close()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["worker", "-D"], "-D / --detach is not supported on Dramatiq"),
        (["worker", "--pool-start-method", "spawn"], "--pool-start-method spawn is not supported on Dramatiq"),
        (["multi", "start", "w1"], "multi is not supported on Dramatiq"),
        (["migrate", "redis://", "amqp://"], "migrate is not supported on Dramatiq"),
    ],
)
def test_what_cannot_be_supported_is_refused_by_name(url: str, arguments: list[str], reason: str) -> None:
    command = [sys.executable, "-m", "compat.celery", "-A", "compat_plain", *arguments]
    given = {**os.environ, **environment(url)}
    ended = subprocess.run(command, env=given, capture_output=True, text=True, check=False, cwd=ROOT)

    assert ended.returncode == 2
    assert reason in ended.stderr


def test_a_broker_that_dramatiq_has_none_for_is_refused() -> None:
    app = Celery("odd", broker="filesystem://")

    with pytest.raises(ImproperlyConfigured, match="filesystem"):
        app.send_task("some.task")
    app.close()


def test_purge_drops_what_waits(url: str) -> None:
    flush(url)
    app = Celery("purged", broker=url)
    for priority in (0, 3, 9):
        app.send_task("some.task", priority=priority)

    assert app.control.purge() == 3
    assert app.control.purge() == 0
    app.close()


def test_a_worker_takes_what_celerys_producers_send_when_it_is_told_to(url: str, tmp_path: Path) -> None:
    flush(url)
    given = environment(url)
    command = ["compat.celery", "-A", "compat_plain", "worker", "-c", "1", "--without-mingle", "--without-gossip"]
    command += ["-l", "INFO"]
    script = str(ROOT / "tests" / "programs" / "compat_plain.py")
    with Worker(command, {**given, "READS_CELERYS": "1"}, tmp_path / "worker.log", has_logged):
        on_celery = subprocess.run(
            [sys.executable, script], env={**os.environ, **given}, capture_output=True, text=True, check=False
        )
        on_dramatiq = subprocess.run(
            [sys.executable, script], env={**os.environ, **given, **LOADER}, capture_output=True, text=True, check=False
        )

    assert [sent.stdout.strip() for sent in (on_celery, on_dramatiq)] == ["42", "42"], on_celery.stderr
