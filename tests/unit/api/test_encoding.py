"""JSON bodies: what is let in, and what is refused with which pointer."""

import json
from datetime import UTC, datetime

import pytest

from app.api.encoding import MAX_DEPTH, JsonBodyError, from_json, to_json


def nested(depth):
    return b"[" * depth + b"]" * depth


def test_a_body_comes_out_as_it_went_in():
    value = {"text": "naïve 你好", "numbers": [0, -1, 2**63 - 1, 1.5], "none": None, "yes": True}

    assert from_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b'{"a":NaN}', id="not a number"),
        pytest.param(b'{"a":-Infinity}', id="infinity"),
        pytest.param(b'{"a":1,"a":2}', id="a name twice"),
        pytest.param(b'"\xff"', id="not UTF-8"),
        pytest.param(b'"\\u0000"', id="NUL"),
        pytest.param(b'{"\\u0000":1}', id="NUL in a name"),
        pytest.param(b'"\\ud800"', id="half a surrogate pair"),
        pytest.param(b"9223372036854775808", id="65 bits"),
        pytest.param(b"1" * 5000, id="5,000 digits"),
        pytest.param(nested(MAX_DEPTH + 1), id="one too deep"),
        pytest.param(nested(400_000), id="a depth bomb"),
        pytest.param(b'{"a":' * 100_000, id="an unfinished depth bomb"),
    ],
)
def test_a_hostile_body_is_refused(body):
    with pytest.raises(JsonBodyError):
        from_json(body)


def test_the_deepest_allowed_body_is_let_in():
    assert from_json(nested(MAX_DEPTH))


def test_a_refusal_points_at_the_place():
    with pytest.raises(JsonBodyError) as refusal:
        from_json(b'{"kwargs":{"a/b":[1,"\\u0000"]}}')

    assert refusal.value.pointer == "/kwargs/a~1b/1"


def test_times_are_written_in_utc():
    assert to_json([datetime(2026, 1, 1, tzinfo=UTC)]) == b'["2026-01-01T00:00:00Z"]'


@pytest.mark.parametrize("value", [2**70, "\ud800", {1: 2}, object, {"a": {2**70}}])
def test_whatever_a_task_returned_can_be_shown(value):
    assert json.loads(to_json({"result": value}))["result"] is not None
