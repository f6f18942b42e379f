"""The commands beside a real worker, whose tasks they look at, release and cancel."""

import uuid
from collections.abc import Iterator

import pytest

from queues import State
from tests.integration.cli.conftest import Run
from tests.rabbit import rabbit_vhost
from tests.stage import Stage, eventually
from tests.workers import Worker

__all__ = ["rabbit_vhost"]
DATABASE = 9


@pytest.fixture(scope="module")
def stage(valkey_url: str) -> Iterator[Stage]:
    """The test program on Dramatiq, in a database of its own."""
    url = f"{valkey_url.removesuffix('/0')}/{DATABASE}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("REDIS_URL", url)
        made = Stage("dramatiq", url, url)
        yield made
        made.close()


@pytest.fixture(scope="module")
def worker(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Its worker, a process of its own."""
    with stage.worker("dramatiq", tmp_path_factory.mktemp("worker")) as started:
        yield started


@pytest.fixture
def here(stage: Stage, queues: Run) -> Run:
    """Runs one command line on the stage's records."""

    def run(*argv: str) -> object:
        return queues(*argv, "--redis-url", stage.redis_url, "--prefix", "")

    return run


def test_a_living_worker_is_listed_and_its_progress_told(stage: Stage, worker: Worker, here: Run) -> None:
    handle = stage.program.steps.send(uuid.uuid4().hex, 60, 0.1)

    eventually(lambda: (here("explain", handle.id, "--json").document["progress"] or {"done": 0})["done"] > 3)

    assert [w["backend"] for w in here("workers", "--json").document["workers"]] == ["dramatiq"]
    assert here("cancel", handle.id, "--yes").code == 0
    eventually(lambda: handle.state is State.FAILED)


def test_work_whose_lease_is_taken_by_force_still_ends_in_one_outcome(stage: Stage, worker: Worker, here: Run) -> None:
    name = uuid.uuid4().hex
    handle = stage.program.steps.send(name, 30, 0.1)
    eventually(lambda: handle.state is State.RUNNING)
    first = handle.status().token

    ended = here("release", handle.id, "--yes", "--force")

    assert "a worker of its task publishes it" in ended.out
    assert handle.result(timeout=60) == f"{name}: 30 steps"
    assert handle.status().token > first
    assert stage.effects(name).count("done") == 1


def test_the_doctor_finds_the_worker(worker: Worker, here: Run) -> None:
    found = {finding["check"]: finding["severity"] for finding in here("doctor", "--json").document["findings"]}

    assert found["workers"] == "good"


@pytest.mark.rabbitmq
@pytest.mark.parametrize("backend", ["celery", "dramatiq"])
def test_a_rabbitmq_that_answers_is_found(
    backend: str, stage: Stage, request: pytest.FixtureRequest, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from queues.doctor.application import loaded
    from queues.doctor.examination import _reached
    from queues.doctor.finding import Severity

    module = f"on_rabbit_{backend}"
    broker_url = request.getfixturevalue("rabbit_vhost")()
    text = (
        f"from queues import Tasks, connect\nqueue = connect(Tasks(), backend={backend!r}, broker_url={broker_url!r})"
    )
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))

    application = loaded(f"{module}:queue")

    assert _reached(application, "").severity is Severity.GOOD
    application.native.close()
