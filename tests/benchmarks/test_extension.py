"""What other packages bring to a run."""

import json
from pathlib import Path

import pytest

from queues.cli import main

LIST = """
import sys
import redis, os
import work
from queues.bench.contenders import Contender
from queues.bench.extension import Extension
NAMED = Contender("a list", "outside_of_it")
SEVERAL = Extension([NAMED])
client = redis.Redis.from_url(os.environ.get("BENCH_REDIS_URL", "redis://"))
def send(kind, numbers):
    client.rpush("queue", *numbers)
def worker(concurrency):
    return [sys.executable, __file__]
if __name__ == "__main__":
    while True:
        work.noop(int(client.blpop("queue")[1]))
"""


@pytest.mark.parametrize("name", ["NAMED", "SEVERAL"])
def test_a_contender_of_another_package_is_measured(tmp_path: Path, monkeypatch, capsys, name: str):
    (tmp_path / "outside_of_it.py").write_text(LIST, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(Path("queues/bench/programs").absolute())

    code = main(
        [
            "bench",
            "--quick",
            "--contender",
            "a list",
            "--scenario",
            "no-op",
            "--with",
            f"outside_of_it:{name}",
            "--json",
        ]
    )

    (sample,) = json.loads(capsys.readouterr().out)["samples"]
    assert code == 0
    assert sample["contender"] == "a list"


def test_an_extension_that_is_named_twice_is_refused(capsys: pytest.CaptureFixture[str]):
    twice = ["--with", "compat.bench.extension:SHIM"] * 2

    assert main(["bench", "--quick", *twice]) == 64
    assert "there are two of the name 'celery" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["compat.bench", "compat.bench:NONE", "no_such:THING", "queues.bench.measure:RATE", ":"]
)
def test_what_is_no_extension_is_refused(text: str, capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "--quick", "--with", text]) == 64

    assert text in capsys.readouterr().err
