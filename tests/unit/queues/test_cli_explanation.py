"""What is told of a record, without a server."""

from dataclasses import replace

import pytest

from queues.explanation import delivery, duplicate, duration, moment, story
from queues.idempotency import machine
from queues.idempotency.state import Admit, Begin, Cancel, Complete, Fail, Record, State, Wait
from queues.inspection import Work, cut, key_of, printable, shortened, work_of
from queues.message import Message
from queues.stores.redis_listing import Found

NOW_MS = 1_800_000_000_000
DIGEST = "ab" * 20
OWNER = f"{DIGEST}-{'0' * 12}"
MESSAGE = Message(OWNER, "shop.charge", "default", DIGEST, ("o-1",), {"amount": 7}).encoded()


def admitted() -> Record:
    record, _ = machine.admit(None, Admit("", OWNER, MESSAGE, 3_600_000, 60_000), NOW_MS)
    assert record is not None
    return record


def running(lease_ms: int = 30_000) -> Record:
    begin = Begin("", OWNER, MESSAGE, "delivery-1", 0, lease_ms, 3, 60_000)
    record, _ = machine.begin(admitted(), begin, NOW_MS)
    assert record is not None
    return record


def after(operation: object) -> Record:
    record, _ = machine.apply(running(), operation, NOW_MS)
    assert record is not None
    return record


TOKEN = running().token
RECORDS = {
    "queued": (admitted(), 0, "joined", "run"),
    "overdue": (admitted(), 4_000_000, "joined", "run"),
    "running": (running(), 1_000, "joined", "deferred"),
    "lease over": (running(), 31_000, "joined", "run"),
    "waiting": (after(Wait(TOKEN, MESSAGE, 1, 60_000, 1_000, 60_000)), 1_000, "joined", "run"),
    "completed": (after(Complete(TOKEN, b'{"ok":1}', 60_000)), 1_000, "replayed", "replayed"),
    "failed": (after(Fail(TOKEN, machine.DEAD_OUTCOME, False, 60_000)), 1_000, "executed", "replayed"),
    "failure cached": (after(Fail(TOKEN, machine.DEAD_OUTCOME, True, 60_000)), 1_000, "replayed", "replayed"),
    "lost too often": (replace(running(), lost=3), 31_000, "joined", "dead"),
    "asked to stop": (after(Cancel(60_000)), 1_000, "joined", "deferred"),
    "asked to stop, and gone": (after(Cancel(60_000)), 31_000, "joined", "replayed"),
}


def work(record: Record, later_ms: int = 0) -> Work:
    return work_of(Found(DIGEST, record, len(record.outcome), NOW_MS + later_ms))


@pytest.mark.parametrize(("record", "later_ms", "submitted", "delivered"), RECORDS.values(), ids=RECORDS)
def test_what_would_happen_is_foretold(record: Record, later_ms: int, submitted: str, delivered: str) -> None:
    assert duplicate(record, NOW_MS + later_ms).decision == submitted
    assert delivery(record, NOW_MS + later_ms).decision == delivered


@pytest.mark.parametrize(("record", "later_ms", "submitted", "delivered"), RECORDS.values(), ids=RECORDS)
def test_each_story_is_of_plain_sentences(record: Record, later_ms: int, submitted: str, delivered: str) -> None:
    lines = story(work(record, later_ms))

    assert lines
    assert all(line.endswith((".", "alive.")) and line.isprintable() for line in lines)


def test_the_story_of_a_takeover_is_this_text() -> None:
    record = replace(running(), lost=1, helps=2)

    assert story(work(record, 31_500)) == [
        f"Accepted 31.5 s ago, as message {OWNER}.",
        (
            "1 time(s) in a row a lease ended before its run did: the worker died, or stood still for longer than the "
            "lease. Each time another one took the work over."
        ),
        f"Attempt 1 ran under fencing token {TOKEN}; its lease ended 1.5 s ago, not renewed.",
        "Its message was published again 2 time(s) since.",
        (
            "It is overdue since 1.5 s: any worker that knows the task publishes its message again; if none does, no "
            "worker of this task and backend is alive."
        ),
    ]


def test_a_run_that_follows_another_is_part_of_its_story() -> None:
    following = replace(running(), next_message=MESSAGE, next_owner="the-next", is_replaced=True)

    lines = story(work(following))

    assert "Another run follows it: message the-next." in lines
    assert "Its arguments were replaced while it was queued." in lines


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0 ms"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (59_999, "60.0 s"),
        (60_000, "1 min 0 s"),
        (3_599_999, "59 min 59 s"),
        (7_500_000, "2 h 5 min"),
        (273_600_000, "3 d 4 h"),
    ],
)
def test_a_duration_is_told_in_two_units(ms: int, text: str) -> None:
    assert duration(ms) == text


def test_a_moment_that_no_calendar_holds_is_told_in_ms() -> None:
    assert moment(0) == "1970-01-01 00:00:00 UTC"
    assert moment(10**30) == f"{10**30} ms"


def test_a_message_that_cannot_be_read_is_a_problem() -> None:
    found = work(replace(admitted(), message=b"\xff not JSON"))

    assert (found.message, found.task) == (None, None)
    assert found.problem.startswith("cannot be read")


def test_an_outcome_that_cannot_be_read_is_a_problem() -> None:
    record = after(Complete(TOKEN, b'{"neither": 1}', 60_000))

    assert work(record).problem.startswith("cannot be read")


def test_arguments_are_one_short_printable_line() -> None:
    message = Message(OWNER, "t", "q", DIGEST, ("x" * 10_000, "\x1b[31m\n"), {f"k{i}": i for i in range(500)})

    text = work(replace(admitted(), message=message.encoded())).arguments()

    assert len(text) == 1_000
    assert text.isprintable()
    assert "\\u001b[31m\\n" in text


def test_no_args_leaves_out_every_text_of_the_caller() -> None:
    record = replace(running(), progress='[1,2,"secret"]')

    assert "o-1" in str(work(record).as_json())
    assert not {"arguments", "result", "progress"} & work(record).as_json(has_args=False).keys()


@pytest.mark.parametrize("text", ["\x9b31m", "a\u202eb", "\ud800", "tab\t", "\x7f"])
def test_a_text_that_a_terminal_obeys_is_escaped(text: str) -> None:
    assert printable(text).isascii()
    assert printable(text).isprintable()


def test_a_value_and_a_text_are_cut_to_their_length() -> None:
    assert cut("abcdef", 5) == "ab..."
    assert len(shortened(["x" * 1_000])) == 120


@pytest.mark.parametrize(
    ("text", "digest"),
    [(OWNER, DIGEST), (DIGEST, DIGEST), (DIGEST.upper(), None), (DIGEST[:-1], None), (f"{OWNER}0", None), ("", None)],
)
def test_a_key_is_found_in_an_id_and_in_a_key_alone(text: str, digest: str | None) -> None:
    assert key_of(text) == digest


def test_a_dead_task_is_told_as_given_up() -> None:
    begin = Begin("", OWNER, MESSAGE, "delivery-2", 0, 30_000, 0, 60_000)
    record, _ = machine.begin(running(), begin, NOW_MS + 31_000)
    assert record is not None

    assert record.state is State.DEAD
    assert story(work(record, 32_000))[-1].startswith("It was given up 1.0 s ago")
