"""Newer arguments of queued work, and the run that follows a running one, are in the record and on no queue.

The record must outlive a time in which no worker runs: without it they would be lost, though they were accepted.
"""

import pytest

from tests.contract.operations import (
    HELP_MS,
    LEASE_MS,
    admit,
    begin,
    complete,
    confirm,
    following,
    heartbeat,
    help_,
    play,
    release,
    replacing,
    wait,
)

DAY_MS = 86_400_000
REPLACED = (admit(), replacing("m2", "f2"))
FOLLOWED = (admit(), confirm(), begin(), following("m2", "f2"))
ONLY_HERE = {
    "replaced": REPLACED,
    "replaced, confirmed": (*REPLACED, confirm()),
    "replaced, helped": (*REPLACED, 10 * HELP_MS, help_()),
    "replaced, running": (*REPLACED, begin()),
    "replaced, renewed": (*REPLACED, begin(), heartbeat),
    "replaced, waiting": (*REPLACED, begin(), wait),
    "replaced, released": (*REPLACED, begin(), release),
    "followed": FOLLOWED,
    "followed, renewed": (*FOLLOWED, heartbeat),
    "followed, helped": (*FOLLOWED, LEASE_MS, help_()),
    "followed, taken over": (*FOLLOWED, LEASE_MS, begin("m1", "x2")),
    "followed, waiting": (*FOLLOWED, wait),
    "followed, released": (*FOLLOWED, release),
    "followed, ended": (*FOLLOWED, complete),
}


@pytest.mark.parametrize("name", ONLY_HERE)
def test_it_is_kept_for_weeks_without_a_worker(store, clock, digest, name):
    play(store, clock, digest, ONLY_HERE[name])
    record = store.read(digest)

    assert record.expires_ms - clock.now_ms() > 29 * DAY_MS
