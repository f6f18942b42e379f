"""However many schedulers the service has, each of its schedules submits one task for a night."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("schedulers.py")


def test_beat_and_periodiq_looking_twice_each_submit_one_task_a_schedule(valkey_url, key_prefix, tmp_path):
    environment = os.environ | {
        "REDIS_URL": valkey_url,
        "QUEUES_PREFIX": key_prefix,
        "DATA_DIR": str(tmp_path),
        "TZ": "America/New_York",
    }

    ended = subprocess.run(
        [sys.executable, str(PROGRAM)], env=environment, capture_output=True, text=True, timeout=240, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "2 schedules, 2 tasks",
        "app.tasks.cleanup_old_data",
        "app.tasks.generate_analytics_report",
    ]
