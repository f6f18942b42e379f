"""The machine and the scripts, side by side: each operation goes to both, answers and whole records are compared."""

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import redis

from queues.idempotency import letters, machine
from queues.idempotency.burial import Bury, Drop, Revive
from queues.idempotency.letters import Shelf
from queues.idempotency.state import Admit, Answer, Begin, Cancel, Fail, Help, Kind, Look, Operation, Record, State
from queues.stores import bulk, outcome, scripts
from queues.stores.scripts import Call, Keys, Script
from tests.contract.operations import Chooser, ManualClock

EXPIRY_TOLERANCE_MS = 20_000
"""The server's expiry runs on real time while the injected clock stands still."""

ON_LETTERS = frozenset({Begin, Fail, Bury, Revive, Drop})
"""Operations after which the letters of the shard are compared too."""
PLAIN = "a look for an outcome, by the plain command"
LOOKS = ((None, False, False), (None, True, True), ("f1", False, False), (None, False, False), (None, True, False))
LOOKS = (*LOOKS, ("f1", True, True))
"""Fingerprint, None for the record's own; whether only an outcome is asked for; whether by the plain command."""
RECORD_OF = "the record of "
SETTLE_STEPS = 40
"""One round trip for so many steps of a walk."""


class DivergenceError(AssertionError):
    """The scripts did what the machine does not."""


@dataclass
class Model:
    """One key as the specification has it.

    Args:
        left_ms: how long the server should keep the record, since its expiry was last set.
        is_stale: the record expired, and its entry of the index may still be there.
        has_own_ids: the ids of its messages carry the digest, as those that this library makes.
    """

    digest: str
    record: Record | None = None
    left_ms: int = 0
    is_stale: bool = False
    has_own_ids: bool = False

    def named(self, operation: Operation) -> Operation:
        """The operation, with an id as this key's messages have."""
        if not self.has_own_ids or not hasattr(operation, "message_id"):
            return operation
        return replace(operation, message_id=f"{self.digest}-{operation.message_id}")

    def apply(self, shelf: Shelf, operation: Operation, now_ms: int) -> Answer:
        before = self.record
        self.record, answer = letters.apply(shelf, self.digest, before, operation, now_ms)
        is_marked_only = isinstance(operation, Cancel) and answer.state is State.RUNNING
        if self.record is not None and self.record is not before and not is_marked_only:
            self.left_ms = self.record.expires_ms - now_ms
        self.is_stale = self.is_stale and self.record is None and not isinstance(operation, Help)
        return answer

    def expire(self) -> None:
        self.is_stale = self.is_stale or (self.record is not None and self.record.state.is_live)
        self.record, self.left_ms = None, 0


@dataclass
class Lockstep:
    """Sends operations to the scripts in pipelines; `settle` compares what came back with the machine.

    Args:
        sources: replaces a script's text, for mutants.
    """

    client: redis.Redis
    prefix: str
    sources: dict[str, Script] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.keys = Keys(self.prefix)
        self._looks = itertools.cycle(LOOKS)
        self._pipe = self.client.pipeline(transaction=False)
        self._expected: list[tuple[Any, Any]] = []
        self._shelves: defaultdict[str, Shelf] = defaultdict(Shelf)

    def apply(self, model: Model, operation: Operation, *, reads_letters: bool = True) -> None:
        """Queue one operation, and reads of everything it may have touched.

        Args:
            reads_letters: False where a later operation's read shows what this one did to them.
        """
        now_ms, operation = self.clock.now_ms(), model.named(operation)
        self._queue(scripts.call(self.keys, model.digest, operation, now_ms))
        shelf = self._shelves[model.digest[:2]]
        answer = model.apply(shelf, operation, now_ms)
        self._expected.append((operation, answer))
        self._read(model, now_ms)
        if reads_letters and type(operation) in ON_LETTERS:
            self._expect_letters(self.keys.letters(model.digest[:2]), shelf)

    def admit_together(self, requests: Sequence[tuple[Model, Admit]]) -> None:
        """Queue one call that admits messages of several keys: it leaves alone what the machine has something of."""
        now_ms = self.clock.now_ms()
        self._queue(bulk.joined(self.keys, [(model.digest, operation) for model, operation in requests], now_ms))
        left = []
        for place, (model, operation) in enumerate(requests, 1):
            if model.record is not None:
                left.append(place)
                continue
            answer = model.apply(self._shelves[model.digest[:2]], operation, now_ms)
            assert answer == Answer(Kind.ADMITTED, operation.message_id, State.QUEUED)
        self._expected.append((f"what is left of {len(requests)} admitted together", left))
        for model in {model.digest: model for model, _ in requests}.values():
            self._read(model, now_ms)

    def _read(self, model: Model, now_ms: int) -> None:
        """Queue reads of everything that an operation on the key may have touched."""
        self._look(model, now_ms)
        self._queue(scripts.reading(self.keys, model.digest, now_ms))
        expected = model.record
        if expected is not None:
            expected = replace(expected, expires_ms=now_ms + model.left_ms)
        self._expected.append((f"{RECORD_OF}{model.digest}", expected))
        lock, result, leases = self.keys.of(model.digest)
        self._pipe.exists(lock, result)
        self._expected.append(("the number of its keys", 0 if expected is None else 1))
        self._pipe.zscore(leases, model.digest)
        is_live = expected is not None and expected.state.is_live
        entry = expected.help_at_ms if expected and is_live else None
        self._expected.append(("its entry in the index", ... if model.is_stale else entry))

    def _look(self, model: Model, now_ms: int) -> None:
        """Queue one look at the key; what is read after it shows whether it changed anything."""
        fingerprint, is_ended, is_plain = next(self._looks)
        if fingerprint is None:
            fingerprint = model.record.fingerprint if model.record else ""
        look = Look(fingerprint, is_ended)
        answer = machine.look(model.record, look, now_ms)
        if is_plain:
            self._pipe.execute_command(*outcome.command(self.keys, model.digest))
            self._expected.append((PLAIN, (look, model.digest, answer)))
        else:
            self._queue(scripts.call(self.keys, model.digest, look, now_ms))
            self._expected.append((look, answer))

    def _expect_letters(self, names: tuple[str, str, str], shelf: Shelf) -> None:
        kept = {letter.id.encode(): letter.encoded() for letter in shelf.letters.values()}
        self._pipe.hgetall(names[0])
        self._expected.append(("the dead letters", kept))
        self._pipe.zrange(names[1], 0, -1, withscores=True)
        self._expected.append(("their index", [(letter.id.encode(), letter.failed_ms) for letter in shelf.in_order()]))
        self._pipe.hmget(names[2], "bytes", "removed")
        self._expected.append(("their counts", [shelf.bytes, shelf.removed]))

    def expire(self, model: Model) -> None:
        """Let the server forget the record, as its time to live would: the index keeps its entry."""
        self._pipe.delete(*self.keys.of(model.digest)[:2])
        self._expected.append(("deleted", ...))
        model.expire()

    def settle(self) -> None:
        """Send what is queued and compare.

        Raises:
            DivergenceError: at the first difference; also where a script failed.
        """
        expected, self._expected = self._expected, []
        what: Any = ""
        for (name, wanted), reply in zip(expected, self._pipe.execute(raise_on_error=False), strict=True):
            if isinstance(reply, redis.exceptions.NoScriptError):
                raise reply
            if isinstance(reply, Exception):
                msg = f"{what or name}: {reply}"
                raise DivergenceError(msg)
            what = name if isinstance(wanted, Answer) and not isinstance(name, Look) else what
            self._compare(name, what, wanted, reply)

    def walk(self, seed: int, steps: int) -> None:
        """Random operations on two keys of one shard, with the clock moved and records expired between."""
        rng = random.Random(seed)
        choose = Chooser(rng.choice)
        models = [Model(f"{seed % 256:02x}{digit * 38}", has_own_ids=digit == "b") for digit in "ab"]
        for step in range(steps):
            model = rng.choice(models)
            self.clock.advance(choose.advance_ms())
            # Outcomes answer nearly everything alike: they are forgotten soon, so that more runs are seen.
            is_live = model.record is not None and model.record.state.is_live
            if rng.random() < (0.02 if is_live else 0.3):
                self.expire(model)
            self.apply(model, choose.operation(model.record))
            if step % SETTLE_STEPS == SETTLE_STEPS - 1:
                self.settle()
        self.settle()

    def walk_together(self, seed: int, steps: int) -> None:
        """Random operations on keys of several shards, some of which are admitted together."""
        rng = random.Random(seed)
        choose = Chooser(rng.choice)
        models = [Model(f"{shard:02x}{digit * 38}") for shard in (seed % 256, 255 - seed % 256) for digit in "cd"]
        for step in range(steps):
            self.clock.advance(choose.advance_ms())
            model = rng.choice(models)
            if rng.random() < 0.3:
                self.expire(model)
            if rng.random() < 0.5:
                self.admit_together(choose.admissions(models))
            else:
                self.apply(model, choose.operation(model.record))
            if step % SETTLE_STEPS == SETTLE_STEPS - 1:
                self.settle()
        self.settle()

    def _queue(self, call: Call) -> None:
        script = self.sources.get(call.script.name, call.script)
        self._pipe.execute_command("EVALSHA", script.sha1, len(call.keys), *call.keys, *call.arguments)

    def _compare(self, name: Any, what: Any, wanted: Any, reply: Any) -> None:
        if wanted is ...:
            return
        if name == PLAIN:
            look, digest, wanted = wanted
            name, reply = look, outcome.answer(digest, reply, look)
        try:
            got: Any = _parsed(name, wanted, reply)
        except (AttributeError, ValueError) as exc:  # a part is missing, or is none that is known
            msg = f"after {what}: {name} cannot be read: {exc}"
            raise DivergenceError(msg) from exc
        if isinstance(got, Record) and wanted and abs(got.expires_ms - wanted.expires_ms) < EXPIRY_TOLERANCE_MS:
            got = replace(got, expires_ms=wanted.expires_ms)
        if got != wanted:
            msg = f"after {what}: {name} is\n  {got}\nbut the machine says\n  {wanted}"
            raise DivergenceError(msg)


def _parsed(name: Any, wanted: Any, reply: Any) -> Any:
    if isinstance(reply, Answer):
        return reply
    if isinstance(wanted, Answer):
        return scripts.answer(reply)
    if isinstance(name, str) and name.startswith(RECORD_OF):
        return scripts.record(name.removeprefix(RECORD_OF), reply)
    if name == "its entry in the index":
        return None if reply is None else int(reply)
    if name == "their counts":
        return [int(count or 0) for count in reply]
    return reply


def load(client: redis.Redis, texts: Sequence[str]) -> None:
    """Make scripts known to the server."""
    for text in texts:
        client.script_load(text)


NAMES = (
    *("admit", "confirm", "begin", "heartbeat", "complete", "wait", "fail", "release", "cancel", "help", "read"),
    *("look", "admit_many", "admit_plain"),
    *("bury", "revive", "drop"),
)
