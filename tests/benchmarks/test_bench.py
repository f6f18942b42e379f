"""`queues bench`, for the work that it checks: its figures are not looked at."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from queues.bench.contenders import Contender
from queues.bench.environments import InstallError, interpreter
from queues.bench.run import Outcome, Plan, run
from queues.bench.scenarios.latency import Latency
from queues.bench.scenarios.processing import Processing
from queues.cli import main
from queues.commands.bench import ending_at_signals
from tests.stage import eventually


@pytest.mark.slow
def test_a_quick_run_measures_what_was_chosen_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    kept, drawn = tmp_path / "run.json", tmp_path / "run.html"
    scenarios = ["many", "INCR", "duplicate after", "burst", "join", "memory of a record", "recovery"]
    chosen = [word for name in scenarios for word in ("--scenario", name)]
    contenders = ["--no-peers", "--contender", "dramatiq", "--contender", "record"]

    code = main(["bench", "--quick", *contenders, *chosen, "--keep", str(kept), "--html", str(drawn)])

    document = json.loads(kept.read_text("utf-8"))
    assert code == 0
    assert {(sample["scenario"], sample["contender"]) for sample in document["samples"]} == {
        ("enqueue many", "onceq on dramatiq"),
        ("process INCR", "onceq on dramatiq"),
        ("process INCR", "onceq on dramatiq, 4 threads"),
        ("process INCR", "dramatiq"),
        ("duplicate after completion", "onceq on dramatiq"),
        ("burst of 10,000 and drain", "onceq on dramatiq"),
        ("burst of 10,000 and drain", "dramatiq"),
        ("fan-out and join of 1,000", "onceq on dramatiq"),
        ("memory of a record", "onceq, a completed record"),
        ("recovery after kill -9", "onceq on dramatiq, lease 3 s"),
    }
    assert all(sample["value"] > 0 for sample in document["samples"])
    assert document["invalid"] == []
    assert "process INCR" in capsys.readouterr().out
    assert "<svg" in drawn.read_text("utf-8")


def test_a_name_that_nothing_has_is_refused_with_what_there_is(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "--scenario", "teleport"]) == 64

    assert "process no-op" in capsys.readouterr().err


def test_a_run_that_is_worse_than_an_older_one_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    kept = tmp_path / "run.json"
    chosen = ["bench", "--quick", "--contender", "redis-py", "--scenario", "enqueue one"]
    assert main([*chosen, "--keep", str(kept)]) == 0
    document = json.loads(kept.read_text("utf-8"))

    for factor, code in ((100.0, 1), (0.01, 0)):
        samples = [{**sample, "value": sample["value"] * factor} for sample in document["samples"]]
        kept.write_text(json.dumps({**document, "samples": samples}), "utf-8")
        assert main([*chosen, "--compare", str(kept)]) == code

    assert "worse" in capsys.readouterr().out


def test_a_file_where_it_is_run_takes_no_package_s_place(tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "dramatiq.py").write_text("raise SystemExit('not this one')", "utf-8")
    monkeypatch.chdir(tmp_path)

    code = main(["bench", "--quick", "--contender", "dramatiq", "--scenario", "no-op", "--json"])

    assert (code, json.loads(capsys.readouterr().out)["invalid"]) == (0, [])


def test_what_no_target_was_measured_of_is_told(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "--quick", "--targets", "--contender", "redis-py", "--scenario", "enqueue one"]) == 0

    assert "not measured: enqueue one, Celery: against an EVALSHA loop" in capsys.readouterr().out


def test_a_run_in_which_nothing_goes_together_says_so_and_keeps_no_file(tmp_path: Path, capsys):
    kept = tmp_path / "run.json"
    kept.write_text("older", "utf-8")

    assert main(["bench", "--contender", "redis-py", "--scenario", "recovery", "--keep", str(kept)]) == 64

    assert "nothing was measured" in capsys.readouterr().err
    assert kept.read_text("utf-8") == "older"


def test_the_command_is_kept_without_its_passwords(tmp_path: Path):
    kept = tmp_path / "run.json"
    chosen = ["--quick", "--contender", "redis-py", "--scenario", "enqueue one", "--redis-url", "redis://me:hush@[::1]"]

    assert main(["bench", *chosen, "--keep", str(kept)]) == 0

    command = json.loads(kept.read_text("utf-8"))["command"]
    assert command.startswith("queues bench --quick")
    assert "hush" not in command


@pytest.mark.parametrize("option", ["--keep", "--html", "--picture", "--markdown"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(option: str, tmp_path: Path, capsys):
    assert main(["bench", option, str(tmp_path / "missing" / "file")]) == 64

    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "said"), [("lose", "did 499 of 500"), ("double", "1 were lost, 1 doubled")])
def test_a_contender_that_loses_or_doubles_work_makes_the_run_invalid(
    tmp_path: Path, fault: str, said: str, monkeypatch
):
    write(tmp_path / "faulty.py", FAULTY.replace("FAULT", repr(fault)), monkeypatch)
    monkeypatch.setattr("queues.bench.scenarios.checking.WITHIN_S", 12.0)
    outcome = Outcome()

    run(Plan([Processing("process", "noop", 300)], [Contender("faulty", "faulty")], 1), Silence(), outcome)

    assert not outcome.samples
    assert said in outcome.invalid[0]


@pytest.mark.slow
def test_a_producer_that_was_held_up_is_counted_for_every_task_that_it_delayed(tmp_path: Path, monkeypatch):
    write(tmp_path / "stalling.py", STALLING, monkeypatch)
    outcome = Outcome()

    run(Plan([Latency("latency", 0.1, 400, 2.0)], [Contender("stalling", "stalling")], 1), Silence(), outcome)

    shares = dict(outcome.samples[0].points)
    # One submission of 200 or more takes half a second: a loop that waits for answers would see one slow task.
    assert shares[0.9] > 50


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_heard_though_python_drops_what_its_handler_raised(how: signal.Signals):
    with ending_at_signals() as check:
        check()
        with contextlib.suppress(KeyboardInterrupt):  # as when an object is finalized
            os.kill(os.getpid(), how)

        with pytest.raises(KeyboardInterrupt):
            check()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_measured_is_told_when_it_is_interrupted(how: signal.Signals):
    command = [sys.executable, "-m", "queues.cli", "bench", "--contender", "redis-py", "--scenario", "enqueue one"]
    with subprocess.Popen(
        [*command, "--rounds", "100000", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "round 3 of" in line:
                break

        process.send_signal(how)
        told, said = process.communicate(timeout=120)

    assert process.returncode == 130
    assert "interrupted; this is what was measured" in said
    assert len(json.loads(told)["samples"]) >= 2


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_no_process_and_no_folder_behind(tmp_path: Path):
    """Workers are stopped while others are measured: left behind they would stay so for ever."""
    mark = f"ONCEQ_TEST_RUN={tmp_path}"
    command = [sys.executable, "-m", "queues.cli", "bench", "--contender", "4 threads", "--scenario", "no-op"]
    with subprocess.Popen(
        [*command, "--rounds", "100000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ONCEQ_TEST_RUN": str(tmp_path), "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "round 2 of" in line:
                break
        started = [pid for pid in marked(mark) if pid != process.pid]
        folders = list(tmp_path.glob("onceq-bench-*"))

        process.kill()

    assert len(started) > 4
    assert folders
    eventually(lambda: not set(started) & set(marked(mark)))
    eventually(lambda: not any(folder.exists() for folder in folders))


@pytest.mark.slow
def test_a_peer_that_cannot_be_installed_is_told_and_left_out(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    peer = Contender("peer", "huey_tasks", requirements=("onceq-bench-no-such-package==1",))
    screen, outcome = Silence(), Outcome()

    with pytest.raises(InstallError, match="no-such-package"):
        interpreter(peer.name, peer.requirements, screen.say)
    run(Plan([Processing("process", "noop", 300)], [peer], 1), screen, outcome)

    assert not outcome.samples
    assert not outcome.invalid
    assert any("peer is left out" in text for text in screen.said)


def marked(variable: str) -> list[int]:
    """The living processes that have this in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if f"{variable}\0".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


class Silence:
    def __init__(self) -> None:
        self.said: list[str] = []

    def show(self, text: str, done: float) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)


def write(path: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(program, "utf-8")
    monkeypatch.syspath_prepend(path.parent)


FAULTY = """
import sys
import redis, os
import ledger, work
client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"], socket_timeout=None)  # a BLPOP waits
def send(kind, numbers):
    client.rpush("queue", *numbers)
def worker(concurrency):
    return [sys.executable, __file__]
if __name__ == "__main__":
    while True:
        number = int(client.blpop("queue")[1])
        if number == 401 and FAULT == "lose":
            continue
        if number == 401 and FAULT == "double":
            number = 402
        work.noop(number)
"""

STALLING = """
import sys, time
import redis, os
import work
client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"], socket_timeout=None)  # a BLPOP waits
def send(kind, numbers):
    if len(numbers) == 1 and numbers[0] == 610:
        time.sleep(0.5)
    client.rpush("queue", *numbers)
def worker(concurrency):
    return [sys.executable, __file__]
if __name__ == "__main__":
    while True:
        work.noop(int(client.blpop("queue")[1]))
"""
