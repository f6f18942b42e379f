"""Equal calls have equal keys, whatever the spelling, process or machine; different calls never do."""

import inspect
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from itertools import combinations
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queues.errors import InvalidArgumentsError, UnencodableError
from queues.idempotency.key import (
    Parameters,
    argument_digest,
    canonical,
    explicit_digest,
    fingerprint,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.timedeltas()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
)


def called(function, *args, **kwargs):
    return argument_digest("t", "1", "", Parameters(inspect.signature(function)).bind(args, kwargs))


def plain(a, b=2, /, c=3, *rest, d=4, **more):
    return a, b, c, rest, d, more


def test_a_call_has_one_key_however_it_is_spelled():
    def task(a, b=1, *, c=None):
        return a, b, c

    spellings = [called(task, 5), called(task, a=5), called(task, 5, 1), called(task, b=1, a=5, c=None)]

    assert len(set(spellings)) == 1


def test_rest_and_keyword_arguments_are_part_of_the_key():
    calls = [
        called(plain, 1),
        called(plain, 1, 2, 3, 4),
        called(plain, 1, 2, 3, 4, 5),
        called(plain, 1, d=5),
        called(plain, 1, e=5),
        called(plain, 1, a=5),
    ]

    assert len(set(calls)) == len(calls)
    assert called(plain, 1, 2, 3) == called(plain, 1)
    assert called(plain, 1, x=1, y=2) == called(plain, 1, y=2, x=1)


@pytest.mark.parametrize("arguments", [((), {}), ((1,), {"a": 1}), ((1,), {"z": 1}), ((1, 2, 3, 4), {})])
def test_arguments_that_do_not_fit_are_told_before_anything_is_sent(arguments):
    def task(a, b=1, c=2):
        return a, b, c

    with pytest.raises(InvalidArgumentsError):
        Parameters(inspect.signature(task)).bind(*arguments)


NEW_YORK = ZoneInfo("America/New_York")
EQUAL = {
    "tuple and list": ((1, (2,)), [1, [2]]),
    "dict order": ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "a": 1}),
    "set and frozenset": ({1, 2}, frozenset({2, 1})),
    "set order": (set(range(50)), set().union(reversed(range(50)))),
    "decimals": (Decimal("1.0"), Decimal("1.00")),
    "decimals with exponents": (Decimal(100), Decimal("1E+2")),
    "decimal zeros": (Decimal(0), Decimal("-0.000")),
    "zeros": (0.0, -0.0),
    "zones": (
        datetime(2024, 1, 1, 12, tzinfo=UTC),
        datetime(2024, 1, 1, 7, tzinfo=NEW_YORK),
    ),
    "offsets": (
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2023, 12, 31, 18, 29, 59, tzinfo=timezone(-timedelta(hours=5, minutes=30, seconds=1))),
    ),
    "the repeated hour": (
        datetime(2024, 11, 3, 1, 30, fold=1, tzinfo=NEW_YORK),
        datetime(2024, 11, 3, 6, 30, tzinfo=UTC),
    ),
    "times with offsets": (time(12, tzinfo=UTC), time(13, tzinfo=timezone(timedelta(hours=1)))),
    "bytes and bytearray": (b"ab", bytearray(b"ab")),
    "durations": (timedelta(days=1), timedelta(hours=24)),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_values_have_equal_keys(name):
    first, second = EQUAL[name]

    assert canonical(first) == canonical(second)


DIFFERENT = [
    *(None, True, False, 1, 0, -1, 1.0, 0.0, 0.1, "1", "0", "", "True", "None", "1.0", b"1", b"", "n", "t"),
    *([], [[]], [None], [1, 2], [[1], 2], [1, [2]], [12], ["1", "2"], ["12"], ["1,2"], {}, {"a": 1}, {1: "a"}),
    *({"a": {}}, {"a": []}, {"1": 1}, {1: 1}, [("a", 1)], ["a", 1], set(), {1}, {1, 2}, {"1"}, {(1, 2)}, {None}),
    *(Decimal(1), Decimal("0.1"), Decimal("NaN"), Decimal("Infinity"), float("inf"), float("-inf"), float("nan")),
    *(datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), date(2024, 1, 1), "2024-01-01", time(0)),  # noqa: DTZ001
    *(time(0, 0, 1), timedelta(0), timedelta(microseconds=1), datetime(2024, 1, 1, microsecond=1, tzinfo=UTC)),
    *(UUID(int=1), str(UUID(int=1)), UUID(int=1).bytes, "é", "e\u0301", "\ud800", "\udfff", "a\x00", "s1:a", 10**40),
    *(datetime(2024, 11, 3, 1, 30, tzinfo=NEW_YORK), datetime(2024, 11, 3, 1, 30, fold=1, tzinfo=NEW_YORK)),
]


def test_no_two_different_values_share_a_key():
    same = [(a, b) for a, b in combinations(DIFFERENT, 2) if canonical(a) == canonical(b)]

    assert same == []


@given(VALUES, VALUES)
def test_keys_are_equal_exactly_when_the_values_are(first, second):
    assert (canonical(first) == canonical(second)) == same(first, second)


@given(VALUES)
def test_a_key_does_not_depend_on_the_order_in_which_a_dict_was_filled(value):
    assert canonical(turned(value)) == canonical(value)


@given(st.sets(st.text() | st.integers() | st.tuples(st.integers(), st.text()), max_size=8))
def test_a_key_does_not_depend_on_the_order_of_a_set(value):
    assert canonical(set().union(sorted(value, key=repr))) == canonical(
        set().union(sorted(value, key=repr, reverse=True))
    )


@given(st.datetimes(timezones=st.timezones()), st.timezones())
def test_an_instant_has_one_key_in_every_zone(moment, zone):
    try:
        elsewhere = moment.astimezone(UTC).astimezone(zone)
    except OverflowError:
        return

    assert canonical(elsewhere) == canonical(moment.astimezone(UTC))


def same(first, second):
    """Equality as the design has it: types differ, tuple and list do not, dict order does not."""
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return len(first) == len(second) and all(
            any(same(key, other) and same(first[key], second[other]) for other in second) for key in first
        )
    if isinstance(first, datetime) and (first.tzinfo is None) is not (second.tzinfo is None):
        return False
    return first == second


def turned(value):
    if isinstance(value, dict):
        return {key: turned(item) for key, item in reversed(value.items())}
    return [turned(item) for item in value] if isinstance(value, list) else value


class Level(IntEnum):
    HIGH = 1


class Name(Enum):
    FIRST = "first"


def test_an_enum_is_keyed_by_its_value_as_the_worker_will_see_it():
    assert canonical(Name.FIRST) == canonical("first")
    assert canonical(Level.HIGH) == canonical(1)


def test_task_version_scope_and_kind_are_part_of_the_key():
    digests = [
        argument_digest("t", "1", "", {"a": 1}),
        argument_digest("u", "1", "", {"a": 1}),
        argument_digest("t", "2", "", {"a": 1}),
        argument_digest("t", "1", "tenant", {"a": 1}),
        argument_digest("t1", "", "", {"a": 1}),
        argument_digest("t", "1", "", {"a": "1"}),
        explicit_digest("t", "1", "", {"a": 1}),
        explicit_digest("t", "1", "", "a"),
        explicit_digest("t", "1", "", ["a"]),
    ]

    assert len(set(digests)) == len(digests)


def test_a_fingerprint_tells_arguments_apart():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})
    assert len(fingerprint({})) == 32


class Opaque:
    def __repr__(self):
        return "the same for all"


@pytest.mark.parametrize(
    "value", [Opaque(), Opaque, object(), lambda: 1, {1: Opaque()}, [open], 1j, range(3), iter([]), memoryview(b"")]
)
def test_a_value_without_an_exact_encoding_is_refused(value):
    with pytest.raises(UnencodableError):
        argument_digest("t", "1", "", {"a": value})


def test_a_refusal_names_the_type():
    with pytest.raises(UnencodableError, match=r"test_key\.Opaque"):
        canonical({"deep": [Opaque()]})


def test_a_value_that_contains_itself_is_refused():
    cycle: list[object] = []
    cycle.append({"a": cycle})

    with pytest.raises(UnencodableError, match="contains itself"):
        canonical(cycle)


@pytest.mark.parametrize("digits", [4_000, 10_000])
def test_a_huge_integer_has_a_key_or_is_refused_as_unencodable(digits):
    try:
        made = canonical(10**digits)
    except UnencodableError:
        return

    assert made != canonical(10**digits + 1)


HASH_SEED_PROGRAM = """
from queues.idempotency.key import argument_digest
words = ["alpha", "beta", "gamma", "delta", "epsilon"]
value = {"s": set(words), "f": frozenset((w, i) for i, w in enumerate(words)), "d": dict.fromkeys(set(words), {1, "1"})}
print(argument_digest("t", "1", "", value))
"""


def test_a_key_is_the_same_in_every_process():
    digests = set()
    for seed in ("0", "1", "2", "42", "4294967295", "random"):
        done = subprocess.run(
            [sys.executable, "-c", HASH_SEED_PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        )
        digests.add(done.stdout.strip())

    assert len(digests) == 1
