"""The shim's part of the benchmark, for the work that it checks."""

import json

import pytest

from queues.cli import main


@pytest.mark.slow
def test_chains_and_chords_are_measured_on_celery_and_on_the_shim(capsys):
    scenarios = ["--scenario", "chains of 3", "--scenario", "chords of 100"]
    contenders = [word for name in ("celery, ch", "shim, ch") for word in ("--contender", name)]

    code = main(["bench", "--quick", "--with", "compat.bench.extension:SHIM", *scenarios, *contenders, "--json"])

    document = json.loads(capsys.readouterr().out)
    assert (code, document["invalid"]) == (0, [])
    assert {sample["contender"] for sample in document["samples"]} == {
        f"{side}, {canvas}" for side in ("celery", "shim") for canvas in ("chains of 3", "chords of 100")
    }
