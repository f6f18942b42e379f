"""`queues explain`: the story of one task, from its record alone."""

import secrets
import time

from queues.idempotency.state import Release
from queues.limits.concurrency import Concurrency, Slot
from tests.integration.cli.conftest import Run, Shop
from tests.stage import eventually

QUEUED = """\
shop.charge is queued

  id  <id>
  key  <key>
  queue  default
  arguments  "o-1", amount=7
  submitted  <moment>, <time> ago
  attempt  none yet
  recovery  publishes it again at <moment>, unless it goes on
  forgotten  <moment>, in <time>

What happened
  - Accepted <time> ago, as message <id>.
  - It waits in its queue; no worker has begun it.

What would happen now
  - Submitted: joined; the work is queued: nothing would be published, and the submitter gets a handle to it; \
a task with another `on_duplicate` than join answers as that says.
  - Delivered: run; nobody holds a lease: the worker runs it.
"""


def test_work_that_waits_in_its_queue_is_told_as_this_text(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1", amount=7)

    ended = queues("explain", handle.id)

    assert ended.golden == QUEUED
    assert ended.code == 0


def test_a_running_task_tells_its_lease_its_token_and_how_far_it_is(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    token = shop.begin(handle).token
    shop.say(handle, token, '[3,10,"reading"]')

    said = queues("explain", handle.key, "--json").document

    assert (said["state"], said["attempt"], said["token"], said["id"]) == ("running", 1, token, handle.id)
    assert said["progress"] == {"done": 3, "total": 10, "note": "reading"}
    assert 0 < said["lease_ends_ms"] - said["now_ms"] <= 30_000
    assert said["duplicate"]["decision"] == "joined"
    assert said["delivery"]["decision"] == "deferred"


def test_a_takeover_and_an_ended_lease_are_part_of_the_story(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.begin(handle, lease_ms=100)
    eventually(lambda: shop.begin(handle, lease_ms=100).kind == "run")
    eventually(lambda: queues("locks", "--overdue", "--json").document["records"])

    ended = queues("explain", handle.id)

    assert "shop.charge is running, and overdue" in ended.out
    assert "1 time(s) in a row a lease ended before its run did" in ended.out
    assert "Delivered: run; the lease is over: the worker takes the work over, under a higher token." in ended.out
    assert "Submitted: joined; this work is overdue: its message would be published again" in ended.out


def test_a_retry_tells_when_it_is_due(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.wait(handle, 50_000)

    said = queues("explain", handle.id, "--json").document

    assert said["state"] == "waiting"
    assert 0 < said["retry_due_ms"] - said["now_ms"] <= 50_000
    assert said["attempt"] == 1
    assert any("Attempt 2 is due in" in sentence for sentence in said["story"])


def test_an_outcome_tells_what_a_duplicate_is_answered(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.complete(handle)

    ended = queues("explain", handle.id)

    assert "Work is completed" in ended.out
    assert '{"paid": 5}' in ended.out
    assert "Submitted: replayed; there is an outcome" in ended.out


def test_a_failure_that_is_not_cached_says_that_a_new_submission_runs(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.fail(handle)

    ended = queues("explain", handle.id)

    assert "Submitted: executed;" in ended.out
    assert "Delivered: replayed;" in ended.out


def test_a_cached_failure_answers_new_submissions(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    shop.fail(handle, is_cached=True)

    assert queues("explain", handle.id, "--json").document["duplicate"]["decision"] == "replayed"


def test_a_foretold_duplicate_is_what_a_submission_then_gets(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")
    foretold = [queues("explain", handle.id, "--json").document["duplicate"]["decision"]]
    decided = [shop.charge.send("o-1").decision.value]
    shop.complete(handle)
    foretold.append(queues("explain", handle.id, "--json").document["duplicate"]["decision"])
    decided.append(shop.charge.send("o-1").decision.value)

    assert foretold == decided == ["joined", "replayed"]


def test_a_key_of_ones_own_is_found_by_the_tasks_name(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send_with_options(("o-1",), key="order 1", scope="tenant-a")

    said = queues("explain", "order 1", "--task", "shop.charge", "--scope", "tenant-a", "--json")

    assert said.document["id"] == handle.id


def test_an_id_of_another_making_is_looked_for_in_every_record(shop: Shop, queues: Run) -> None:
    native = "5e6b9f0e-1111-4222-8333-944445555666"
    digest = secrets.token_hex(20)
    _begin_as(shop, digest, native)

    assert queues("explain", native, "--json").document["key"] == digest


def test_an_unknown_id_says_what_that_can_mean(shop: Shop, queues: Run) -> None:
    shop.charge.send("o-1")

    ended = queues("explain", f"{'0' * 40}-{'0' * 12}")

    assert ended.code == 1
    assert ended.golden.startswith("No record of <id> in <place>, which holds 1 unfinished.")
    assert "Its outcome expired" in ended.out
    assert queues("explain", "0" * 40, "--json").document["state"] == "unknown"


def test_arguments_and_results_are_left_out_when_that_is_asked(shop: Shop, queues: Run) -> None:
    queued, done = shop.charge.send("card 4111", amount=7), shop.charge.send("card 4222")
    token = shop.begin(queued).token
    shop.say(queued, token, '[1,2,"card 4111"]')
    shop.complete(done, b'{"ok":"card 4222"}')

    said = [
        queues("explain", work.id, "--no-args", *more).out for work in (queued, done) for more in ([], ["--json"])
    ] + [queues(command, "--json", "--no-args").out for command in ("locks", "results")]

    assert not [text for text in said if "card" in text]


def test_what_a_terminal_would_obey_is_shown_and_not_sent(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("\x1b]0;owned\x07\x9b31m\u202e")
    digest = secrets.token_hex(20)
    _begin_as(shop, digest, "evil\x1b[2J-id-of-somebody")

    said = queues("explain", handle.id).out + queues("explain", digest).out + queues("locks").out

    assert all(character.isprintable() or character == "\n" for character in said)


def test_a_long_argument_and_a_large_result_are_cut(shop: Shop, queues: Run) -> None:
    queued, done = shop.charge.send("x" * 100_000), shop.charge.send("y")
    shop.complete(done, b'{"ok":"' + b"z" * 100_000 + b'"}')

    said = queues("explain", queued.id).out + queues("explain", done.id).out

    assert len(said) < 6_000
    assert "too long to be shown" in said


def test_a_message_that_cannot_be_read_is_told_and_does_not_fail(shop: Shop, queues: Run) -> None:
    digest = secrets.token_hex(20)
    _begin_as(shop, digest, "somebody-else", b'{"v":99}')

    ended = queues("explain", digest)

    assert ended.code == 0
    assert "version 99" in queues("locks").out


def _begin_as(shop: Shop, digest: str, message_id: str, message: bytes | None = None) -> None:
    from queues.idempotency.state import Begin
    from queues.message import Message

    content = message or Message(message_id, "shop.charge", "default", digest, ("x",)).encoded()
    shop.store.apply(digest, Begin("", message_id, content, f"at {time.monotonic()}", 0, 30_000, 3, 60_000))


def given_back(shop: Shop, token: int, key: str) -> None:
    """What a worker does with work that its task's limits keep from beginning."""
    shop.store.apply(key, Release(token, 60_000, 60_000))


def test_work_that_waits_for_its_turn_tells_its_place(shop: Shop, queues: Run) -> None:
    first, second, third = (shop.charge.send(f"o-{number}") for number in range(3))
    shop.store.limiter.take_turn("shop.charge", first.id, 60_000_000)
    for handle in (second, third):
        token = shop.begin(handle).token
        assert not shop.store.limiter.take_turn("shop.charge", handle.id, 60_000_000).is_given
        given_back(shop, token, handle.key)

    said, told = queues("explain", third.id), queues("explain", third.id, "--json").document

    assert "gave it back, no attempt counted" in said.out
    assert "waits for its turn under its task's rate_limit: its place is in 1 min" in said.out
    assert "with 1 before it" in said.out
    assert "when its limit allows it" in said.out
    assert told["limit"]["kind"] == "rate"
    assert 60_000 < told["limit"]["in_ms"] <= 120_000
    assert queues("explain", first.id, "--json").document["limit"] is None


def test_work_that_waits_for_a_slot_tells_who_has_them(shop: Shop, queues: Run) -> None:
    holder, waiting = shop.charge.send("o-1"), shop.charge.send("o-2")
    name = Concurrency(1, per="amount").slots("shop.charge", {"order": "o-1", "amount": 5})
    for handle in (holder, waiting):
        token = shop.begin(handle).token
        answer = shop.store.limiter.take_slot(Slot(name, 1, 30_000, handle.key, token), {})
        if handle is waiting:
            assert answer.wait_ms
            given_back(shop, token, handle.key)

    said, told = queues("explain", waiting.id), queues("explain", waiting.id, "--json").document

    assert (
        f"slot of its task's concurrency limit, with 0 others: the work of these keys has them: {holder.key}."
        in said.out
    )
    assert told["limit"] == {"kind": "concurrency", "holders": [holder.key], "waiting": 1}
    assert queues("explain", holder.id, "--json").document["limit"] is None
