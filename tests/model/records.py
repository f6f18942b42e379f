"""Records as numbers, operations on them remembered, and times relative to now: what makes the states finite."""

from collections.abc import Callable
from dataclasses import replace

from queues.idempotency.machine import Result
from queues.idempotency.state import Answer, Operation, Record
from tests.model.world import World, put

Apply = Callable[[Record | None, Operation, int], Result]

NOW_MS = 1
"""The time at which every operation happens; records move back instead."""
FRESH_TOKEN = NOW_MS * 1000
"""Tokens given out now are not below it; older ones are replaced by their rank."""
MAX_HELPS = 2
"""The engine stops doubling the interval between helps at ten minutes; here it does at four times the first."""
NOBODY = "-"


class Records:
    """Applies a protocol to numbered records. Number 0 is no record."""

    def __init__(self, apply: Apply) -> None:
        self._apply = apply
        self._numbers: dict[Record | None, int] = {None: 0}
        self._records: list[Record | None] = [None]
        self._answers: dict[tuple[int, Operation], tuple[int, Answer]] = {}
        self._ticked: dict[int, int] = {}
        self._named: dict[tuple[int, int, str], int] = {}

    def __getitem__(self, number: int) -> Record | None:
        return self._records[number]

    def apply(self, number: int, operation: Operation) -> tuple[int, Answer]:
        """The record after the operation, and the answer."""
        found = self._answers.get((number, operation))
        if found is None:
            record, answer = self._apply(self._records[number], operation, NOW_MS)
            found = self._number(record), answer
            self._answers[number, operation] = found
        return found

    def tick(self, number: int) -> int:
        """The record one tick later; 0 when it has expired."""
        found = self._ticked.get(number)
        if found is None:
            record = self._records[number]
            if record is not None:
                record = replace(
                    record,
                    until_ms=record.until_ms - 1,
                    help_at_ms=record.help_at_ms - 1,
                    expires_ms=record.expires_ms - 1,
                    begin_by_ms=max(NOW_MS, record.begin_by_ms - 1) if record.begin_by_ms else 0,
                    token=aged(record.token),
                )
            found = self._ticked[number] = self._number(record)
        return found

    def named(self, number: int, token: int, execution: str) -> int:
        """The record with its token and its execution called otherwise."""
        found = self._named.get((number, token, execution))
        if found is None:
            record = self._records[number]
            assert record is not None
            found = self._number(replace(record, token=token, execution=execution))
            self._named[number, token, execution] = found
        return found

    def _number(self, record: Record | None) -> int:
        if record is not None and record.expires_ms <= NOW_MS:
            record = None
        if record is not None:
            # No decision looks at when the work was asked for or finished, nor how long ago a lease ended.
            record = replace(
                record,
                created_ms=0,
                finished_ms=0,
                until_ms=max(NOW_MS if record.is_held else 0, record.until_ms if record.until_ms > NOW_MS else 0),
                help_at_ms=max(NOW_MS, record.help_at_ms),
                helps=min(MAX_HELPS, record.helps),
            )
        number = self._numbers.get(record)
        if number is None:
            number = self._numbers[record] = len(self._records)
            self._records.append(record)
        return number


def aged(token: int) -> int:
    """A token one tick later: below those given out then, above those that were older."""
    return token - FRESH_TOKEN + FRESH_TOKEN // 2 if token >= FRESH_TOKEN else token


def canonical(world: World, records: Records, keys: tuple[int, ...]) -> World:
    """The same situation with old tokens replaced by their rank, and executions that nobody asks for forgotten.

    Args:
        keys: of each message.
    """
    for key, number in enumerate(world.records):
        record, lease = records[number], world.leases[key]
        token, execution = (record.token, record.execution) if record is not None else (0, "")
        old, is_asked_for = {token, lease.token}, execution in ("", NOBODY)
        for worker in world.workers:
            if worker.message >= 0 and keys[worker.message] == key:
                old.add(worker.token)
                is_asked_for |= worker.nonce == execution
        old = {t for t in old if 0 < t < FRESH_TOKEN}
        if is_asked_for and (not old or max(old) == len(old)):
            continue
        ranks = {t: rank for rank, t in enumerate(sorted(old), 1)}
        renamed = records.named(number, ranks.get(token, token), execution if is_asked_for else NOBODY) if record else 0
        world = world._replace(
            records=put(world.records, key, renamed),
            leases=put(world.leases, key, lease._replace(token=ranks.get(lease.token, lease.token))),
            workers=tuple(
                w._replace(token=ranks.get(w.token, w.token)) if w.message >= 0 and keys[w.message] == key else w
                for w in world.workers
            ),
        )
    return world
