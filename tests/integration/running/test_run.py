"""One command runs everything, nothing outlives it, and a second start finds its data."""

import os
import signal
import subprocess
import sys

from tests.integration.running.running import (
    Running,
    is_listening,
    processes,
    running,
    wait_for,
)

TEXT = b"The harbour office is open from seven to four.\n\nBerths are kept for two hours.\n"
GONE_WITHIN_S = 30.0


def test_a_killed_supervisor_leaves_no_process_and_a_second_start_finds_its_data(backend, tmp_path):
    with running(backend, tmp_path / "data") as first:
        submitted = first.submit("hours.txt", TEXT)
        first.outcome(submitted["id"])
        pids, ports = first.tree(), first.ports()

        first.process.kill()
        first.process.wait()
        wait_for(lambda: not _alive(pids), GONE_WITHIN_S, "the end of all processes")
        taken = [port for port in ports if is_listening(port)]
    with running(backend, tmp_path / "data") as second:
        again = second.submit("hours.txt", TEXT)
        chunks = second.chunks(submitted["source_id"])
        health = second.health()

    assert len(pids) >= 7  # supervisor, guardian, two servers, API, worker, scheduler
    assert taken == []
    assert (again["id"], again["decision"]) == (submitted["id"], "replayed")
    assert [chunk["place"] for chunk in chunks]
    assert (health["status"], health["backend"]["name"]) == ("running", backend)


def test_a_dead_worker_is_started_again_and_ctrl_c_ends_everything(backend, tmp_path):
    part = {"celery": "celery_app worker", "dramatiq": "dramatiq app"}[backend]
    with running(backend, tmp_path / "data") as service:
        old = service.pid_of(part)

        os.kill(old, signal.SIGKILL)
        wait_for(lambda: "worker is ready again" in service.said, 60, "another worker")
        outcome = service.outcome(service.submit("hours.txt", TEXT)["id"])
        new, pids, ports = service.pid_of(part), service.tree(), service.ports()
        service.process.send_signal(signal.SIGINT)
        code = service.process.wait(120)
        left = _alive(pids)
        taken = [port for port in ports if is_listening(port)]

    assert new != old
    assert outcome["state"] == "completed"
    assert (code, left, taken) == (0, [], [])


def test_a_second_supervisor_refuses_the_folder_and_the_port_of_the_first(tmp_path):
    with running("celery", tmp_path / "data") as service:
        folder = _refused(service, PORT="0")
        port = _refused(service, DATA_DIR=str(tmp_path / "other"))
        health = service.health()

    assert (folder.returncode, port.returncode) == (1, 1)
    assert f"process {service.process.pid}" in folder.stderr
    assert "DATA_DIR=" in folder.stderr
    assert f"port {service.port} on 127.0.0.1 is taken" in port.stderr
    assert f"PORT={service.port + 1}" in port.stderr
    assert health["status"] == "running"


def test_a_program_that_cannot_start_is_named_with_the_end_of_its_log(tmp_path):
    service = Running("celery", tmp_path / "data", {"CELERY_BROKER_URL": "nonsense://127.0.0.1"})
    try:
        code = service.process.wait(120)
    finally:
        service.end()

    assert code == 1
    assert " ended at once (exit code" in service.said
    assert "The end of its log:" in service.said
    assert "nonsense" in service.said
    assert "stopped" in service.said


def _refused(service: Running, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.run"],
        env=service.environment | options,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid, _, _ in processes() if pid in pids]
