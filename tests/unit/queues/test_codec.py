"""Values come back as they were sent; what cannot is refused by name, on the sender's side."""

import contextlib
import json
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from queues import codec
from queues.codec import MAX_DEPTH, TAG
from queues.errors import InvalidMessageError, UnencodableError

TEXT = st.text(st.characters(codec="utf-8"))
HASHABLE = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT | st.binary() | st.uuids() | st.dates() | st.timedeltas(),
    lambda inner: st.frozensets(inner, max_size=3),
    max_leaves=4,
)
VALUES = st.recursive(
    HASHABLE
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.none() | st.just(UTC)).map(lambda moment: moment.replace(fold=0))
    | st.times().map(lambda hour: hour.replace(fold=0)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT, inner, max_size=4)
        | st.dictionaries(HASHABLE, inner, max_size=3)
        | st.dictionaries(st.just(TAG) | TEXT, inner, max_size=2)
        | st.sets(HASHABLE, max_size=4)
    ),
    max_leaves=12,
)


HUGE = 10**10_000


def back(value):
    return codec.loads(codec.dumps(value))


def typed(value):
    """The value with its types, for comparison: True is not 1 here."""
    if isinstance(value, dict):
        return ("dict", sorted((repr(typed(k)), repr(typed(v))) for k, v in value.items()))
    if isinstance(value, set | frozenset):
        return (type(value).__name__, sorted(repr(typed(item)) for item in value))
    if isinstance(value, list | tuple):
        return ("list", [typed(item) for item in value])
    return (type(value).__name__, value)


@given(VALUES)
def test_a_value_comes_back_as_it_was(value):
    assert typed(back(value)) == typed(value)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, 0.0, "", [], {}, b"", set(), frozenset()),
        *(datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), time(1, 2, 3, 4, tzinfo=UTC)),
        *(datetime.min, datetime.max, date.min, date.max, timedelta.min, timedelta.max),  # noqa: DTZ901
        *(Decimal("1.00"), Decimal("-0"), Decimal("1E+400"), Decimal("Infinity"), UUID(int=0), 2**64, -(10**4000)),
        *({TAG: 1}, {TAG: ["bytes", "AA=="]}, {"a": {TAG: {}}}, {1: {"1": 2}}, {None: 1}, {(1, 2): 3}, {b"k": b"v"}),
        *({frozenset({1}): 1}, {frozenset({frozenset()})}, [[[]]], "\x00\u2028\U0001f600", 1e-320, 1e308),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_unusual_value_comes_back_as_it_was(value):
    assert typed(back(value)) == typed(value)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), {"x": [float("inf")]}])
def test_infinity_comes_back(value):
    assert back(value) == value


def test_not_a_number_comes_back():
    numbers = back([float("nan"), Decimal("NaN")])

    assert numbers[0] != numbers[0]
    assert numbers[1].is_nan()


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Mode(StrEnum):
    ON = "on"


@dataclass(frozen=True)
class Point:
    x: int
    y: "Point | None" = None


class Page(BaseModel):
    number: int
    at: datetime | None = None


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "something else"


class Moment(datetime):
    pass


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - an untyped one is the case


@pytest.mark.parametrize(
    ("value", "simple"),
    [
        ((1, (2,)), [1, [2]]),
        (Pair(1, 2), [1, 2]),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Mode.ON, "on"),
        ({Mode.ON: Level.HIGH}, {"on": 3}),
        (Point(1, Point(2)), {"x": 1, "y": {"x": 2, "y": None}}),
        (Page(number=1, at=datetime(2024, 1, 1, tzinfo=UTC)), {"number": 1, "at": datetime(2024, 1, 1, tzinfo=UTC)}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Text("kept"), "kept"),
        (Moment(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)),
        (bytearray(b"a"), b"a"),
        ({(1, (2, 3))}, {(1, (2, 3))}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_richer_value_becomes_the_simple_one_that_is_documented(value, simple):
    assert typed(back(value)) == typed(simple)


@pytest.mark.parametrize(
    "value",
    [{Point(1)}, frozenset({Point(1)}), {Point(1): "a"}, {(1, Point(2))}],
    ids=["set", "frozenset", "key", "tuple"],
)
def test_what_could_not_be_read_at_the_worker_is_refused_at_the_sender(value):
    try:
        data = codec.dumps(value)
    except UnencodableError:
        return

    codec.loads(data)


@pytest.mark.parametrize("value", [{Colour.RED: 1, "red": 2}, {Colour.RED, "red"}], ids=["keys", "set"])
def test_two_entries_that_would_become_one_are_refused_or_kept(value):
    try:
        data = codec.dumps(value)
    except UnencodableError:
        return

    assert len(codec.loads(data)) == 2


class Opaque:
    def __repr__(self):
        return "harmless"


@pytest.mark.parametrize("value", [Opaque(), Opaque, object(), print, 1j, range(2), iter([]), memoryview(b""), Page])
@pytest.mark.parametrize(
    "wrapped", [lambda v: v, lambda v: {"a": [v]}, lambda v: {1: v}], ids=["bare", "deep", "pairs"]
)
def test_any_other_type_is_refused_by_its_name(value, wrapped):
    name = type(value).__qualname__

    with pytest.raises(UnencodableError, match=name):
        codec.dumps(wrapped(value))


def test_an_exception_is_not_a_value():
    with pytest.raises(UnencodableError, match="ValueError"):
        codec.dumps(ValueError("x"))


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_limited_on_the_way_out():
    assert back(nested(MAX_DEPTH - 1)) == nested(MAX_DEPTH - 1)
    with pytest.raises(UnencodableError, match="nested deeper"):
        codec.dumps(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("make", [list, dict], ids=["list", "dict"])
def test_a_value_that_contains_itself_is_refused(make):
    cycle = make()
    cycle.append(cycle) if isinstance(cycle, list) else cycle.update(self=cycle)

    with pytest.raises(UnencodableError, match="contains itself"):
        codec.dumps(cycle)


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb", {"\ud800": 1}, ["x", {"y": "\udc00"}]])
def test_half_a_surrogate_pair_is_refused(value):
    with pytest.raises(UnencodableError):
        codec.dumps(value)


@pytest.mark.parametrize("value", [HUGE, {"a": [-HUGE]}, {HUGE}, {HUGE: 1}], ids=["bare", "deep", "set", "key"])
def test_an_integer_too_long_to_write_is_refused(value):
    with pytest.raises(UnencodableError):
        codec.dumps(value)


def test_an_integer_too_long_to_read_is_an_invalid_message():
    with pytest.raises(InvalidMessageError):
        codec.loads(b"1" * 10_000)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"nul", b"\xff", b"\x80\x04K\x01.", b"{'a': 1}", b"[1,]", b"\x00"),
        *(b"[" * 100_000, b'{"a":' * 100_000),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_bytes_that_are_not_json_are_an_invalid_message(data):
    with pytest.raises(InvalidMessageError):
        codec.loads(data)


@pytest.mark.parametrize(
    "tagged",
    [
        *(None, 1, "bytes", [], ["bytes"], ["bytes", "AA==", 1], ["pickle", "AA=="], ["__import__", "os"], [[], 1]),
        *(["bytes", 5], ["bytes", "A"], ["bytes", "é"], ["bytes", "!!!!"], ["datetime", "yesterday"], ["datetime", 5]),
        *(["date", "2024-13-01"], ["time", "25:00"], ["timedelta", "x"], ["timedelta", 10**30], ["decimal", "x"]),
        *(["decimal", None], ["uuid", "x"], ["uuid", 5], ["uuid", None], ["uuid", []], ["dict", 5], ["dict", [1]]),
        *(["dict", [[{}, 1]]], ["dict", [[1]]], ["set", 5], ["set", [{}]], ["frozenset", None], [None, None]),
    ],
    ids=repr,
)
def test_a_malformed_tag_is_an_invalid_message(tagged):
    with pytest.raises(InvalidMessageError):
        codec.loads(json.dumps({TAG: tagged}).encode())


@given(st.recursive(st.none() | st.integers() | TEXT, lambda v: st.lists(v) | st.dictionaries(st.just(TAG) | TEXT, v)))
def test_any_json_is_read_or_refused(value):
    with contextlib.suppress(InvalidMessageError):
        codec.loads(json.dumps(value).encode())


def test_json_is_compact_and_plain_for_plain_values():
    assert codec.dumps({"a": [1, "é", None]}) == '{"a":[1,"é",null]}'.encode()


def test_a_set_is_written_in_one_order():
    words = [f"word {number}" for number in range(40)]

    assert codec.dumps(set(words)) == codec.dumps(set().union(reversed(words)))
