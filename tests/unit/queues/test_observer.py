"""What an observer is told, and that it can break nothing."""

import logging
import secrets
from collections.abc import Callable

import pytest

from queues import Observer, Observers, Once, Retry, Tasks, connect, errors
from queues.disposition import Deferred, Done, Dropped, Failed, Retrying
from queues.idempotency import envelope
from queues.idempotency.recovery import Recovery
from queues.idempotency.state import Begin, Cancel, Complete, Heartbeat, State
from queues.message import Message
from queues.observer import Outcome, Reason, observing
from queues.run import Run
from queues.task import AnyTask
from tests.unit.queues.bench import Bench, until


class Told(Observer):
    """Keeps what it is told, in words."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def sent(self, message: Message, decision: str, owner: str) -> None:
        self.words.append(f"sent {decision}")

    def unsent(self, message: Message, error: BaseException) -> None:
        self.words.append(f"unsent {type(error).__name__}")

    def began(self, run: Run) -> None:
        self.words.append(f"began {run.attempt} lost {run.lost} waited {run.waited_ms}")

    def left(self, run: Run) -> None:
        self.words.append("left")

    def ended(self, run: Run, outcome: Outcome, run_ms: int) -> None:
        self.words.append(f"ended {outcome} after {run_ms}")

    def replayed(self, message: Message) -> None:
        self.words.append("replayed")

    def deferred(self, message: Message, reason: Reason) -> None:
        self.words.append(f"deferred {reason}")

    def unguarded(self, message: Message) -> None:
        self.words.append("unguarded")

    def lease_lost(self, run: Run) -> None:
        self.words.append("lease lost")

    def recovered(self, message: Message, state: State) -> None:
        self.words.append(f"recovered {state}")


class Broken(Observer):
    """Fails whenever it is told anything."""


def _fail(*_: object) -> None:
    raise RuntimeError("a broken observer")


for _verb in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Broken, _verb, _fail)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def bench(told: Told) -> Bench:
    return Bench(told)


def give(x: int) -> int:
    return x


def begun_elsewhere(bench: Bench, message: Message, lease_ms: int = 3000) -> int:
    """The token of a run of the message by another worker."""
    begin = Begin(message.fingerprint, message.id, message.encoded(), secrets.token_hex(8), 0, lease_ms, 3, 60_000)
    return bench.store.apply(message.digest, begin).token


def test_a_run_is_told_with_its_wait_and_its_length(bench: Bench, told: Told):
    task = bench.task(lambda: bench.clock.advance(70))
    message = bench.admitted(task)
    bench.clock.advance(500)

    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Done)
    assert told.words == ["began 1 lost 0 waited 500", "left", "ended completed after 70"]


def test_each_attempt_is_told_and_only_the_first_waited(bench: Bench, told: Told):
    def asks_again() -> None:
        raise Retry(delay=1)

    message = bench.admitted(bench.task(asks_again, max_retries=1))

    first = bench.executor.execute(message)
    bench.clock.advance(1000)
    second = bench.executor.execute(bench.published[-1][0])

    assert isinstance(first, Retrying)
    assert isinstance(second, Failed)
    assert told.words == [
        *("began 1 lost 0 waited 0", "left", "ended retried after 0"),
        *("began 2 lost 0 waited None", "left", "ended failed after 0"),
    ]


def test_a_delivery_of_finished_work_is_replayed_and_of_running_work_deferred(bench: Bench, told: Told):
    finished, running = bench.admitted(bench.task(give), 1), bench.admitted(bench.tasks.get("bench.give"), 2)
    token = begun_elsewhere(bench, finished)
    bench.store.apply(finished.digest, Complete(token, envelope.of_value(1, 1000), 60_000))
    begun_elsewhere(bench, running)

    dispositions = [bench.executor.execute(finished), bench.executor.execute(running)]

    assert [type(d) for d in dispositions] == [Done, Deferred]
    assert told.words == ["replayed", "deferred busy"]


def test_a_run_that_a_limit_does_not_let_in_is_deferred_and_has_not_begun(bench: Bench, told: Told):
    task = bench.task(lambda n: None, rate_limit="1/s")
    first, second = bench.admitted(task, 1), bench.admitted(task, 2)
    bench.executor.execute(first)
    told.words.clear()

    bench.executor.execute(second)
    bench.clock.advance(1000)
    bench.executor.execute(second)

    assert told.words == [
        *("ended released after 0", "deferred limited"),
        *("began 1 lost 0 waited 1000", "left", "ended completed after 0"),
    ]


def test_a_lease_that_ends_with_its_run_is_not_told_as_lost(bench: Bench, told: Told):
    message = bench.admitted(bench.task(lambda: None))
    _, run = bench.guard.begin(message, Once(lease=0.5))
    assert run is not None

    bench.store.away = {Heartbeat}
    run.is_ended = True  # its outcome has just been stored, and the heartbeat has not been told to forget it
    bench.clock.advance(480)
    until(lambda: run.is_lost)

    assert "lease lost" not in told.words


def test_a_fenced_run_is_told_as_fenced(bench: Bench, told: Told):
    def is_overtaken() -> None:
        bench.clock.advance(5000)
        begun_elsewhere(bench, message)

    message = bench.admitted(bench.task(is_overtaken))

    disposition = bench.executor.execute(message)

    assert isinstance(disposition, Dropped)
    assert told.words == ["began 1 lost 0 waited 0", "left", "ended fenced after 5000"]


def test_a_run_that_takes_over_knows_how_many_died(bench: Bench, told: Told):
    message = bench.admitted(bench.task(lambda: None))
    begun_elsewhere(bench, message)
    bench.clock.advance(3001)

    bench.executor.execute(message)

    assert told.words == ["began 1 lost 1 waited None", "left", "ended completed after 0"]


def test_a_cancelled_run_that_would_retry_is_told_as_cancelled(bench: Bench, told: Told):
    def is_cancelled() -> None:
        bench.store.apply(message.digest, Cancel(60_000))
        raise ValueError

    message = bench.admitted(bench.task(is_cancelled))

    bench.executor.execute(message)

    assert told.words[-1] == "ended cancelled after 0"


def test_a_store_that_is_away_defers_or_runs_unguarded(bench: Bench, told: Told):
    closed = bench.message(bench.task(lambda: None))
    opened = bench.message(bench.task(give, once=Once(fail_open=True)), 1)
    bench.store.away = {Begin}

    bench.executor.execute(closed)
    bench.executor.execute(opened)

    assert told.words == ["deferred no_store", "unguarded"]


def test_an_outcome_that_no_server_took_is_unwritten(bench: Bench, told: Told):
    message = bench.admitted(bench.task(lambda: None))
    bench.store.away = {Complete}
    bench.stopping.set()
    bench.guard.insist = lambda step: step()  # type: ignore[method-assign] # no patience

    with pytest.raises(errors.StoreUnavailableError):
        bench.executor.execute(message)
    assert told.words[-1] == "ended unwritten after 0"


def test_a_lost_lease_is_told_once(told: Told):
    bench = Bench(told)
    message = bench.admitted(bench.task(lambda: None))
    _, run = bench.guard.begin(message, Once(lease=0.5))
    assert run is not None

    bench.store.away = {Heartbeat}
    bench.clock.advance(480)
    until(lambda: run.is_lost)
    bench.clock.advance(480)
    until(lambda: bench.store.calls.count(Heartbeat) >= 2)

    assert told.words == ["lease lost"]


def test_recovery_tells_in_which_state_the_work_was_left(bench: Bench, told: Told):
    queued, running = bench.admitted(bench.task(give), 1), bench.admitted(bench.tasks.get("bench.give"), 2)
    begun_elsewhere(bench, running)
    bench.clock.advance(60_000)
    recovery = Recovery(bench.store, bench.tasks, "memory", bench.publish, lambda _: True, told)

    recovery.look()

    assert sorted(told.words) == ["recovered queued", "recovered running"]
    assert {message.id for message, _ in bench.published} == {queued.id, running.id}


def _program() -> tuple[Tasks, AnyTask, AnyTask]:
    tasks = Tasks(namespace="told")

    @tasks.task
    def plain(x: int) -> int:
        return x

    @tasks.task(once=Once(on_duplicate="reject"))
    def rejects(x: int) -> int:
        return x

    return tasks, plain, rejects


def test_each_submission_is_told_by_its_decision(told: Told):
    tasks, plain, rejects = _program()
    with connect(tasks, backend="memory", observer=told):
        first = plain.send(1)
        plain.send(1)
        first.result()
        plain.send(1)
        rejects.send(1)
        with pytest.raises(errors.AlreadyRunningError):
            rejects.send_many([(1,), (2,)])
        plain.send_with_options((1,), key="a")
        with pytest.raises(errors.KeyConflictError):
            plain.send_with_options((2,), key="a")

    assert [word for word in told.words if "sent" in word] == [
        *("sent executed", "sent joined", "sent replayed", "sent executed"),
        *("unsent AlreadyRunningError", "sent executed", "sent executed", "unsent KeyConflictError"),
    ]


def test_a_submission_that_no_server_answers_is_told_as_unsent(told: Told, monkeypatch: pytest.MonkeyPatch):
    tasks, plain, _ = _program()

    def is_away(*_: object) -> None:
        raise errors.StoreUnavailableError("away")

    with connect(tasks, backend="memory", observer=told) as queue:
        monkeypatch.setattr(queue.store, "apply_many", is_away)
        with pytest.raises(errors.StoreUnavailableError):
            plain.send_many([(1,), (2,)])

    assert told.words == ["unsent StoreUnavailableError"] * 2


def test_a_broken_observer_breaks_nothing_and_is_logged_once(caplog: pytest.LogCaptureFixture):
    tasks, plain, _ = _program()
    with connect(tasks, backend="memory", observer=Broken()), caplog.at_level(logging.ERROR):
        results = [plain.send(n).result() for n in range(3)]
        again = plain.send(1)

    assert results == [0, 1, 2]
    assert again.decision == "replayed"
    logged = [record.getMessage().partition(";")[0] for record in caplog.records]
    assert len(logged) == len(set(logged)) > 0


def test_the_others_are_told_although_one_is_broken(told: Told):
    tasks, plain, _ = _program()
    with connect(tasks, backend="memory", observer=Observers([Broken(), told])):
        plain.send(1).result()

    assert [word.split()[0] for word in told.words] == ["sent", "began", "left", "ended"]


@pytest.mark.parametrize("answer", [None, 5, {"traceparent": 5}], ids=repr)
def test_what_an_observer_adds_to_a_message_cannot_break_it(answer: object, bench: Bench):
    class Odd(Observer):
        def carried(self, message: Message) -> dict[str, str]:
            return answer  # type: ignore[return-value] # on purpose

    message = bench.message(bench.task(lambda: None))

    carried: Callable[[Message], object] = observing(Odd()).carried

    assert carried(message) == {}
    assert message.carrying({}) is message


def test_without_an_observer_there_is_nothing_to_tell():
    assert type(observing()) is Observer
    assert type(observing(None, None)) is Observer
