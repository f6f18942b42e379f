"""`queues dead-letters`: list, show, replay, drop and purge, on the records of a real server."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from queues import Handle, State
from queues.idempotency import envelope
from queues.idempotency.burial import Bury
from queues.message import Message
from tests.integration.cli.conftest import Run, Shop

LIST = """\
FAILED  TASK  ID  ATTEMPTS  LOST  ERROR
<time> ago  shop.charge  <id>  1  -  ValueError: no such card
"""
PROGRAM = """\
import os

from queues import Tasks, connect

tasks = Tasks(namespace="shop")


@tasks.task
def charge(order, amount=5):
    return amount


queue = connect(tasks, redis_url=os.environ["REDIS_URL"], prefix=os.environ["QUEUES_PREFIX"])
"""


def failed(shop: Shop, order: str = "o-1") -> Handle:
    """Work whose worker said that it failed."""
    handle = shop.charge.send(order, 7)
    try:
        raise ValueError("no such card")  # noqa: TRY301 - for its traceback
    except ValueError as exc:
        shop.fail(handle, outcome=envelope.of_failure(envelope.failure_of(exc)))
    return handle


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An application that the command can import."""
    (tmp_path / "cli_letters_shop.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield "cli_letters_shop:queue"
    sys.modules.pop("cli_letters_shop", None)


def test_dead_letters_are_a_table_of_this_form(shop: Shop, queues: Run) -> None:
    assert "No dead letters" in queues("dead-letters", "list").out
    failed(shop)

    ended = queues("dead-letters", "list")
    assert ended.golden == LIST
    assert ended.code == 0


def test_they_are_listed_by_task_and_in_pages(shop: Shop, queues: Run) -> None:
    sent = [failed(shop, f"o-{number}").id for number in range(3)]

    first = queues("dead-letters", "list", "--limit", "2", "--json").document
    shown = [letter["id"] for letter in first["dead_letters"]]
    second = queues("dead-letters", "list", "--json", "--before", shown[-1]).document
    none = queues("dead-letters", "list", "--json", "--task", "shop.refund").document

    assert (first["has_more"], second["has_more"], first["kept"]) == (True, False, 3)
    assert sorted([*shown, *(letter["id"] for letter in second["dead_letters"])]) == sorted(sent)
    assert none["dead_letters"] == []
    assert f"--before {shown[-1]}" in queues("dead-letters", "list", "--limit", "2").out


def test_a_letter_is_shown_with_its_call_and_traceback(shop: Shop, queues: Run) -> None:
    handle = failed(shop)

    ended, document = (queues("dead-letters", "show", handle.id, *more) for more in ((), ("--json",)))

    assert "shop.charge failed" in ended.out
    for part in (handle.key, '"o-1", 7', "no such card", "Traceback", "raise ValueError"):
        assert part in ended.out
    told = document.document
    assert (told["args"], told["attempts"], told["state"], told["is_runnable"]) == (["o-1", 7], 1, "failed", True)
    assert "raise ValueError" in told["traceback"]


def test_no_args_leaves_out_what_a_task_was_given_and_said(shop: Shop, queues: Run) -> None:
    handle = failed(shop)

    for command in (("list",), ("list", "--json"), ("show", handle.id), ("show", handle.id, "--json")):
        out = queues("dead-letters", *command, "--no-args").out
        assert "ValueError" in out
        assert not [secret for secret in ("o-1", "card", "raise") if secret in out]


def test_garbage_is_shown_without_harm_to_a_terminal(shop: Shop, queues: Run) -> None:
    shop.store.apply("ab" * 20, Bury("unreadable-1", b"\x1b[2J\xff", b'{"error":{"type":"ValueError"}}'))

    ended = queues("dead-letters", "show", "unreadable-1")

    assert "\x1b" not in ended.out
    assert "What was on the queue" in ended.out
    assert queues("dead-letters", "replay", "unreadable-1", "--yes").code == 4
    assert "not JSON" in queues("dead-letters", "replay", "unreadable-1", "--dry-run").out


def test_a_replay_is_agreed_to_and_needs_no_application(shop: Shop, queues: Run) -> None:
    handle = failed(shop)

    asked = queues("dead-letters", "replay", handle.id)
    dry = queues("dead-letters", "replay", handle.id, "--dry-run", "--json")
    still = handle.state
    done = queues("dead-letters", "replay", handle.id, "--yes", "--json")

    assert (asked.code, dry.code, done.code) == (4, 0, 0)
    assert "Nothing was changed" in asked.out
    assert dry.document["decision"] == "executed"
    assert still is State.FAILED
    assert (done.document["outcome"], done.document["id"]) == ("replayed", handle.id)
    assert handle.state is State.QUEUED
    assert [due.digest for due in shop.store.due(0, 10)] == [handle.key]
    assert queues("dead-letters", "replay", handle.id, "--yes").code == 1


def test_a_replay_that_queues_nothing_says_why(shop: Shop, queues: Run) -> None:
    handle = failed(shop)
    again = shop.charge.send("o-1", 7)

    ended = queues("dead-letters", "replay", handle.id, "--yes")

    assert ended.code == 1
    assert f"{again.id} answers (joined)" in ended.out
    assert queues("dead-letters", "show", handle.id).code == 0


def test_a_cached_failure_gives_way_to_a_released_key(shop: Shop, queues: Run) -> None:
    handle = shop.refund.send("o-1")
    shop.fail(handle, is_cached=True)

    kept = queues("dead-letters", "replay", handle.id, "--yes")
    freed = queues("dead-letters", "replay", handle.id, "--yes", "--release-key")

    assert (kept.code, freed.code) == (1, 0)
    assert "release the key" in kept.out
    assert handle.state is State.QUEUED


def test_other_arguments_need_the_application(shop: Shop, queues: Run, program: str) -> None:
    handle = failed(shop)
    command = ("dead-letters", "replay", handle.id, "--args", '["o-2"]', "--yes")

    without, done = queues(*command), queues(*command, "--app", program, "--json")

    assert without.code == 64
    assert "MODULE:QUEUE" in without.err
    assert done.code == 0
    made = shop.queue.handle(done.document["id"])
    assert made.key != handle.key
    assert Message.decoded(shop.store.read(made.key).message).args == ("o-2",)
    assert queues("dead-letters", "show", handle.id).code == 1


@pytest.mark.parametrize("options", [("--args", "{}"), ("--kwargs", "[]"), ("--args", "no JSON")])
def test_arguments_that_are_none_are_refused(shop: Shop, queues: Run, program: str, options: tuple[str, str]) -> None:
    handle = failed(shop)

    ended = queues("dead-letters", "replay", handle.id, "--app", program, "--yes", *options)

    assert ended.code == 64
    assert queues("dead-letters", "show", handle.id).code == 0


def test_letters_are_dropped_and_purged(shop: Shop, queues: Run) -> None:
    sent = [failed(shop, f"o-{number}").id for number in range(3)]

    refused = queues("dead-letters", "purge")
    dropped = [queues("dead-letters", "drop", sent[0], *more).code for more in ((), ("--yes",), ("--yes",))]
    young = queues("dead-letters", "purge", "--older-than", "1h", "--yes", "--json").document
    every = queues("dead-letters", "purge", "--task", "shop.charge", "--yes", "--json").document

    assert refused.code == 4
    assert dropped == [4, 0, 1]
    assert (young["removed"], every["removed"]) == (0, 2)
    assert "not a time" in queues("dead-letters", "purge", "--older-than", "soon").err


def test_stats_and_explain_speak_of_them(shop: Shop, queues: Run) -> None:
    handle = failed(shop)

    assert queues("stats", "--json").document["dead_letters"] == 1
    assert f"queues dead-letters show {handle.id}" in queues("explain", handle.id).out
    shop.store._client.delete(*shop.store.keys.of(handle.key))
    unknown = queues("explain", handle.id)
    assert unknown.code == 1
    assert f"queues dead-letters show {handle.id}" in unknown.out
    assert queues("explain", handle.id, "--json").document["dead_letters"] == [handle.id]


def test_a_letter_that_is_not_there_is_said_to_be_none(queues: Run) -> None:
    for command in ("show", "replay", "drop"):
        ended = queues("dead-letters", command, "nothing")
        assert ended.code == 1
        assert "No dead letter of nothing" in ended.out
