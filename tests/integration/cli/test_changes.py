"""`queues cancel` and `queues release`: guarded changes."""

import pytest

from queues import State
from queues.commands import changes
from queues.idempotency.state import Begin, Complete, Kind
from queues.message import Message
from tests.integration.cli.conftest import TTL_MS, Run, Shop
from tests.stage import eventually


def test_nothing_is_changed_without_a_terminal_and_without_yes(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")

    ended = [queues(command, handle.id) for command in ("cancel", "release")]

    assert [e.code for e in ended] == [4, 4]
    assert all("--yes agrees to it" in e.out for e in ended)
    assert handle.state is State.QUEUED


def test_queued_work_is_cancelled(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")

    ended = queues("cancel", handle.id, "--yes")

    assert (ended.code, ended.out.splitlines()[-1]) == (0, "Cancelled.")
    assert handle.status().error is not None
    assert handle.status().error.code == "cancelled"


def test_running_work_is_asked_to_stop(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.begin(handle)

    ended = queues("cancel", handle.key, "--yes", "--json")

    assert ended.document["outcome"] == "asked"
    assert handle.status().is_cancel_asked


def test_an_outcome_is_neither_cancelled_nor_released(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.complete(handle)

    ended = [queues(command, handle.id, "--yes") for command in ("cancel", "release")]

    assert [e.code for e in ended] == [1, 1]
    assert handle.result(timeout=0) == {"paid": 5}


def test_an_unknown_id_is_not_found(queues: Run) -> None:
    assert [queues(command, "0" * 40, "--yes").code for command in ("cancel", "release")] == [1, 1]


def test_a_live_lease_is_not_released_without_force(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    token = shop.begin(handle).token

    ended = queues("release", handle.id, "--yes")

    assert ended.code == 4
    assert "may run twice at the same time" in ended.out
    assert shop.store.apply(handle.key, Complete(token, b'{"ok":1}', TTL_MS)).kind is Kind.OK


def test_a_lease_that_was_released_by_force_can_store_nothing_any_more(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    token = shop.begin(handle).token

    ended = queues("release", handle.id, "--yes", "--force")

    assert ended.code == 0
    assert shop.store.apply(handle.key, Complete(token, b'{"ok":1}', TTL_MS)).kind is Kind.FENCED
    assert handle.state is State.QUEUED
    assert handle.key in [due.digest for due in shop.store.due(0, 10_000)]


def test_an_ended_lease_is_released_without_force(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.begin(handle, lease_ms=100)
    eventually(lambda: queues("locks", "--overdue", "--json").document["records"])

    assert queues("release", handle.id, "--yes").code == 0
    assert handle.state is State.QUEUED


@pytest.mark.parametrize("state", [State.QUEUED, State.WAITING])
def test_released_work_that_did_not_run_is_published_again_at_once(shop: Shop, queues: Run, state: State) -> None:
    handle = shop.charge.send("o-1")
    if state is State.WAITING:
        shop.wait(handle, 50_000)
    retries = shop.store.read(handle.key).retries

    ended = queues("release", handle.id, "--yes")

    record = shop.store.read(handle.key)
    assert ended.code == 0
    assert handle.key in [due.digest for due in shop.store.due(0, 10_000)]
    assert (record.state, record.retries, record.lost) == (State.QUEUED, retries, 0)


def test_a_released_tasks_message_is_published_by_a_workers_recovery(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    queues("release", handle.id, "--yes")

    engine = shop.queue.backend.app.onceq_engine

    eventually(lambda: engine.recovery.look() == 1)
    assert shop.store.read(handle.key).helps == 1


def test_work_that_was_asked_to_stop_ends_as_cancelled(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.begin(handle, lease_ms=100)
    handle.cancel()
    eventually(lambda: queues("locks", "--overdue", "--json").document["records"])

    ended = queues("release", handle.id, "--yes", "--json")

    assert (ended.code, ended.document["outcome"]) == (0, "cancelled")
    assert handle.state is State.FAILED


def test_a_change_that_comes_between_is_not_overwritten(
    shop: Shop, queues: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = shop.charge.send("o-1")
    agreed = changes._is_agreed

    def begun_meanwhile(*arguments: object) -> bool:
        shop.begin(handle)
        return agreed(*arguments)

    monkeypatch.setattr(changes, "_is_agreed", begun_meanwhile)

    assert queues("release", handle.id, "--yes").code == 4
    assert handle.state is State.RUNNING


def test_a_lock_that_a_program_took_is_removed(shop: Shop, queues: Run) -> None:
    digest = "ab" * 20
    message = Message(f"{digest}-{'0' * 12}", "shop.charge", "default", digest, options={"manual": {}})
    shop.store.apply(digest, Begin("", message.id, message.encoded(), "x", 0, 30_000, 3, TTL_MS))

    ended = queues("release", digest, "--yes", "--force")

    assert "the lock is free" in ended.out
    assert shop.store.read(digest) is None
