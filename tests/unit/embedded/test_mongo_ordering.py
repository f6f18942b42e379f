"""The bytes that order values agree with arithmetic, and with MongoDB's order of types."""

from decimal import Decimal

import pytest
from bson import Decimal128, Int64
from hypothesis import given, settings
from hypothesis import strategies as st

from app.embedded.mongo.errors import BadValueError, NestingTooDeepError
from app.embedded.mongo.ordering import MAX_DEPTH, order_key

numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20),
)
texts = st.text(st.characters(codec="utf-8"), max_size=5)


def stored(number):
    return Decimal128(number) if isinstance(number, Decimal) else number


@settings(deadline=None)
@given(numbers, numbers)
def test_numbers_of_all_types_compare_by_value(left, right):
    exact_left, exact_right = Decimal(left), Decimal(right)

    assert (order_key(stored(left)) < order_key(stored(right))) == (exact_left < exact_right)
    assert (order_key(stored(left)) == order_key(stored(right))) == (exact_left == exact_right)


@settings(deadline=None)
@given(texts, texts)
def test_strings_compare_by_their_utf8_bytes(left, right):
    assert (order_key(left) < order_key(right)) == (left.encode() < right.encode())


@settings(deadline=None)
@given(st.lists(st.one_of(texts, numbers.map(stored)), max_size=3), st.lists(texts, max_size=3))
def test_no_key_is_the_beginning_of_another(left, right):
    first, second = order_key(left), order_key(right)

    assert first == second or not (first.startswith(second) or second.startswith(first))


def test_equal_numbers_have_one_key_whatever_their_type():
    keys = {order_key(value) for value in (1, 1.0, Int64(1), Decimal128("1"), Decimal128("1.000"))}

    assert len(keys) == 1
    assert order_key(True) not in keys
    assert order_key(0.0) == order_key(-0.0)


def test_a_double_and_a_decimal_of_one_text_are_not_equal():
    assert order_key(0.1) != order_key(Decimal128("0.1"))


def test_documents_compare_with_the_order_of_their_fields():
    assert order_key({"a": 1, "b": 2}) != order_key({"b": 2, "a": 1})
    assert order_key({"a": 1}) < order_key({"a": 1, "b": 0}) < order_key({"a": 2})


@pytest.mark.parametrize("text", ["1E-6000", "1E+400"])
def test_a_decimal_beyond_the_range_of_a_double_is_refused(text):
    with pytest.raises(BadValueError):
        order_key(Decimal128(text))


def test_a_value_nested_too_deeply_is_refused():
    value: list[object] = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]

    with pytest.raises(NestingTooDeepError):
        order_key(value)
