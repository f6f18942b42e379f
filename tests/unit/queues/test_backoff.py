"""Waits between attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queues.backoff import Backoff, Retry
from queues.errors import InvalidOptionError


def test_the_default_waits_one_two_and_four_minutes():
    assert [Backoff().delay_ms(retries) for retries in range(3)] == [60_000, 120_000, 240_000]


def test_a_base_and_a_factor_are_the_callers():
    assert [Backoff(0.5, factor=3).delay_ms(retries) for retries in range(3)] == [500, 1_500, 4_500]


def test_no_wait_is_longer_than_the_longest():
    assert [Backoff(60, max_s=100).delay_ms(retries) for retries in (0, 1, 2, 1000, 10**9)] == [60_000, *[100_000] * 4]


def test_a_factor_of_one_waits_alike_each_time():
    assert {Backoff(5, factor=1).delay_ms(retries) for retries in range(100)} == {5_000}


def test_no_wait_at_all_is_allowed():
    assert Backoff(0).delay_ms(5) == 0


def test_jitter_takes_up_to_its_part_of_the_wait():
    waits_ms = [Backoff(60, jitter=0.5).delay_ms(0) for _ in range(500)]

    assert 30_000 <= min(waits_ms) < 33_000
    assert 57_000 < max(waits_ms) <= 60_000


@pytest.mark.parametrize(
    "options",
    [
        {"base_s": -1},
        {"base_s": 10, "max_s": 5},
        {"factor": 0.5},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"base_s": float("nan")},
        {"factor": float("nan")},
        {"max_s": float("nan")},
        {"jitter": float("nan")},
    ],
    ids=str,
)
def test_a_number_out_of_its_range_is_refused(options):
    with pytest.raises(InvalidOptionError):
        Backoff(**options)


@given(st.floats(0, 1e6), st.floats(1, 1e300), st.floats(0, 1e9), st.floats(0, 1), st.integers(0, 10**6))
def test_every_allowed_backoff_gives_a_wait_within_its_bounds(base_s, factor, more_s, jitter, retries):
    backoff = Backoff(base_s, factor, base_s + more_s, jitter)

    delay_ms = backoff.delay_ms(retries)

    assert (1 - jitter) * base_s * 1000 - 1 <= delay_ms <= (base_s + more_s) * 1000 + 1


@pytest.mark.parametrize("options", [{"factor": float("inf")}, {"max_s": float("inf")}, {"base_s": 0, "factor": 1e300}])
@pytest.mark.parametrize("retries", [0, 1, 64, 10**6])
def test_an_endless_number_is_refused_or_bounded(options, retries):
    try:
        backoff = Backoff(**options)
    except InvalidOptionError:
        return

    assert backoff.delay_ms(retries) >= 0


def test_a_retry_may_name_its_delay():
    assert Retry(delay=5).delay == 5
    assert Retry().delay is None
    assert str(Retry("the source is busy")) == "the source is busy"
    assert str(Retry())
