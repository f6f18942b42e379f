"""Protocols that are wrong, and ours with one thing wrong: the explorer must break each."""

from dataclasses import replace

from queues.idempotency import machine
from queues.idempotency.machine import Result
from queues.idempotency.state import Admit, Begin, Complete, Operation, Record, State


def unfenced(record: Record | None, operation: Operation, now_ms: int) -> Result:
    """The machine, but for `complete`, which writes whatever the record says."""
    if isinstance(operation, Complete):
        written = record if record is not None else Record(State.RUNNING, "", "")
        return machine.apply(replace(written, state=State.RUNNING, token=operation.token), operation, now_ms)
    return machine.apply(record, operation, now_ms)


def completed_by_anyone(record: Record | None, operation: Operation, now_ms: int) -> Result:
    """The machine, but for `complete`, which ends whichever run holds the lease."""
    if isinstance(operation, Complete) and record is not None:
        return machine.apply(record, replace(operation, token=record.token), now_ms)
    return machine.apply(record, operation, now_ms)


def reentrant(record: Record | None, operation: Operation, now_ms: int) -> Result:
    """The machine, but a delivery of the message that runs may run too."""
    if isinstance(operation, Begin) and record is not None and record.state is State.RUNNING:
        is_its_own = record.owner == operation.message_id and record.execution != operation.execution
        return machine.apply(replace(record, until_ms=now_ms) if is_its_own else record, operation, now_ms)
    return machine.apply(record, operation, now_ms)


def begun_late(record: Record | None, operation: Operation, now_ms: int) -> Result:
    """The machine, but whoever gets a message runs it, however late it is."""
    if isinstance(operation, Begin):
        kept = replace(record, begin_by_ms=0) if record is not None else None
        return machine.apply(kept, replace(operation, begin_by_ms=0), now_ms)
    return machine.apply(record, operation, now_ms)


def admitted_again(record: Record | None, operation: Operation, now_ms: int) -> Result:
    """The machine, but a repeated `admit` of a message that has failed meanwhile is taken for a new one."""
    if isinstance(operation, Admit) and record is not None and record.state is State.FAILED:
        return machine.apply(replace(record, owner=""), operation, now_ms)
    return machine.apply(record, operation, now_ms)
