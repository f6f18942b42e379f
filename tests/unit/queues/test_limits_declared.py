"""Limits that cannot be used are refused where they are declared."""

from typing import Any

import pytest

from queues import Concurrency, Once, Tasks, errors
from queues.limits.times import TimeLimits


@pytest.mark.parametrize(
    "options",
    [
        {"soft_time_limit": 0},
        {"time_limit": -1},
        {"time_limit": True},
        {"time_limit": "60"},
        {"time_limit": float("inf")},
        {"soft_time_limit": float("nan")},
        {"soft_time_limit": 60, "time_limit": 60},
        {"soft_time_limit": 61, "time_limit": 60},
    ],
)
def test_limits_that_cannot_be_used_are_refused_where_they_are_declared(options: dict[str, Any]):
    with pytest.raises(errors.InvalidOptionError, match="time_limit"):
        Tasks(namespace="t").task(**options)(lambda: None)


def test_without_limits_nothing_is_timed():
    assert not TimeLimits()
    assert TimeLimits(1.0)
    assert TimeLimits(None, 1)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "3"])
def test_a_limit_that_is_no_number_of_runs_is_refused(limit: Any):
    with pytest.raises(errors.InvalidOptionError, match="whole number of runs"):
        Concurrency(limit)
    with pytest.raises(errors.InvalidOptionError, match="whole number of runs"):
        Tasks(namespace="t").task(concurrency=limit)(lambda: None)


def test_a_number_limits_the_whole_task():
    assert Tasks(namespace="t").task(concurrency=3)(lambda: None).concurrency == Concurrency(3)


@pytest.mark.parametrize("per", ["", (), ("",), 3, ("a", 3)])
def test_a_per_that_names_nothing_is_refused(per: Any):
    with pytest.raises(errors.InvalidOptionError, match="per="):
        Concurrency(1, per=per)


def test_a_per_that_is_no_parameter_is_refused_where_the_task_is_declared():
    with pytest.raises(errors.InvalidOptionError, match="owner"):
        Tasks(namespace="t").task(concurrency=Concurrency(1, per="owner"), once=Once())(lambda user: None)


def test_a_rate_that_cannot_be_read_is_refused_where_the_task_is_declared():
    with pytest.raises(errors.InvalidOptionError, match="'10/s', '100/m' or '1000/h'"):
        Tasks(namespace="t").task(rate_limit="ten a second")(lambda: None)
