"""What producers do, as `queues/producer.py` does it: admit, publish, confirm; and help work that is overdue."""

from collections.abc import Iterator

from queues.idempotency.state import Admit, Answer, Confirm, Kind
from tests.model.model import Model, payload, unpacked
from tests.model.setup import HELD, LOCK_TTL, PUBLISH_WITHIN, QUEUE_WAIT
from tests.model.world import ACCEPTED, SETTLED, Producer, Step, World, name, put

RESTING = ("new", "done", "dead")


def steps(model: Model, world: World) -> Iterator[Step]:
    """What producers may do next, and what may happen to them."""
    for message, producer in enumerate(world.producers):
        who = f"producer of {name(message)}"
        if producer.at == "new":
            # Messages are sent in order: of equal ones the other order is the same.
            if message == 0 or world.producers[message - 1].at != "new":
                asks = model.protocol.admits and not model.is_linked(message)
                sent = _moved(world, message, Producer("admit" if asks else "direct"))
                yield Step("asked", f"{who}: is asked to send it", sent)
        elif producer.at not in RESTING:
            yield from _submitting(model, world, message, who)


def _submitting(model: Model, world: World, message: int, who: str) -> Iterator[Step]:
    producer = world.producers[message]
    if producer.is_paused:
        yield Step("free", f"{who}: wakes up", _moved(world, message, producer._replace(is_paused=False)))
        return
    label, after, answer, broken = _act(model, world, message)
    yield Step("free", f"{who}: {label}", _moved(after, message, answer), broken)
    if world.faults:
        hurt = world._replace(faults=world.faults - 1)
        yield Step("fault", f"{who}: dies before {producer.at}", _moved(hurt, message, Producer("dead")))
        yield Step("fault", f"{who}: pauses", _moved(hurt, message, producer._replace(is_paused=True)))
        after = after._replace(faults=after.faults - 1)
        if producer.at == "admit":
            yield Step("fault", f"{who}: {label}; its answer is lost, it asks again", after, broken)
            if model.setup.is_one_script:
                dead = _moved(after, message, Producer("dead"))
                yield Step("fault", f"{who}: {label}; dies before the answer", dead, broken)
        elif producer.at in ("publish", "help"):
            yield Step("fault", f"{who}: {producer.at}, and the broker loses it", _moved(hurt, message, answer))


def _act(model: Model, world: World, message: int) -> tuple[str, World, Producer, tuple[str, ...]]:
    producer, key = world.producers[message], model.keys[message]
    match producer.at:
        case "admit":
            return _admit(model, world, message)
        case "publish":
            return "publishes", model.published(world, message, 0), Producer("confirm"), ()
        case "confirm":
            after, _, broken = model.ask(world, key, Confirm(str(message), QUEUE_WAIT, LOCK_TTL))
            return "confirms", after, Producer("done"), broken
        case "direct":
            after = model.flagged(model.published(world, message, 0), message, ACCEPTED)
            return "publishes without asking", after, Producer("done"), ()
        case _:
            helped, retries = divmod(producer.helped, 100)
            label = f"publishes {name(helped)} for another"
            return label, model.published(world, helped, retries), Producer("done"), ()


def _admit(model: Model, world: World, message: int) -> tuple[str, World, Producer, tuple[str, ...]]:
    is_one = model.setup.is_one_script
    after_ticks = QUEUE_WAIT if is_one else PUBLISH_WITHIN
    is_held = model.setup.is_held
    quiet = HELD if is_held else 0
    request = Admit(
        *("", str(message), payload(message, 0), after_ticks, LOCK_TTL),
        quiet_ms=quiet,
        is_held=is_held,
        begin_by_ms=model.begin_by(world),
    )
    after, answer, broken = model.ask(world, model.keys[message], request)
    after = model.flagged(after, message, _promise(answer))
    label = f"admit -> {answer.kind.value}"
    if answer.kind is Kind.ADMITTED and not is_held:
        if is_one:
            # Asked twice, the script publishes once.
            published = model.published(after, message, 0) if after.records != world.records else after
            return f"{label}, published", published, Producer("done"), broken
        return label, after, Producer("publish"), broken
    if answer.kind is Kind.HELP:
        helped, retries = unpacked(answer.message)
        return label, after, Producer("help", 100 * helped + retries), broken
    return label, after, Producer("done"), broken


def _promise(answer: Answer) -> int:
    if answer.kind in (Kind.REPLAY, Kind.REPLAY_ERROR, Kind.DEAD):
        return ACCEPTED | SETTLED
    return ACCEPTED


def _moved(world: World, message: int, producer: Producer) -> World:
    return world._replace(producers=put(world.producers, message, producer))
