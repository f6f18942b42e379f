"""Workers of both task systems whose records are on a cluster, or behind sentinels that fail over."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from queues import errors
from tests.cluster import ValkeyCluster
from tests.integration.topology.conftest import Begun
from tests.integration.workers.migrating import moved
from tests.sentinels import Sentinels
from tests.stage import eventually

PATIENCE_S = 60.0
KINDS = ["celery", "dramatiq"]


def asked(step: Callable[[], Any]) -> Any:
    """The step's answer, asked for again while the sentinels do not agree on a master yet."""
    answers: list[Any] = []

    def is_answered() -> bool:
        with suppress(errors.StoreUnavailableError, errors.BrokerUnavailableError, errors.ResultTimeoutError):
            answers.append(step())
        return bool(answers)

    eventually(is_answered, within_s=PATIENCE_S)
    return answers[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_records_on_a_cluster_serve_a_worker_whose_queues_are_elsewhere(
    cluster: ValkeyCluster, begun: Begun, name, kind
):
    stage, _ = begun(kind, cluster.url)

    handles = [stage.program.echo.send(f"{name}-{number}", number) for number in range(20)]
    again = stage.program.echo.send(f"{name}-3", 3)
    results = [handle.result(timeout=PATIENCE_S) for handle in handles]
    failed = stage.program.fails.send(name, 1).result(timeout=PATIENCE_S)

    assert results == [*range(20)]
    assert again.id == handles[3].id
    assert [stage.effects(f"{name}-{number}") for number in range(20)] == [["ran"]] * 20
    assert failed == "succeeded in attempt 2"
    assert stage.queue.unfinished() == 0


@pytest.mark.slow
def test_queued_work_moves_to_the_other_backend_while_its_records_are_on_a_cluster(
    cluster: ValkeyCluster, begun: Begun, name
):
    old, worker = begun("celery", cluster.url)
    worker.kill()
    handles = [old.program.echo.send(f"{name}-{number}", number) for number in range(100)]
    new, _ = begun("dramatiq", cluster.url)

    tally = moved(old, new)
    shares = [new.program.tasks.get("program.shares").send(name, "one", number, 0.05) for number in range(4)]
    rated = [new.program.tasks.get("program.is_rated").send(name, number) for number in range(3)]

    assert (tally.moved, tally.left) == (100, 0)
    assert [handle.result(timeout=PATIENCE_S) for handle in handles] == [*range(100)]
    assert [new.effects(f"{name}-{number}") for number in range(100)] == [["ran"]] * 100
    assert [handle.result(timeout=PATIENCE_S) for handle in shares] == [*range(4)]
    assert [handle.result(timeout=PATIENCE_S) for handle in rated] == [*range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_failover_by_sentinels_costs_no_outcome(tmp_path: Path, begun: Begun, name: str, kind: str):
    with Sentinels(tmp_path / "sentinels") as sentinels:
        stage, _ = begun(kind, sentinels.url)
        handle = stage.program.kept.send(name, 2.5)
        eventually(lambda: stage.effects(name), within_s=PATIENCE_S)
        eventually(sentinels.is_in_step, within_s=PATIENCE_S)

        sentinels.master.kill()
        eventually(lambda: sentinels.master_port() == sentinels.replica.port, within_s=PATIENCE_S)
        result = asked(lambda: handle.result(timeout=1))
        after = asked(lambda: stage.program.echo.send(f"{name}-after", 1).result(timeout=1))

        assert (result, after) == (name, 1)
        assert stage.effects(name) == ["began", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_master_behind_sentinels_holds_records_and_queues(tmp_path: Path, begun: Begun, name: str, kind: str):
    with Sentinels(tmp_path / "sentinels", password="p@ss+word", sentinel_password="other/word") as sentinels:
        stage, _ = begun(kind, sentinels.url, sentinels.url)

        handle = stage.program.echo.send(name, "there")

        assert handle.result(timeout=PATIENCE_S) == "there"
        assert stage.queue.backend._is_in_store
