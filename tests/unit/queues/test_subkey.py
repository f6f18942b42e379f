"""The sub-keys with which a task guards its own steps."""

import pytest

from queues import Once, current
from tests.unit.queues.bench import LEASE_S, Bench

LEASE_MS = round(LEASE_S * 1000)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_subkey_is_the_same_in_each_attempt_and_after_a_takeover(bench: Bench):
    seen: list[tuple[str, int]] = []

    def charge(amount: int) -> None:
        seen.append((current.subkey("charge"), current.token))
        if len(seen) == 1:
            raise ConnectionError

    task = bench.task(charge, max_retries=1, once=Once(lease=LEASE_S))
    message = bench.admitted(task, 5)
    bench.executor.execute(message)
    bench.clock.advance(1_000)
    retried, _ = bench.published[-1]
    # A worker begins the second attempt, and dies; another takes over.
    bench.guard.begin(retried, task.policy)
    bench.clock.advance(LEASE_MS + 1)
    bench.executor.execute(retried)

    keys, tokens = zip(*seen, strict=True)
    assert len(set(keys)) == 1
    assert tokens[1] > tokens[0]


def test_other_steps_and_other_work_have_other_subkeys(bench: Bench):
    seen: list[str] = []

    def charge(amount: int) -> None:
        seen.extend([current.subkey("charge"), current.subkey("mail")])

    task = bench.task(charge)
    for amount in (5, 6):
        bench.executor.execute(bench.admitted(task, amount))

    assert len(set(seen)) == 4


def test_work_that_is_asked_for_again_after_it_was_forgotten_has_other_subkeys(bench: Bench):
    seen: list[str] = []

    def charge(amount: int) -> None:
        seen.append(current.subkey("charge"))

    task = bench.task(charge, once=Once(lease=LEASE_S, ttl=10))
    for _ in range(2):
        bench.executor.execute(bench.admitted(task, 5))
        bench.clock.advance(10_001)

    assert len(set(seen)) == 2
