"""The trace that a message may carry; nothing is decided by it, so nothing is refused for it."""

import json

import pytest

from queues.message import MAX_TRACE_LENGTH, Message, trace_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PLAIN = Message(id="a-1", task="t", queue="q", digest="a", priority=5)


def test_a_message_without_a_trace_is_written_as_before():
    assert PLAIN.carrying({}).encoded() == b'{"v":1,"id":"a-1","task":"t","queue":"q","key":"a","priority":5}'


def test_a_trace_survives_the_store_a_retry_and_another_owner():
    traced = PLAIN.carrying({"traceparent": PARENT, "tracestate": "a=1"})

    read = Message.decoded(traced.retried(2).owned_by("b-1").encoded())

    assert read.trace == {"traceparent": PARENT, "tracestate": "a=1"}


@pytest.mark.parametrize(
    "trace",
    [None, 5, "text", [], {}, {"traceparent": 5}, {"traceparent": ""}, {"traceparent": "x" * (MAX_TRACE_LENGTH + 1)}],
    ids=repr,
)
def test_what_is_no_trace_is_left_out(trace: object):
    data = json.dumps({**json.loads(PLAIN.encoded()), "trace": trace}).encode()

    assert Message.decoded(data) == PLAIN
    assert trace_of(trace) == {}


def test_only_the_headers_of_a_trace_are_kept():
    assert trace_of({"traceparent": PARENT, "baggage": "user=alice", "cookie": "x"}) == {"traceparent": PARENT}
