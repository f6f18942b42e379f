"""`queues bench`, for the work that it checks: its figures are not looked at."""

import json
from pathlib import Path

import pytest

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import BenchError
from queues.bench.run import run
from queues.bench.scenarios.processing import Processing
from queues.cli import main


@pytest.mark.slow
def test_a_quick_run_measures_what_was_chosen_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    kept = tmp_path / "run.json"

    code = main(
        ["bench", "--quick", "--contender", "dramatiq", "--scenario", "many", "--scenario", "INCR", "--keep", str(kept)]
    )

    document = json.loads(kept.read_text("utf-8"))
    assert code == 0
    assert {(sample["scenario"], sample["contender"]) for sample in document["samples"]} == {
        ("enqueue many", "onceq on dramatiq"),
        ("process INCR", "onceq on dramatiq"),
        ("process INCR", "dramatiq"),
    }
    assert all(sample["value"] > 0 for sample in document["samples"])
    assert "process INCR" in capsys.readouterr().out


def test_a_name_that_nothing_has_is_refused_with_what_there_is(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "--scenario", "teleport"]) == 64

    assert "process no-op" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "said"), [("lose", "did 499 of 500"), ("double", "1 were lost, 1 doubled")])
def test_a_contender_that_loses_or_doubles_work_makes_the_run_invalid(
    tmp_path: Path, fault: str, said: str, monkeypatch
):
    program = tmp_path / "faulty.py"
    program.write_text(FAULTY.replace("FAULT", repr(fault)), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("queues.bench.scenarios.processing.WITHIN_S", 5.0)
    samples: list[Sample] = []

    with pytest.raises(BenchError, match=said):
        run([Processing("process", "noop", 300)], [Contender("faulty", "faulty")], 1, lambda text: None, samples)

    assert not samples


FAULTY = """
import sys
import redis, os
import ledger, work
client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])
def send(kind, numbers):
    client.rpush("queue", *numbers)
def worker(concurrency):
    return [sys.executable, __file__]
if __name__ == "__main__":
    while True:
        number = int(client.blpop("queue")[1])
        if number == 400 and FAULT == "lose":
            continue
        if number == 400 and FAULT == "double":
            number = 401
        work.noop(number)
"""
