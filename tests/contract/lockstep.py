"""The machine and the scripts, side by side: each operation goes to both, answers and whole records are compared."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import redis

from queues.idempotency import letters
from queues.idempotency.burial import Bury, Drop, Revive
from queues.idempotency.letters import Shelf
from queues.idempotency.state import Answer, Begin, Cancel, Fail, Help, Operation, Record, State
from queues.stores import scripts
from queues.stores.scripts import Call, Keys, Script
from tests.contract.operations import Chooser, ManualClock

EXPIRY_TOLERANCE_MS = 20_000
"""The server's expiry runs on real time while the injected clock stands still."""

ON_LETTERS = frozenset({Begin, Fail, Bury, Revive, Drop})
"""Operations after which the letters of the shard are compared too."""
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
    """

    digest: str
    record: Record | None = None
    left_ms: int = 0
    is_stale: bool = False

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
        self._pipe = self.client.pipeline(transaction=False)
        self._expected: list[tuple[Any, Any]] = []
        self._shelves: defaultdict[str, Shelf] = defaultdict(Shelf)

    def apply(self, model: Model, operation: Operation) -> None:
        """Queue one operation, and reads of everything it may have touched."""
        now_ms = self.clock.now_ms()
        self._queue(scripts.call(self.keys, model.digest, operation, now_ms))
        shelf = self._shelves[model.digest[:2]]
        answer = model.apply(shelf, operation, now_ms)
        self._expected.append((operation, answer))
        self._queue(scripts.reading(self.keys, model.digest, now_ms))
        expected = model.record
        if expected is not None:
            expected = replace(expected, expires_ms=now_ms + model.left_ms)
        self._expected.append(("the record", expected))
        lock, result, leases = self.keys.of(model.digest)
        self._pipe.exists(lock, result)
        self._expected.append(("the number of its keys", 0 if expected is None else 1))
        self._pipe.zscore(leases, model.digest)
        is_live = expected is not None and expected.state.is_live
        entry = expected.help_at_ms if expected and is_live else None
        self._expected.append(("its entry in the index", ... if model.is_stale else entry))
        if type(operation) in ON_LETTERS:
            self._expect_letters(self.keys.letters(model.digest[:2]), shelf)

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
            what = name if isinstance(wanted, Answer) else what
            self._compare(name, what, wanted, reply)

    def walk(self, seed: int, steps: int) -> None:
        """Random operations on two keys of one shard, with the clock moved and records expired between."""
        rng = random.Random(seed)
        choose = Chooser(rng.choice)
        models = [Model(f"{seed % 256:02x}{digit * 38}") for digit in "ab"]
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

    def _queue(self, call: Call) -> None:
        script = self.sources.get(call.script.name, call.script)
        self._pipe.execute_command("EVALSHA", script.sha1, len(call.keys), *call.keys, *call.arguments)

    def _compare(self, name: Any, what: Any, wanted: Any, reply: Any) -> None:
        if wanted is ...:
            return
        try:
            got: Any = _parsed(name, wanted, reply)
        except ValueError as exc:
            msg = f"after {what}: {name} cannot be read: {exc}"
            raise DivergenceError(msg) from exc
        if isinstance(got, Record) and wanted and abs(got.expires_ms - wanted.expires_ms) < EXPIRY_TOLERANCE_MS:
            got = replace(got, expires_ms=wanted.expires_ms)
        if got != wanted:
            msg = f"after {what}: {name} is\n  {got}\nbut the machine says\n  {wanted}"
            raise DivergenceError(msg)


def _parsed(name: Any, wanted: Any, reply: Any) -> Any:
    if isinstance(wanted, Answer):
        return scripts.answer(reply)
    if name == "the record":
        return scripts.record(reply)
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
    *("bury", "revive", "drop"),
)
