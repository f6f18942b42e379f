"""What the machine tells of processes."""

import subprocess
import sys

from queues.bench.machine import family, family_cpu_s, family_memory_bytes, family_peak_bytes

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "sum(range(3_000_000)); print(flush=True); input()"], process_group=0)
child.wait()
"""


def test_a_child_in_a_group_of_its_own_belongs_to_the_family():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()  # the child has computed

        members = family(parent.pid)
        figures = family_cpu_s(parent.pid), family_memory_bytes(parent.pid), family_peak_bytes(parent.pid)

        parent.communicate(b"\n", timeout=60)

    assert len(members) == 2
    assert all(figure > 0 for figure in figures)
    assert family(parent.pid) == []
