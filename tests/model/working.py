"""What a worker does with a delivery, as `queues/executor.py` and `queues/idempotency/guard.py` do it."""

from collections.abc import Callable

from queues.idempotency.state import Answer, Begin, Complete, Fail, Kind, Operation, Release, State, Wait
from tests.model.model import OUTCOMES, Model, payload
from tests.model.setup import BUSY_WAIT, LEASE, LOCK_TTL, RETRY_DELAY, TTL
from tests.model.world import (
    ANSWERED,
    BEGAN_LATE,
    FINAL,
    IDLE,
    LATE_WRITE,
    SETTLED,
    TWO_EFFECTS,
    TWO_LEASES,
    WRITTEN,
    WRONG_ANSWER,
    Lease,
    Worker,
    World,
    put,
)

Done = tuple[str, World, tuple[str, ...]]
"""What was done, the world after it, and what it broke."""


def act(model: Model, world: World, index: int) -> list[Done]:
    """What the worker may do next: one thing, or, where the task runs, each way in which it may end."""
    at = world.workers[index].at
    if at == "effect":
        return _effect(model, world, index)
    return [ACTS[at](model, world, index)]


def _begin(model: Model, world: World, index: int) -> Done:
    worker, key = world.workers[index], model.keys[world.workers[index].message]
    nonce = worker.nonce or _fresh_nonce(model, world, key)
    message = payload(worker.message, worker.retries)
    request = Begin(
        *("", str(worker.message), message, nonce, worker.retries, LEASE, model.setup.max_lost, LOCK_TTL),
        begin_by_ms=model.begin_by(world),
    )
    after, answer, broken = model.ask(world, key, request)
    label = f"begin -> {answer.kind.value}"
    if answer.kind is Kind.RUN:
        lease = world.leases[key]
        if after is not world:
            broken += _broken_by_run(model, world, index, answer)
            lease = Lease(max(answer.token, lease.token), LEASE)
            after = after._replace(leases=put(after.leases, key, lease))
        run = worker._replace(at="effect", nonce="", token=answer.token, attempt=answer.retries, lease=lease.left)
        return label, model.with_worker(after, index, run), broken
    if answer.kind is Kind.HELD and answer.owner == str(worker.message):
        return f"{label}, drops it", model.with_worker(after, index, _ended(worker)._replace(at="ack")), broken
    if answer.kind not in (Kind.BUSY, Kind.BUSY_SELF, Kind.HELD):
        return _answering(model, after, index, worker, OUTCOMES[answer.outcome], label, broken)
    if model.protocol.skips:
        return _answering(model, after, index, worker, "skipped", f"{label}, skipped", broken)
    delay = min(answer.wait_ms, BUSY_WAIT) if answer.state is State.RUNNING else max(1, answer.wait_ms)
    at = "ack_defer" if model.protocol.acks_first else "defer"
    return label, model.with_worker(after, index, worker._replace(at=at, nonce="", delay=delay)), broken


def _broken_by_run(model: Model, world: World, index: int, answer: Answer) -> tuple[str, ...]:
    key = model.keys[world.workers[index].message]
    lease = world.leases[key]
    broken: tuple[str, ...] = (TWO_LEASES,) if lease.left > 0 or answer.token <= lease.token else ()
    for other, worker in enumerate(world.workers):
        if other != index and worker.token and worker.lease > 0 and model.keys[worker.message] == key:
            broken += (TWO_EFFECTS,)
    record = model.records[world.records[key]]
    has_begun = record is not None and record.state.is_live and record.execution != ""
    if model.setup.expires and not world.begin_within and not has_begun and not world.workers[index].retries:
        broken += (BEGAN_LATE,)
    return broken


def _effect(model: Model, world: World, index: int) -> list[Done]:
    worker, limit = world.workers[index], model.setup.max_retries
    attempt = worker.attempt if model.protocol.style == "native" else worker.retries
    ends = [("the task returns", worker._replace(at="complete", result="ok"))]
    if limit is not None:
        ending = worker._replace(at="wait") if attempt < limit else worker._replace(at="fail", result="failed")
        if ending.at == "wait" and model.protocol.retries_first:
            ending = ending._replace(at="retry_first")
        ends.append(("the task raises", ending))
    if worker.stop == "lost" or model.protocol.forgets:
        ends.append(("the task gives the lease back", worker._replace(at="release")))
    if worker.stop == "cancelled":
        ends.append(("the task stops, cancelled", worker._replace(at="fail", result="cancelled")))
    return [(label, model.with_worker(world, index, ending), ()) for label, ending in ends]


def _complete(model: Model, world: World, index: int) -> Done:
    worker = world.workers[index]
    after, answer, broken = _end(model, world, index, Complete(worker.token, b"ok", TTL))
    label = f"complete -> {answer.kind.value}"
    if answer.kind is Kind.OK:
        return _answering(model, after, index, worker, "ok", label, broken)
    return _fenced(model, after, index, label, broken)


def _wait(model: Model, world: World, index: int) -> Done:
    worker, style = world.workers[index], model.protocol.style
    retries = (worker.attempt if style == "native" else worker.retries) + 1
    is_held = model.setup.is_held and style == "native" and not model.is_linked(worker.message)
    request = Wait(worker.token, payload(worker.message, retries), retries, RETRY_DELAY, LEASE, LOCK_TTL, is_held)
    after, answer, broken = _end(model, world, index, request)
    label = f"wait -> {answer.kind.value}"
    # Dramatiq enqueues the next attempt whatever the hook says.
    if answer.kind is Kind.OK or style == "dramatiq":
        at = "ack" if model.protocol.retries_first or is_held else "retry"
        retrying = _ended(worker)._replace(at=at, attempt=retries, delay=RETRY_DELAY)
        return label, model.with_worker(after, index, retrying), broken
    if answer.kind is Kind.CANCELLED and style == "native":
        return _answering(model, after, index, worker, "cancelled", label, broken)
    return _fenced(model, after, index, label, broken)


def _fail(model: Model, world: World, index: int) -> Done:
    worker, style = world.workers[index], model.protocol.style
    after, answer, broken = _end(model, world, index, Fail(worker.token, worker.result.encode(), False, TTL))
    label = f"fail -> {answer.kind.value}"
    is_reported = style == "dramatiq" and not model.protocol.defers_fenced_failure
    if answer.kind is Kind.OK or is_reported:
        return _answering(model, after, index, worker, worker.result, label, broken)
    is_ignored = style == "celery" and not model.protocol.defers_fenced_failure
    return _fenced(model, after, index, label, broken, is_ignored=is_ignored)


def _release(model: Model, world: World, index: int) -> Done:
    worker, forgets = world.workers[index], model.protocol.forgets
    after, answer, broken = _end(model, world, index, Release(worker.token, LEASE, LOCK_TTL, forgets))
    label = f"release -> {answer.kind.value}"
    if answer.kind is Kind.OK and forgets:
        return label, model.with_worker(after, index, _ended(worker)._replace(at="ack")), broken
    if answer.kind is Kind.OK:
        return label, model.with_worker(after, index, _ended(worker)._replace(at="defer")), broken
    return _fenced(model, after, index, label, broken)


def _end(model: Model, world: World, index: int, request: Operation) -> tuple[World, Answer, tuple[str, ...]]:
    worker = world.workers[index]
    key = model.keys[worker.message]
    after, answer, broken = model.ask(world, key, request)
    lease = after.leases[key]
    if after is not world:
        if lease.token != worker.token:
            return after, answer, (*broken, LATE_WRITE)
        after = after._replace(leases=put(after.leases, key, lease._replace(left=0)))
    return after, answer, broken


def _fenced(
    model: Model, world: World, index: int, label: str, broken: tuple[str, ...], *, is_ignored: bool = False
) -> Done:
    worker, protocol = _ended(world.workers[index]), model.protocol
    is_copied = protocol.style != "native" or model.is_linked(worker.message)
    is_gone = protocol.defers_forgotten and world.records[model.keys[worker.message]] == 0
    if (is_copied or is_gone) and not is_ignored:
        return f"{label}, defers", model.with_worker(world, index, worker._replace(at="defer", delay=LEASE)), broken
    return f"{label}, drops it", model.with_worker(world, index, worker._replace(at="ack")), broken


def _answering(
    model: Model, world: World, index: int, worker: Worker, result: str, label: str, broken: tuple[str, ...]
) -> Done:
    record = model.records[world.records[model.keys[worker.message]]]
    is_stored = record is not None and record.state in FINAL and OUTCOMES[record.outcome] == result
    if is_stored or worker.nonce == WRITTEN:
        world = model.flagged(world, worker.message, SETTLED)
    else:
        broken += (WRONG_ANSWER,)
    return label, model.with_worker(world, index, _ended(worker)._replace(at="answer")), broken


def _publish_copy(model: Model, world: World, index: int) -> Done:
    worker = world.workers[index]
    after = model.published(world, worker.message, worker.retries, worker.delay)
    ending = IDLE if worker.at == "late_defer" else worker._replace(at="ack", delay=0)
    return f"publishes a copy due in {worker.delay}", model.with_worker(after, index, ending), ()


def _ack_before_copy(model: Model, world: World, index: int) -> Done:
    return "acks", model.with_worker(world, index, world.workers[index]._replace(at="late_defer")), ()


def _publish_retry(model: Model, world: World, index: int) -> Done:
    worker = world.workers[index]
    is_first = worker.at == "retry_first"
    retries = worker.attempt + 1 if is_first else worker.attempt
    after = model.published(world, worker.message, retries, RETRY_DELAY)
    ending = worker._replace(at="wait") if is_first else worker._replace(at="ack", attempt=0, delay=0)
    return "publishes the retry", model.with_worker(after, index, ending), ()


def _answer(model: Model, world: World, index: int) -> Done:
    worker = world.workers[index]
    after = model.flagged(world, worker.message, ANSWERED)
    return "its callbacks fire", model.with_worker(after, index, worker._replace(at="ack")), ()


def _ack(model: Model, world: World, index: int) -> Done:
    return "acks", model.with_worker(world, index, IDLE), ()


def _ended(worker: Worker) -> Worker:
    return worker._replace(nonce="", token=0, attempt=0, lease=0, stop="", result="")


def _fresh_nonce(model: Model, world: World, key: int) -> str:
    record = model.records[world.records[key]]
    used = {worker.nonce for worker in world.workers} | {record.execution if record else ""}
    return next(nonce for nonce in "abc" if nonce not in used)


ACTS: dict[str, Callable[[Model, World, int], Done]] = {
    "begin": _begin,
    "complete": _complete,
    "wait": _wait,
    "fail": _fail,
    "release": _release,
    "defer": _publish_copy,
    "ack_defer": _ack_before_copy,
    "late_defer": _publish_copy,
    "retry": _publish_retry,
    "retry_first": _publish_retry,
    "answer": _answer,
    "ack": _ack,
}
