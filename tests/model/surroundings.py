"""What happens around the processes: time, deliveries, recovery, cancellation; and what goes wrong with workers."""

from collections.abc import Iterator

from queues.idempotency.state import Cancel, Heartbeat, Help, Kind
from tests.model import producing, working
from tests.model.model import Model, unpacked
from tests.model.records import aged
from tests.model.setup import LATE, LEASE, LOCK_TTL, STORE_AWAY, TTL
from tests.model.world import IDLE, WRITTEN, Copy, Lease, Step, Worker, World, name, put

UNHURRIED = ("idle", "effect")
"""Where a worker may stay while time passes; every other step takes no time, unless the process pauses."""
ASKS = ("complete", "wait", "fail", "release")


def steps(model: Model, world: World) -> list[Step]:
    """Everything that may happen next."""
    return model.tidied(_all(model, world))


def _all(model: Model, world: World) -> Iterator[Step]:
    yield from _worker_steps(model, world)
    yield from _deliveries(world)
    yield from producing.steps(model, world)
    yield from _recovery(model, world)
    yield from _cancels(model, world)
    yield from _time(model, world)
    if world.faults:
        yield from _late_deliveries(world)


def _worker_steps(model: Model, world: World) -> Iterator[Step]:
    for index, worker in enumerate(world.workers):
        if worker.at == "idle":
            continue
        who = f"worker {'AB'[index]} on {name(worker.message)}"
        if worker.is_paused:
            awake = model.with_worker(world, index, worker._replace(is_paused=False))
            yield Step("free", f"{who}: wakes up", awake)
            if worker.token and worker.at == "effect":
                yield Step("free", f"{who}: wakes up and beats", _beat(model, awake, index))
        else:
            done = working.act(model, world, index)
            for label, after, broken in done:
                yield Step("free", f"{who}: {label}", after, broken)
            if world.faults:
                yield from _worker_faults(model, world, index, who, done[0])
        if world.faults:
            dead = model.with_worker(world, index, IDLE)._replace(faults=world.faults - 1)
            if worker.at == "late_defer":
                yield Step("fault", f"{who}: dies before it publishes what it has acked", dead)
            else:
                dead = model.published(dead, worker.message, worker.retries)
                yield Step("fault", f"{who}: dies before {worker.at}; the broker delivers again", dead)


def _worker_faults(model: Model, world: World, index: int, who: str, done: working.Done) -> Iterator[Step]:
    worker, hurt = world.workers[index], world._replace(faults=world.faults - 1)
    yield Step("fault", f"{who}: pauses", model.with_worker(hurt, index, worker._replace(is_paused=True)))
    if worker.at != "late_defer":
        again = model.published(hurt, worker.message, worker.retries)
        yield Step("fault", f"{who}: the broker delivers it again meanwhile", again)
    label, after, broken = done
    after = after._replace(faults=hurt.faults)
    if worker.at == "begin":
        away = worker._replace(at="defer", nonce="", delay=STORE_AWAY)
        yield Step("fault", f"{who}: the store is away", model.with_worker(hurt, index, away))
        yield Step("fault", f"{who}: {label}; the answer is lost", model.with_worker(after, index, away), broken)
        asking = worker._replace(nonce=_nonce(model, world, after, worker))
        yield Step("fault", f"{who}: {label}; lost, it asks again", model.with_worker(after, index, asking), broken)
    elif worker.at in ASKS:
        asking = worker._replace(lease=0, nonce=WRITTEN) if after.records != world.records else worker
        yield Step("fault", f"{who}: {label}; lost, it asks again", model.with_worker(after, index, asking), broken)
    elif worker.at == "defer" or (worker.at == "retry" and model.protocol.insists_on_retry):
        yield Step("fault", f"{who}: {label}; unsure, publishes again", model.with_worker(after, index, worker))
    elif worker.at == "retry":
        ending = worker._replace(at="ack", attempt=0, delay=0)
        yield Step("fault", f"{who}: the broker does not take the retry", model.with_worker(hurt, index, ending))
    elif worker.at == "effect" and not worker.stop:
        stopped = worker._replace(stop="lost")
        yield Step("fault", f"{who}: its beats reach no store", model.with_worker(hurt, index, stopped))


def _nonce(model: Model, world: World, after: World, worker: Worker) -> str:
    # What the record does not hold is as good as a new one.
    key = model.keys[worker.message]
    record = model.records[after.records[key]]
    if after.records[key] == world.records[key] or record is None:
        return worker.nonce
    return record.execution


def _deliveries(world: World) -> Iterator[Step]:
    free = next((index for index, worker in enumerate(world.workers) if worker.at == "idle"), None)
    if free is None:
        return
    for copy in sorted({copy for copy in world.queue if copy.due == 0}):
        worker = Worker("begin", copy.message, copy.retries)
        queue = _without(world.queue, copy)
        label = f"worker {'AB'[free]} gets {name(copy.message)}"
        yield Step("free", label, world._replace(queue=queue, workers=put(world.workers, free, worker)))


def _late_deliveries(world: World) -> Iterator[Step]:
    for copy in sorted({copy for copy in world.queue if copy.due == 0}):
        queue = tuple(sorted((*_without(world.queue, copy), copy._replace(due=LATE))))
        hurt = world._replace(queue=queue, faults=world.faults - 1)
        yield Step("fault", f"the broker delivers a copy of {name(copy.message)} late", hurt)


def _without(queue: tuple[Copy, ...], copy: Copy) -> tuple[Copy, ...]:
    at = queue.index(copy)
    return (*queue[:at], *queue[at + 1 :])


def _recovery(model: Model, world: World) -> Iterator[Step]:
    if not model.protocol.recovers or all(worker.is_paused for worker in world.workers):
        return
    for key in range(len(world.records)):
        after, answer, broken = model.ask(world, key, Help(LEASE, LOCK_TTL))
        if answer.kind is not Kind.HELP:
            if after is not world:
                yield Step("free", "recovery ends what has expired", after, broken)
            continue
        message, retries = unpacked(answer.message)
        label = f"recovery helps {name(message)}"
        yield Step("free", label, model.published(after, message, retries), broken)
        if world.faults:
            yield Step("fault", f"{label}, and dies before it publishes", after._replace(faults=after.faults - 1))


def _cancels(model: Model, world: World) -> Iterator[Step]:
    if not world.cancels:
        return
    for key, number in enumerate(world.records):
        if number:
            after, answer, broken = model.ask(world, key, Cancel(TTL))
            label = f"a user cancels -> {answer.kind.value} {answer.state.value}"
            yield Step("asked", label, after._replace(cancels=after.cancels - 1), broken)


def _time(model: Model, world: World) -> Iterator[Step]:
    is_anything_timed = any(world.records) or any(copy.due for copy in world.queue)
    if not is_anything_timed or _is_somebody_in_a_hurry(world):
        return
    after = _tick(model, world)
    is_forgotten = any(_is_live(model, old) and not new for old, new in zip(world.records, after.records, strict=True))
    if not (is_forgotten and model.protocol.recovers):
        yield Step("free", "time passes", after)
    elif world.faults and not model.setup.is_attended:
        # Recovery looks many times in that time, if there is a worker at all.
        yield Step(
            "fault", "no worker looks after the record until it expires", after._replace(faults=world.faults - 1)
        )


def _is_live(model: Model, number: int) -> bool:
    record = model.records[number]
    return record is not None and record.state.is_live


def _is_somebody_in_a_hurry(world: World) -> bool:
    if any(not worker.is_paused and worker.at not in UNHURRIED for worker in world.workers):
        return True
    if any(not p.is_paused and p.at not in producing.RESTING for p in world.producers):
        return True
    return any(copy.due == 0 for copy in world.queue) and any(worker.at == "idle" for worker in world.workers)


def _tick(model: Model, world: World) -> World:
    after = world._replace(
        records=tuple(model.records.tick(number) for number in world.records),
        leases=tuple(Lease(aged(lease.token), max(0, lease.left - 1)) for lease in world.leases),
        queue=tuple(sorted(copy._replace(due=max(0, copy.due - 1)) for copy in world.queue)),
        workers=tuple(w._replace(token=aged(w.token), lease=max(0, w.lease - 1)) for w in world.workers),
        begin_within=max(0, world.begin_within - 1),
    )
    for index, worker in enumerate(after.workers):
        if worker.at == "effect" and not worker.is_paused:
            after = _beat(model, after, index)
    return after


def _beat(model: Model, world: World, index: int) -> World:
    worker = world.workers[index]
    if not model.protocol.beats or worker.stop == "lost":
        return world
    key = model.keys[worker.message]
    after, answer, _ = model.ask(world, key, Heartbeat(worker.token, LEASE, LOCK_TTL))
    if answer.kind is Kind.FENCED:
        return model.with_worker(after, index, worker._replace(stop="lost"))
    stop = "cancelled" if answer.kind is Kind.CANCELLED else worker.stop
    lease = after.leases[key]
    if lease.token == worker.token:
        after = after._replace(leases=put(after.leases, key, lease._replace(left=LEASE)))
    return model.with_worker(after, index, worker._replace(lease=LEASE, stop=stop))
