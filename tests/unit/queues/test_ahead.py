"""What a Dramatiq worker has begun ahead of time starts under a lease that it still holds, or not at all."""

from dataclasses import replace
from typing import Any

import pytest
from dramatiq.broker import MessageProxy

from queues import State
from queues.backends.dramatiq.ahead import Ahead
from queues.backends.dramatiq.messages import from_native, to_native
from queues.disposition import Deferred, Done, Failed
from queues.idempotency.guard import Guard
from queues.idempotency.heartbeat import HeartbeatThread
from queues.idempotency.state import Answer, Begin, Heartbeat, Kind, Operation
from queues.message import Message
from tests.unit.queues.bench import LEASE_S, Bench

LEASE_MS = round(LEASE_S * 1000)


class NoBeats(HeartbeatThread):
    """The heartbeat of a process that is stopped: its thread does not get to run."""

    def _loop(self) -> None:
        return


class Stage(Bench):
    """A bench whose worker begins the messages of a short task ahead of time."""

    def __init__(self) -> None:
        super().__init__()
        self.heartbeat = NoBeats(self.store, self.clock)
        self.executor.guard = self.guard = Guard(self.store, self.clock, self.stopping, heartbeat=self.heartbeat)
        self.ahead = Ahead(self.executor, self.tasks)
        self.ran: list[int] = []
        self.brief = self.task(self.ran.append)
        self.ahead.ran(self.brief, 0)

    def natives(self, count: int = 2) -> list[MessageProxy]:
        """Messages that were fetched together, of work that a producer has admitted."""
        return [self.native(self.admitted(self.brief, number)) for number in range(count)]

    def native(self, message: Message) -> MessageProxy:
        native = to_native(message, self.brief)
        return MessageProxy(native.copy(options={"redis_message_id": message.id}))

    def execute(self, native: MessageProxy) -> Any:
        """What a thread of the worker does with the message at its turn."""
        message, begun = self.ahead.take(native) or (self.message_of(native), None)
        return self.executor.execute(message, begun)

    def taken_over(self, native: MessageProxy) -> Answer:
        """What the store says to another worker that begins the same message."""
        message = self.message_of(native)
        begin = Begin(message.fingerprint, message.id, message.encoded(), "another worker", 0, LEASE_MS, 3, 60_000)
        return self.store.apply(message.digest, begin)

    def message_of(self, native: MessageProxy) -> Message:
        return from_native(native, self.brief)

    def states(self, natives: list[MessageProxy]) -> list[State]:
        return [self.state(self.message_of(native)) for native in natives]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_fetched_messages_are_begun_together_and_run_at_their_turn(stage: Stage):
    natives = stage.natives()

    stage.ahead.fetched(natives)
    states = stage.states(natives)
    ended = [stage.execute(native) for native in natives]

    assert states == [State.RUNNING] * 2
    assert ended == [Done(None)] * 2
    assert stage.ran == [0, 1]


def test_what_another_worker_took_over_meanwhile_is_not_started(stage: Stage):
    natives = stage.natives()
    stage.ahead.fetched(natives)
    stage.clock.advance(LEASE_MS + 1)
    kinds = [stage.taken_over(native).kind for native in natives]

    ended = [stage.execute(native) for native in natives]

    assert kinds == [Kind.RUN] * 2
    assert stage.ran == []
    assert [type(disposition) for disposition in ended] == [Deferred] * 2


def test_a_beat_that_is_refused_renews_no_lease(stage: Stage):
    natives = stage.natives()
    stage.ahead.fetched(natives)
    watched = [*stage.heartbeat._watched.values()]
    began_ms = stage.clock.monotonic_ms()
    stage.clock.advance(LEASE_MS + 1)
    stage.taken_over(natives[0])

    stage.heartbeat.beat(watched)

    assert [stage.heartbeat.renewed_ms(each.run) - began_ms for each in watched] == [0, LEASE_MS + 1]
    assert [each.run.is_lost for each in watched] == [True, False]


def test_what_nobody_took_over_meanwhile_runs_under_a_renewed_lease(stage: Stage):
    natives = stage.natives()
    stage.ahead.fetched(natives)
    stage.clock.advance(LEASE_MS + 1)

    ended = stage.execute(natives[0])
    record = stage.record(stage.message_of(natives[0]))

    assert ended == Done(None)
    assert record is not None
    assert (record.state, record.lost) == (State.COMPLETED, 0)
    assert stage.ran == [0]


def test_what_may_have_been_taken_over_waits_while_the_store_is_away(stage: Stage):
    natives = stage.natives()
    stage.ahead.fetched(natives)
    stage.clock.advance(LEASE_MS + 1)
    stage.store.away = {Begin, Heartbeat}

    ended = stage.execute(natives[0])

    assert isinstance(ended, Deferred)
    assert stage.ran == []


def test_a_store_that_goes_away_after_a_late_answer_leaves_no_message_begun_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    natives = stage.natives(3)
    apply = stage.store.apply

    def late(digest: str, operation: Operation) -> Answer:
        answer = apply(digest, operation)
        stage.clock.advance(LEASE_MS // 5 if isinstance(operation, Begin) else 0)
        stage.store.away |= {Heartbeat} if isinstance(operation, Heartbeat) else set()
        return answer

    monkeypatch.setattr(stage.store, "apply", late)

    stage.ahead.fetched(natives)
    stage.store.away = set()
    stage.clock.advance(LEASE_MS // 3)

    assert stage.execute(natives[0]) == Done(None)
    assert stage.ran == [0]
    stage.clock.advance(LEASE_MS)
    assert [stage.execute(native) for native in natives[1:]] == [Done(None)] * 2


def test_a_message_that_was_given_back_and_fetched_again_runs_once(stage: Stage):
    natives = stage.natives()
    stage.ahead.fetched(natives)
    stage.ahead.fetched(natives)

    ended = [stage.execute(native) for native in natives]
    again = [stage.execute(native) for native in natives]

    assert ended == [Done(None)] * 2
    assert again == [Done(None, is_replay=True)] * 2
    assert stage.ran == [0, 1]


def test_a_message_that_is_on_its_queue_twice_runs_once(stage: Stage):
    natives = stage.natives()
    stage.ahead.fetched([*natives, *natives])

    ended = [stage.execute(native) for native in natives]

    assert ended == [Done(None)] * 2
    assert stage.ran == [0, 1]


def test_what_expires_is_not_begun_before_its_turn(stage: Stage):
    messages = [replace(stage.message(stage.brief, n), begin_by_ms=stage.clock.now_ms() + LEASE_MS) for n in range(2)]
    natives = [stage.native(message) for message in messages]
    stage.ahead.fetched(natives)
    stage.clock.advance(LEASE_MS + 1)

    ended = [stage.execute(native) for native in natives]

    assert stage.ran == []
    assert [type(disposition) for disposition in ended] == [Failed] * 2


@pytest.mark.parametrize(("run_ms", "is_short"), [(19.0, True), (21.0, False)])
def test_a_task_is_short_by_what_the_next_message_waits_for_it(stage: Stage, run_ms: float, is_short: bool):
    stage.ahead.threads = 4
    task = stage.task(lambda number: number)
    stage.ahead.ran(task, run_ms)

    assert (stage.ahead.later(stage.natives(1)[0], task) is not None) == is_short
