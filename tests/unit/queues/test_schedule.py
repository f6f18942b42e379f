"""The moments that a schedule names, over changes of the clocks, and what it refuses."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from queues.errors import InvalidOptionError
from queues.schedule import Schedule

DAY = timedelta(days=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata"]


def at(*moment: int, zone: str = "UTC", fold: int = 0) -> int:
    return round(datetime(*moment, tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def told(moments_ms: list[int], zone: str = "UTC") -> list[str]:
    return [f"{datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)):%m-%d %H:%M%z}" for ms in moments_ms]


def test_a_line_names_its_moments_in_its_own_time_zone():
    schedule = Schedule("nightly", "task", "0 3 * * *", "Europe/Berlin")

    moments = schedule.moments_ms(at(2026, 1, 1), at(2026, 1, 3), 9)

    assert told(moments) == ["01-01 02:00+0000", "01-02 02:00+0000"]
    assert schedule.next_ms(moments[-1]) == at(2026, 1, 3, 2)
    assert schedule.key(moments[0]) == "tick:nightly:2026-01-01T02:00Z"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("line", ["30 2 * * *", "0 2 * * *", "15 1 * * *", "30 0 * * *", "45 1 * * *"])
def test_each_day_has_one_moment_also_when_the_clocks_change(zone: str, line: str):
    schedule = Schedule("nightly", "task", line, zone)

    moments = schedule.moments_ms(at(2026, 1, 1, zone=zone), at(2027, 1, 1, zone=zone), 1_000)

    days = [datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).date() for ms in moments]
    assert days == [date(2026, 1, 1) + DAY * n for n in range(365)]


def test_a_local_time_that_is_left_out_comes_when_the_clocks_have_changed():
    schedule = Schedule("nightly", "task", "0,30 2 * * *", "Europe/Berlin")

    moments = schedule.moments_ms(at(2026, 3, 28, 12), at(2026, 3, 30, 12), 9)

    assert told(moments, "Europe/Berlin") == ["03-29 03:00+0200", "03-30 02:00+0200", "03-30 02:30+0200"]


def test_a_local_time_that_comes_twice_counts_the_first_time():
    schedule = Schedule("nightly", "task", "30 2 * * *", "Europe/Berlin")
    twice = at(2026, 10, 25, 2, 30, zone="Europe/Berlin")

    moments = schedule.moments_ms(at(2026, 10, 24, 12), at(2026, 10, 25, 12), 9)
    between = schedule.moments_ms(at(2026, 10, 24, 12), at(2026, 10, 25, 2, 10, zone="Europe/Berlin", fold=1), 9)

    assert moments == between == [twice]
    assert schedule.next_ms(twice) == at(2026, 10, 26, 1, 30)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("line", ["*/20 * * * *", "10 * * * *", "0 */6 * * *"])
def test_a_line_of_every_hour_goes_by_the_time_that_passes(zone: str, line: str):
    schedule = Schedule("often", "task", line, zone)
    minutes, hours = line.split()[:2]
    autumn, spring = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)

    for first, last in [(autumn, autumn + 40 * DAY), (spring, spring + 40 * DAY)]:
        every = [(first + timedelta(minutes=n)).astimezone(ZoneInfo(zone)) for n in range(1, 40 * 1440 + 1)]
        is_minute = {"*/20": lambda n: n % 20 == 0, "10": lambda n: n == 10, "0": lambda n: n == 0}[minutes]
        meant = [m for m in every if is_minute(m.minute) and (hours == "*" or m.hour % 6 == 0)]
        moments = schedule.moments_ms(at(*first.timetuple()[:5]), at(*last.timetuple()[:5]), 10_000)

        assert moments == [round(m.timestamp() * 1000) for m in meant]


def test_the_newest_moments_are_given_oldest_first_and_the_last_second_counts():
    schedule = Schedule("often", "task", "*/10 * * * *")
    noon = at(2026, 5, 5, 12)

    assert told(schedule.moments_ms(0, noon, 2)) == ["05-05 11:50+0000", "05-05 12:00+0000"]
    assert told(schedule.moments_ms(0, noon - 1, 2)) == ["05-05 11:40+0000", "05-05 11:50+0000"]
    assert schedule.moments_ms(noon, noon + 999, 2) == []


def test_an_interval_means_the_same_moments_whoever_counts_them():
    schedule = Schedule("often", "task", timedelta(minutes=5))
    noon = at(2026, 5, 5, 12)

    assert schedule.moments_ms(noon - 300_000, noon + 1_234, 9) == [noon]
    assert schedule.next_ms(noon) == schedule.next_ms(noon + 1_234) == noon + 300_000


def test_keys_of_moments_within_a_minute_differ():
    schedule = Schedule("often", "task", timedelta(milliseconds=1_500))

    keys = [schedule.key(moment) for moment in schedule.moments_ms(0, 4_500, 9)]

    assert keys == [
        "tick:often:1970-01-01T00:00:01.500Z",
        "tick:often:1970-01-01T00:00:03Z",
        "tick:often:1970-01-01T00:00:04.500Z",
    ]


def test_the_moment_is_given_in_the_schedules_zone():
    schedule = Schedule("nightly", "task", "0 3 * * *", "Europe/Berlin", kwargs={"days": 30}, moment="night")

    assert schedule.arguments(at(2026, 1, 1, 2)) == {
        "days": 30,
        "night": datetime(2026, 1, 1, 3, tzinfo=ZoneInfo("Europe/Berlin")),
    }


@pytest.mark.parametrize(
    "when",
    [
        "",
        "@daily",
        "* * * *",
        "0 3 * * * *",
        "61 * * * *",
        "0 3 30 2 *",
        timedelta(0),
        timedelta(microseconds=1_000_001),
        5,
    ],
)
def test_what_names_no_moments_is_refused(when):
    with pytest.raises(InvalidOptionError, match="nightly"):
        Schedule("nightly", "task", when)


@pytest.mark.parametrize(
    "options", [{"timezone": "Mars/Olympus"}, {"timezone": "../etc"}, {"timezone": None}, {"catch_up": "some"}]
)
def test_an_option_that_cannot_be_used_is_refused(options):
    with pytest.raises(InvalidOptionError, match="nightly"):
        Schedule("nightly", "task", "0 3 * * *", **options)
