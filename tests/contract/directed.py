"""Short stories that a random walk meets too rarely, told to the scripts beside the machine."""

import itertools
import time

from queues.idempotency.publication import Publication
from queues.idempotency.state import Admit, Kind
from queues.stores import scripts
from tests.contract import first_stories, letter_stories, many_stories
from tests.contract.due_stories import expired_work, held_work, token_of
from tests.contract.lockstep import DivergenceError, Lockstep, Model
from tests.contract.operations import (
    DELAY_MS,
    HELP_MS,
    LEASE_MS,
    TTL_MS,
    admit,
    begin,
    cancel,
    complete,
    fail,
    following,
    heartbeat,
    help_,
    release,
    replacing,
    wait,
)


def every_story(lockstep: Lockstep) -> None:
    """All of them.

    Raises:
        DivergenceError: a script did what the machine, or the story, does not.
    """
    on_the_clock = (
        many_helps,
        a_run_in_the_same_ms,
        a_lost_run_that_was_cancelled,
        boundaries,
        replaced_work,
        held_work,
        expired_work,
        lost_replies,
        runs_that_follow,
    )
    on_the_server = (publications, server_clock, lost_index_entry, stale_index_entry)
    of_others = (*letter_stories.STORIES, *first_stories.STORIES, *many_stories.STORIES)
    for number, story in enumerate((*on_the_clock, *on_the_server, *of_others)):
        story(lockstep, Model(f"{0xD0 + number:02x}" + "0" * 38))
    # The record of work whose id carries its digest is stored in a shorter way.
    for number, story in enumerate((*on_the_clock, *first_stories.STORIES)):
        story(lockstep, Model(f"{number:02x}" + "0" * 38, has_own_ids=True))


def many_helps(lockstep: Lockstep, model: Model) -> None:
    """The interval between helps doubles, up to a bound."""
    lockstep.apply(model, admit(help_ms=1))
    for _ in range(20):
        lockstep.clock.advance(700_000)
        lockstep.apply(model, help_(1))
    lockstep.settle()


def a_run_in_the_same_ms(lockstep: Lockstep, model: Model) -> None:
    """Two runs of one ms have two tokens, and a cancelled run leaves nothing to the next."""
    for execution in ("x1", "x2", "x3"):
        lockstep.apply(model, begin("m1", execution))
        lockstep.apply(model, release(token_of(model)))
    lockstep.apply(model, begin("m1", "x4"))
    lockstep.apply(model, cancel())
    lockstep.apply(model, complete(token_of(model)))
    lockstep.settle()


def a_lost_run_that_was_cancelled(lockstep: Lockstep, model: Model) -> None:
    """What another message begins in its place has lost nothing yet."""
    for execution in ("x1", "x2"):
        lockstep.apply(model, begin("m1", execution))
        lockstep.clock.advance(LEASE_MS)
    lockstep.apply(model, cancel())
    lockstep.apply(model, begin("m2", "x3"))
    lockstep.settle()


def boundaries(lockstep: Lockstep, model: Model) -> None:
    """A lease and a wait end in the ms they name; its own message need not wait; progress stays until renewed."""
    for owner, before_due_ms in (("m2", 1), ("m2", 0), ("m1", DELAY_MS)):
        for moment_ms in (LEASE_MS - 1, 1):
            lockstep.apply(model, begin("m1", "x1"))
            lockstep.clock.advance(moment_ms)
        lockstep.apply(model, begin("m1", "x2"))
        lockstep.apply(model, heartbeat(token_of(model), '{"done":1}'))
        lockstep.apply(model, heartbeat(token_of(model)))
        lockstep.apply(model, wait(token_of(model)))
        lockstep.clock.advance(DELAY_MS - before_due_ms)
        lockstep.apply(model, begin(owner, "x3"))
        lockstep.apply(model, complete(token_of(model)))
        lockstep.expire(model)
    lockstep.settle()


def replaced_work(lockstep: Lockstep, model: Model) -> None:
    """Newer arguments are run under the older message, which keeps its right to the outcome."""
    lockstep.apply(model, admit("m1", "old"))
    lockstep.apply(model, replacing("m2", "new", quiet_ms=5_000))
    lockstep.apply(model, replacing("m3", "newer", quiet_ms=1_000))
    lockstep.apply(model, admit("m1", "old"))
    for passed_ms in (0, 4_999, 1):
        lockstep.clock.advance(passed_ms)
        lockstep.apply(model, begin("m1", f"x{passed_ms}", "old"))
    lockstep.apply(model, begin("m1", "x1", "old"))
    lockstep.apply(model, replacing("m4", "other"))
    lockstep.apply(model, wait(token_of(model)))
    lockstep.apply(model, replacing("m5", "last", quiet_ms=HELP_MS + 2 * DELAY_MS))
    lockstep.apply(model, begin("m1", "x2", "old"))
    lockstep.clock.advance(2 * LEASE_MS)
    lockstep.apply(model, begin("m1", "x3", "old"))
    lockstep.apply(model, complete(token_of(model)))
    lockstep.apply(model, begin("m1", "x4", "old"))
    lockstep.apply(model, begin("m5", "x5", "last"))
    lockstep.apply(model, replacing("m6", "anew"))
    lockstep.settle()
    lockstep.expire(model)
    # A run that follows, whose arguments are replaced, and that is cancelled, leaves nothing to another's.
    lockstep.apply(model, begin("m1", "x1"))
    lockstep.apply(model, following("m2", "f2"))
    lockstep.apply(model, complete(token_of(model)))
    lockstep.apply(model, replacing("m3", "f3"))
    lockstep.apply(model, begin("m2", "x2", "f2"))
    lockstep.apply(model, cancel())
    lockstep.clock.advance(LEASE_MS)
    lockstep.apply(model, begin("m4", "x4", "f3"))
    lockstep.apply(model, begin("m1", "x5"))
    lockstep.settle()


def lost_replies(lockstep: Lockstep, model: Model) -> None:
    """A message whose admission is repeated neither follows nor replaces itself, nor is it a conflict later."""
    for again in (following, replacing):
        lockstep.apply(model, following("m1", "f1"))
        lockstep.apply(model, again("m1", "f1"))
        lockstep.apply(model, begin("m1", "x1", "f1"))
        lockstep.apply(model, again("m1", "f1"))
        lockstep.apply(model, complete(token_of(model)))
        lockstep.apply(model, following("m2", "f2"))
        lockstep.apply(model, begin("m1", "x2", "f1"))
        lockstep.apply(model, begin("m2", "x3", "f2"))
        lockstep.apply(model, following("m3", "f3"))
        lockstep.apply(model, wait(token_of(model)))
        lockstep.apply(model, replacing("m4", "f4"))
        lockstep.clock.advance(DELAY_MS)
        lockstep.apply(model, begin("m2", "x4", "f2"))
        lockstep.apply(model, cancel())
        lockstep.clock.advance(LEASE_MS)
        token = token_of(model)
        lockstep.apply(model, begin("m2", "x5", "f2"))
        lockstep.apply(model, fail(token))
        lockstep.apply(model, following("m5", "f5"))
        lockstep.settle()
        lockstep.expire(model)


def runs_that_follow(lockstep: Lockstep, model: Model) -> None:
    """However a run ends, what followed it is queued, unless it was cancelled."""
    endings = (
        [complete],
        [fail],
        [lambda token: release(token, is_forgotten=True)],
        [heartbeat, LEASE_MS, lambda _: begin("m9", "x9", max_lost=0)],
        [lambda _: cancel(), wait],
        [lambda _: cancel(), lambda _: following("m4", "f4"), wait],
        [lambda _: cancel(), lambda _: following("m4"), release],
        [lambda _: cancel(), lambda _: following("m4", "f4"), LEASE_MS, lambda _: begin("m1", "x8")],
        [wait],
        [wait, lambda _: cancel()],
        [lambda _: cancel(spares_running=True), complete],
        [wait, lambda _: cancel(spares_running=True)],
        [release],
        [LEASE_MS, lambda _: begin("m1", "x7"), complete],
    )
    for ending in endings:
        lockstep.apply(model, begin("m1", "x1"))
        lockstep.apply(model, following("m2"))
        lockstep.apply(model, following("m3", "f3"))
        token = token_of(model)
        for step in ending:
            if isinstance(step, int):
                lockstep.clock.advance(step)
            else:
                lockstep.apply(model, step(token))
        lockstep.apply(model, complete(token))
        lockstep.apply(model, begin("m3", "x3", "f3"))
        lockstep.apply(model, complete(token_of(model)))
        lockstep.settle()
        lockstep.expire(model)


def publications(lockstep: Lockstep, model: Model) -> None:
    """An admission is published at the asked end, once, with its payload where there is a hash."""
    client, queue, messages = lockstep.client, f"{lockstep.prefix}queue", f"{lockstep.prefix}messages"
    ways = itertools.product((True, False), ("", messages), ("", "f1"))
    for number, (is_left, hash_key, fingerprint) in enumerate(ways):
        client.delete(queue, messages)
        client.rpush(queue, "older")
        publication = Publication(queue, b"entry", is_left, hash_key, b"payload" if hash_key else b"")
        operation = Admit(fingerprint, "m1", b"message", HELP_MS, TTL_MS, publication)
        each = Model(f"{model.digest[:2]}{number}" + "1" * 37)
        lockstep.apply(each, operation)
        lockstep.apply(each, operation)
        lockstep.settle()
        _expect(client.lrange(queue, 0, -1), [b"entry", b"older"] if is_left else [b"older", b"entry"])
        _expect(client.hgetall(messages), {b"entry": b"payload"} if hash_key else {})


def server_clock(lockstep: Lockstep, model: Model) -> None:
    """Without an injected clock, time is the server's, and a token to the microsecond."""
    for _ in range(4):
        before_ms = time.time_ns() // 1_000_000
        reply = _call(lockstep, scripts.call(lockstep.keys, model.digest, begin()))
        after_ms = time.time_ns() // 1_000_000
        _expect(before_ms * 1000 <= scripts.answer(reply).token < (after_ms + 1) * 1000, True)
        record = scripts.record(model.digest, _call(lockstep, scripts.reading(lockstep.keys, model.digest)))
        _expect(record is not None and before_ms <= record.created_ms <= after_ms, True)
        lockstep.client.delete(*lockstep.keys.of(model.digest))


def lost_index_entry(lockstep: Lockstep, model: Model) -> None:
    """Work that the index has lost is helped, not forgotten."""
    lockstep.apply(model, admit())
    lockstep.settle()
    lockstep.client.zrem(lockstep.keys.of(model.digest)[2], model.digest)
    now_ms = lockstep.clock.now_ms()
    reply = _call(lockstep, scripts.call(lockstep.keys, model.digest, admit("m2"), now_ms))
    _expect(scripts.answer(reply).kind, Kind.HELP)
    _call(lockstep, scripts.call(lockstep.keys, model.digest, begin(), now_ms))
    lockstep.client.zrem(lockstep.keys.of(model.digest)[2], model.digest)
    _call(lockstep, scripts.call(lockstep.keys, model.digest, help_(1), now_ms))
    # The record outlives the lease, however soon the next help is due.
    _expect(lockstep.client.pttl(lockstep.keys.of(model.digest)[0]) > TTL_MS + LEASE_MS // 2, True)


def stale_index_entry(lockstep: Lockstep, model: Model) -> None:
    """Help takes the entry of a record that expired out of the index."""
    lockstep.apply(model, admit())
    lockstep.expire(model)
    lockstep.apply(model, help_())
    lockstep.settle()
    _expect(lockstep.client.zscore(lockstep.keys.of(model.digest)[2], model.digest), None)


def _call(lockstep: Lockstep, call: scripts.Call) -> list[bytes]:
    sha1 = lockstep.sources.get(call.script.name, call.script).sha1
    return lockstep.client.evalsha(sha1, len(call.keys), *call.keys, *call.arguments)


def _expect(got: object, wanted: object) -> None:
    if got != wanted:
        msg = f"{got!r} instead of {wanted!r}"
        raise DivergenceError(msg)
