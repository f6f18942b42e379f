"""The ways to put an application on Dramatiq, and that Celery itself stays as it was."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import celery
import pytest
import redis
from celery.exceptions import ImproperlyConfigured

from compat.celery import Celery, install
from compat.celery.app import is_installed
from tests.compat.sides import ROOT
from tests.forks import told_by_child
from tests.servers import ValkeyServer
from tests.stage import eventually
from tests.workers import Worker, has_logged

QUIET = ("-c", "1", "-l", "INFO", "--without-mingle", "--without-gossip")
PLAIN = str(ROOT / "tests" / "programs" / "compat_plain.py")


@pytest.fixture(scope="module")
def url(roomy_valkey: ValkeyServer) -> str:
    """A database that no other module uses."""
    return f"{roomy_valkey.url.removesuffix('/0')}/199"


def environment(url: str) -> dict[str, str]:
    """For a process with the plain program."""
    paths = [str(ROOT), str(ROOT / "tests" / "programs")]
    return {"REDIS_URL": url, "BROKER_URL": url, "PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture
def switched(tmp_path: Path, url: str) -> dict[str, str]:
    """For a process with the variable set, where the file that reads it is among the installed packages."""
    packages = tmp_path / "site-packages"
    packages.mkdir()
    shutil.copy(ROOT / "compat" / "celery-on-dramatiq.pth", packages)
    (tmp_path / "sitecustomize.py").write_text(f"import site; site.addsitedir({str(packages)!r})")
    given = environment(url)
    return {**given, "PYTHONPATH": os.pathsep.join([str(tmp_path), given["PYTHONPATH"]]), "CELERY_ON_DRAMATIQ": "1"}


def run(program: list[str], given: dict[str, str]) -> str:
    """What a Python process printed."""
    ended = subprocess.run(
        [sys.executable, *program], env={**os.environ, **given}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def waiting(url: str) -> set[str]:
    """The queues in which something waits, by their keys in Redis."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        keys = client.keys("*celery")
        assert isinstance(keys, list)
        return {key for key in keys if not key.startswith("_kombu")}


def connected(url: str, client_name: str) -> int:
    """How many connections of that name Redis has."""
    with redis.Redis.from_url(url) as client:
        return sum(each["name"] == client_name for each in client.client_list())


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


@pytest.mark.parametrize("module", ["celery", "compat.celery"])
def test_code_that_cannot_be_edited_runs_on_dramatiq(
    url: str, switched: dict[str, str], tmp_path: Path, module: str
) -> None:
    flush(url)
    with Worker([module, "-A", "compat_plain", "worker", *QUIET], switched, tmp_path / "worker.log", has_logged):
        assert run([PLAIN], switched) == "42"
    assert "celery" not in waiting(url)


@pytest.mark.parametrize("first", ["app.send_task('some.task')", "app.control.purge(); app.send_task('some.task')"])
def test_the_switch_holds_for_the_first_thing_that_an_application_does(
    url: str, switched: dict[str, str], first: str
) -> None:
    flush(url)
    for made in ("celery.Celery('odd', broker=url, loader='app', fixups=[])", "celery.Celery(broker=url)"):
        run(["-c", f"import celery; url = {url!r}; app = {made}; {first}"], switched)

    assert waiting(url) == {"celery-dramatiq:celery"}


@pytest.mark.parametrize("said", ["0", "", "off"])
def test_without_the_variable_nothing_of_the_shim_is_imported(url: str, switched: dict[str, str], said: str) -> None:
    flush(url)
    program = "import sys, compat_plain as p; p.double.delay(1); print([m for m in sys.modules if 'compat.' in m])"

    assert run(["-c", program], {**switched, "CELERY_ON_DRAMATIQ": said}) in ("[]", "['compat.switch']")
    assert waiting(url) == {"celery"}


@pytest.mark.parametrize("make", [Celery, lambda *args, **kwargs: install(celery.Celery(*args, **kwargs))])
def test_a_closed_application_leaves_no_connection_to_redis(url: str, make: Callable[..., celery.Celery]) -> None:
    named = f"closed-{uuid.uuid4().hex[:8]}"
    app = make("closed", broker=url, broker_transport_options={"client_name": named})
    app.send_task("some.task")
    before = connected(url, named)

    app.close()

    assert before == 1
    eventually(lambda: connected(url, named) == 0, within_s=10)


@pytest.mark.rabbitmq
def test_a_closed_application_leaves_no_connection_to_rabbitmq(rabbit_vhost: Callable[[], str]) -> None:
    app = Celery("closed", broker=rabbit_vhost())
    app.send_task("some.task")
    connection = app.amqp.broker.connection

    app.close()

    assert not connection.is_open


def test_a_closed_application_that_is_used_again_connects_anew(url: str) -> None:
    flush(url)
    app = Celery("again", broker=url)
    app.send_task("some.task")
    app.close()

    app.send_task("some.task")

    assert app.control.purge() == 2
    app.close()


@pytest.mark.rabbitmq
def test_a_child_that_closes_its_copy_of_an_application_leaves_the_parents_connection(
    rabbit_vhost: Callable[[], str],
) -> None:
    app = Celery("forked", broker=rabbit_vhost())
    app.send_task("some.task")

    def close() -> bytes:
        app.close()
        return b""

    told_by_child(close)

    app.amqp.broker.connection.process_data_events(time_limit=0)

    assert app.amqp.broker.connection.is_open
    app.close()


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
        (["worker", "-P", "gevent"], "-P gevent is not supported on Dramatiq"),
        (["worker", "-P", "eventlet"], "-P eventlet is not supported on Dramatiq"),
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


@pytest.mark.filterwarnings("ignore::celery.platforms.SecurityWarning")  # where the tests are run by root
def test_a_worker_with_a_pool_that_is_refused_does_not_start_however_it_is_named(url: str) -> None:
    app = install(celery.Celery("patched", broker=url))
    app.conf.worker_pool = "gevent"

    with pytest.raises(ImproperlyConfigured, match="use -P threads"):
        app.Worker()
    app.close()


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


def test_a_worker_takes_what_celerys_producers_send_when_it_is_told_to(
    url: str, switched: dict[str, str], tmp_path: Path
) -> None:
    flush(url)
    given = {**switched, "READS_CELERYS": "1"}
    with Worker(["compat.celery", "-A", "compat_plain", "worker", *QUIET], given, tmp_path / "worker.log", has_logged):
        assert run([PLAIN], environment(url)) == "42"
        assert run([PLAIN], switched) == "42"
