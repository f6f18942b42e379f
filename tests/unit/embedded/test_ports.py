"""Ports for the embedded servers."""

from collections.abc import Iterator

import pytest

from app.embedded import ports
from app.run import make_plan
from app.settings import Settings
from tests.ports import free_port


class Dice:
    """Numbers that are known beforehand."""

    def __init__(self, *numbers: int) -> None:
        self._numbers: Iterator[int] = iter(numbers)

    def randint(self, lowest: int, highest: int) -> int:
        return next(self._numbers)


def test_no_two_programs_of_a_plan_are_given_the_same_port(tmp_path, monkeypatch: pytest.MonkeyPatch):
    api, valkey, mongo = (free_port() for _ in range(3))
    monkeypatch.setattr(ports, "_RANDOM", Dice(api, valkey, valkey, api, mongo))
    for name in ("REDIS_URL", "MONGO_URL"):
        monkeypatch.delenv(name, raising=False)

    plan = make_plan(Settings(data_dir=tmp_path, port=api))

    assert f":{valkey}/" in plan.environment["REDIS_URL"]
    assert plan.environment["MONGO_URL"] == f"mongodb://127.0.0.1:{mongo}"
