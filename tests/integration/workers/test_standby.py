"""The process that renews leases for workers whose threads cannot run: it comes, serves, is replaced, and goes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from queues.idempotency.standby import NOT_WATCHED, NoStandby
from queues.idempotency.state import Begin, Complete, Kind, State
from queues.stores import lease_table, standby
from queues.stores.redis import RedisStore
from tests.stage import eventually

LEASE_MS = 3000
WORKER = """
import sys, time
from queues.stores.standby import ProcessStandby
url, prefix, name, lease_ms = sys.argv[1:]
standby = ProcessStandby(url, prefix, name)
standby.prepare()
print("ready", flush=True)
digest, token = sys.stdin.readline().split()
standby.watch(digest, int(token), int(lease_ms), 60_000, time.monotonic_ns() // 1_000_000)
print("watched", flush=True)
time.sleep(600)
"""


class Work:
    """A record that is running, and a process that says it runs it and never renews it."""

    def __init__(self, url: str, prefix: str) -> None:
        self.store = RedisStore(url, prefix=prefix)
        self.name = f"onceq-test-{uuid.uuid4().hex}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, url, prefix, self.name, str(LEASE_MS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready\n"
        self.digest = uuid.uuid4().hex + "0" * 8
        begun = self.store.apply(self.digest, Begin("", "m-1", b"{}", "e-1", 0, LEASE_MS, 3, 60_000))
        self._tell(f"{self.digest} {begun.token}\n")
        assert self._line() == "watched\n"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def _tell(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def is_renewed(self) -> bool:
        """Whether the lease, which nobody else renews, still has not ended two leases later."""
        deadline = time.monotonic() + 2 * LEASE_MS / 1000
        while time.monotonic() < deadline:
            if self.has_ended():
                return False
            time.sleep(0.02)
        return True

    def has_ended(self) -> bool:
        record = self.store.read(self.digest)
        assert record is not None
        return record.until_ms < self.store._server_now_ms()

    def close(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()
        self.store.close()


@pytest.fixture
def work(valkey_url: str, key_prefix: str) -> Iterator[Work]:
    made = Work(valkey_url, key_prefix)
    yield made
    made.close()


def standbys(name: str) -> list[int]:
    """Standby processes of that name."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"standby_process" in command and name.encode() in command:
            found.append(int(entry.name))
    return found


def test_a_process_that_renews_nothing_itself_keeps_its_lease(work: Work):
    assert work.is_renewed()


def test_a_stopped_process_loses_its_lease_and_a_woken_one_does_not_get_it_back(work: Work):
    work.process.send_signal(signal.SIGSTOP)
    eventually(work.has_ended)

    taken = work.store.apply(work.digest, Begin("", "m-1", b"{}", "e-2", 0, 60_000, 3, 60_000))
    work.process.send_signal(signal.SIGCONT)

    assert taken.kind is Kind.RUN
    assert work.store.apply(work.digest, Complete(taken.token, b"{}", 1000)).state is State.COMPLETED


def test_a_killed_process_loses_its_lease(work: Work):
    work.process.kill()

    eventually(work.has_ended)


def test_a_standby_that_dies_is_replaced_at_the_next_beat(valkey_url: str, key_prefix: str):
    first = standby.ProcessStandby(valkey_url, key_prefix, f"onceq-test-{uuid.uuid4().hex}")
    first.prepare()
    number = first.watch("a" * 40, 7, LEASE_MS, 1000, 0)
    line = first._line
    assert line is not None
    os.kill(standby.peer(line)[0], signal.SIGKILL)
    eventually(lambda: standby._has_ended(line))
    first._try_at_s = 0.0  # the pause between two starts

    first.renewed(number, 1)
    eventually(lambda: first.renewed(number, 1) or (first._line not in (None, line)))

    assert not standby._has_ended(first._line)
    first._line.close()


def test_it_ends_when_the_last_worker_has_gone(work: Work):
    assert standbys(work.name)

    work.close()

    eventually(lambda: not standbys(work.name), within_s=60)


def test_a_process_with_more_runs_than_rows_goes_on_without_watching_the_rest():
    table = lease_table.LeaseTable()
    lease = lease_table.Lease("a" * 40, 7, 1000, 1000, 5)

    numbers = [table.add(lease) for _ in range(lease_table.ROWS + 1)]
    table.remove(numbers[0])

    assert numbers[-1] == NOT_WATCHED
    assert table.add(lease) != NOT_WATCHED


def test_a_table_shows_its_reader_each_lease_as_it_was_last_renewed():
    table = lease_table.LeaseTable()
    reader = lease_table.LeaseReader(table.fd)
    kept = lease_table.Lease("a" * 40, 7, 1000, 2000, 5)
    number = table.add(kept)
    table.remove(table.add(lease_table.Lease("b" * 40, 8, 900, 2000, 5)))

    table.renew(number, 2**40)

    assert [*reader] == [lease_table.Lease("a" * 40, 7, 1000, 2000, 2**40)]
    assert reader.shortest_lease_ms == 900


def test_a_machine_without_proc_has_no_standby(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(standby, "IS_POSSIBLE", False)

    assert isinstance(standby.standby_for("redis://127.0.0.1:1/0", ""), NoStandby)


def test_a_strange_guest_is_shown_out(work: Work):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.settimeout(60)
        line.connect(standby.address(work.name))
        line.send(b"\xff no place")
        assert line.recv(100) == b""

    assert work.is_renewed()


def test_a_renewal_does_not_wait_while_a_run_waits_for_the_standby(valkey_url):
    waiting = standby.ProcessStandby(valkey_url, "", f"onceq-test-{uuid.uuid4().hex}")
    renewal = threading.Thread(target=waiting.renewed, args=(NOT_WATCHED, 0), daemon=True)

    with waiting._locks.setdefault(os.getpid(), threading.Lock()):
        renewal.start()
        renewal.join(60)
        is_waiting = renewal.is_alive()

    assert not is_waiting
