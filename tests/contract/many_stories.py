"""Stories of messages that are admitted together; `directed.py` tells them."""

import itertools
import time

from queues.idempotency.publication import Publication
from queues.idempotency.state import Admit
from queues.stores import bulk, scripts
from tests.contract.lockstep import DivergenceError, Lockstep, Model
from tests.contract.operations import HELP_MS, TTL_MS, admit, begin, complete

FOREVER_MS = 300 * 86_400_000


def _admission(number: int, publication: Publication | None = None) -> Admit:
    return Admit("", f"m{number}", b"message %d" % number, HELP_MS, TTL_MS, publication)


def _models(model: Model, count: int) -> list[Model]:
    shard = int(model.digest[:2], 16)
    return [Model(f"{(shard + number) % 256:02x}{number:02x}" + "a" * 36) for number in range(count)]


def all_new(lockstep: Lockstep, model: Model) -> None:
    """Each is as it would be by itself, and runs."""
    models = _models(model, 5)
    lockstep.admit_together([(each, _admission(number)) for number, each in enumerate(models)])
    lockstep.clock.advance(HELP_MS - 1)
    for number, each in enumerate(models):
        lockstep.apply(each, admit("other"))
        lockstep.apply(each, begin(f"m{number}"))
    lockstep.settle()


def some_there(lockstep: Lockstep, model: Model) -> None:
    """What is queued or has an outcome is left as it is, and so is the second of two that are the same work."""
    queued, finished, *new = _models(model, 4)
    lockstep.apply(queued, admit("first"))
    lockstep.apply(finished, begin("first"))
    lockstep.apply(finished, complete(finished.record.token if finished.record else 0))
    lockstep.settle()
    places = (new[0], queued, new[1], finished, new[0])
    for _ in range(2):
        lockstep.admit_together([(each, _admission(number)) for number, each in enumerate(places)])
        lockstep.settle()


def one_there(lockstep: Lockstep, model: Model) -> None:
    """The first one's lock, or the last one's result, is seen where nothing else is there."""
    for there, is_queued in ((0, True), (2, False)):
        models = _models(model, 3)
        lockstep.apply(models[there], begin("first"))
        token = models[there].record.token if models[there].record else 0
        if not is_queued:
            lockstep.apply(models[there], complete(token))
        lockstep.admit_together([(each, _admission(number)) for number, each in enumerate(models)])
        lockstep.settle()
        for each in models:
            lockstep.expire(each)


def far_away(lockstep: Lockstep, model: Model) -> None:
    """A time far away is written in full."""
    far = Admit("", "m1", b"message", FOREVER_MS, FOREVER_MS)
    models = _models(model, 2)
    lockstep.admit_together([(each, far) for each in models])
    lockstep.settle()


def published_in_order(lockstep: Lockstep, model: Model) -> None:
    """Those that are new are published, in their order, at the end that was asked for, with their payloads."""
    client, queue, messages = lockstep.client, f"{lockstep.prefix}queue", f"{lockstep.prefix}messages"
    for is_left, hash_key in itertools.product((True, False), ("", messages)):
        client.delete(queue, messages)
        client.rpush(queue, "older")
        models = _models(model, 4)
        lockstep.apply(models[1], admit("first"))
        lockstep.admit_together(
            [
                (each, _admission(number, _publication(number, queue, hash_key, is_left=is_left)))
                for number, each in enumerate([*models, models[0]])
            ]
        )
        lockstep.settle()
        pushed = [b"entry 0", b"entry 2", b"entry 3"]
        expected = [*reversed(pushed), b"older"] if is_left else [b"older", *pushed]
        _expect(client.lrange(queue, 0, -1), expected)
        payloads = {b"entry %d" % number: b"payload %d" % number for number in (0, 2, 3)}
        _expect(client.hgetall(messages), payloads if hash_key else {})
        for each in models:
            lockstep.expire(each)
        lockstep.settle()


def _publication(number: int, queue: str, hash_key: str, *, is_left: bool) -> Publication:
    return Publication(queue, b"entry %d" % number, is_left, hash_key, b"payload %d" % number if hash_key else b"")


def on_the_servers_clock(lockstep: Lockstep, model: Model) -> None:
    """Without an injected clock, time is the server's."""
    for _ in range(3):
        before_ms = time.time_ns() // 1_000_000
        call = bulk.joined(lockstep.keys, [(model.digest, _admission(1))])
        sha1 = lockstep.sources.get(call.script.name, call.script).sha1
        lockstep.client.evalsha(sha1, len(call.keys), *call.keys, *call.arguments)
        after_ms = time.time_ns() // 1_000_000
        read = scripts.reading(lockstep.keys, model.digest)
        reply = lockstep.client.evalsha(read.script.sha1, len(read.keys), *read.keys, *read.arguments)
        record = scripts.record(model.digest, reply)
        _expect(record is not None and before_ms <= record.created_ms <= after_ms, True)
        _expect(record is not None and record.help_at_ms - record.created_ms, HELP_MS)
        lockstep.client.delete(*lockstep.keys.of(model.digest))


def _expect(got: object, wanted: object) -> None:
    if got != wanted:
        msg = f"{got!r} instead of {wanted!r}"
        raise DivergenceError(msg)


STORIES = (all_new, some_there, one_there, far_away, published_in_order, on_the_servers_clock)
