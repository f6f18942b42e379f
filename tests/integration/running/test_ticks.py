"""However many schedulers tick in a minute, the task of a schedule is submitted once."""

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.schedules import Schedule
from app.ticks import submit_tick, tick_key
from queues import Tasks, connect
from queues.errors import StoreUnavailableError
from tests.servers import ValkeyServer

PROGRAM = Path(__file__).with_name("schedulers.py")
MOMENT = datetime(2026, 3, 4, 3, 0, 59, tzinfo=UTC)


def test_beat_and_periodiq_ticking_twice_each_submit_one_task_a_minute(valkey_url, key_prefix, tmp_path):
    environment = os.environ | {
        "REDIS_URL": valkey_url,
        "QUEUES_PREFIX": key_prefix,
        "DATA_DIR": str(tmp_path),
        "TZ": "America/New_York",
    }

    ended = subprocess.run(
        [sys.executable, str(PROGRAM)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines()]
    ids = {(row[1], row[2]) for row in rows if row[0] in {"beat", "periodiq"}}
    assert [row[0] for row in rows] == ["beat", "beat", "periodiq", "periodiq"] * 2 + ["later", "utc"]
    assert len(ids) == 2
    assert (rows[-2][1], rows[-2][2]) not in ids
    assert rows[-1] == ["utc", "True", "2026-01-02T03:00"]


def test_the_key_of_a_tick_is_its_minute_in_utc():
    assert tick_key("nightly", MOMENT) == "tick:nightly:2026-03-04T03:00Z"


def test_a_tick_waits_for_redis_to_come_back(tmp_path):
    tasks = Tasks(namespace="ticks")

    @tasks.task
    def nightly(days: int) -> int:
        return days

    schedule = Schedule("ticks.nightly", "0 3 * * *", {"days": 30})
    with ValkeyServer(tmp_path) as server, connect(tasks, backend="dramatiq", redis_url=server.url) as queue:
        server.kill()
        handles = []
        ticking = threading.Thread(
            target=lambda: handles.append(submit_tick(tasks, "nightly", schedule, MOMENT, pause_s=0.05))
        )
        ticking.start()
        time.sleep(0.3)
        waits = ticking.is_alive()
        server.start()
        ticking.join(20)
        unfinished = queue.unfinished()

    assert waits
    assert [handle.decision for handle in handles] == ["executed"]
    assert unfinished == 1


def test_a_tick_without_redis_is_given_up_in_the_end(tmp_path):
    tasks = Tasks(namespace="ticks")
    tasks.task(lambda days: days, name="ticks.nightly")
    schedule = Schedule("ticks.nightly", "0 3 * * *", {"days": 30})

    with (
        connect(tasks, backend="dramatiq", redis_url="redis://127.0.0.1:1/0"),
        pytest.raises(StoreUnavailableError),
    ):
        submit_tick(tasks, "nightly", schedule, MOMENT, try_for_s=0.2, pause_s=0.05)
