"""Tasks that run under a profiler, or any other tool that traces Python, end as they do without."""

import subprocess
import sys

PROGRAM = """
import cProfile
from queues import Tasks, connect

tasks = Tasks(namespace="profiled")

@tasks.task
def double(number):
    return 2 * number

with connect(tasks, backend="memory"), cProfile.Profile():
    handles = [double.send(number) for number in range(200)]
    print(sum(handle.result() for handle in handles))
"""


def test_a_profiled_worker_goes_on_after_its_first_task():
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=240, check=True)

    assert told.stdout.split() == [str(2 * sum(range(200)))]
