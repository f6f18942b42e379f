"""What is written without the general encoder, or bound without `inspect`, is what those would have made."""

import inspect
import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dramatiq
import pytest
from celery import Celery
from dramatiq.common import dq_name
from hypothesis import given
from hypothesis import strategies as st

from queues import Tasks, codec, connect
from queues.backends.celery.envelope import NO_CALLBACKS, Envelope
from queues.backends.celery.messages import HEADER, header, native_arguments
from queues.backends.dramatiq.messages import payload, to_native
from queues.errors import InvalidArgumentsError, UnencodableError
from queues.idempotency.key import Parameters
from queues.message import Message

NOBODY = "redis://127.0.0.1:1/0"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(SCALARS | st.binary(), lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner))
tasks = Tasks(namespace="short")


@tasks.task
def report(*args: Any, **kwargs: Any) -> None:
    """Anything fits."""


def message(*args: Any, **kwargs: Any) -> Message:
    key = "ab" * 20
    trace = {"traceparent": "00-1-2-01"} if "traced" in kwargs else {}
    return Message(f"{key}-0", report.name, 'a "queue"', key, args, kwargs, created_ms=1_700_000_000_000, trace=trace)


MESSAGES = [
    message(),
    message(1, "two", None, True, False, -3, 4.5),
    message('"', "\\", "\n\x00\x7f", "ä€😀\u2028", ""),
    message([1, [2, {"three": b"3"}]], {"a": Decimal("1.50")}, datetime(2026, 1, 2, tzinfo=UTC), {1, 2}, (4, (5,))),
    message(1, traced=True, ascii="no: ü"),
    message("x" * 2_000),
    replace(message(1), begin_by_ms=1_700_000_060_000),
]


@given(VALUES)
def test_a_value_has_one_text(value):
    assert json.loads(codec.text(value)) == codec.plain(value)
    assert codec.text(value) == json.dumps(codec.plain(value), separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("sent", MESSAGES, ids=repr)
def test_a_message_comes_back(sent):
    assert Message.decoded(sent.encoded()).encoded() == sent.encoded()
    assert json.loads(sent.encoded())["v"] == 1


@pytest.mark.parametrize("value", ["\ud800", object(), 10**5000], ids=["surrogate", "object", "digits"])
def test_what_has_no_text_is_refused(value):
    with pytest.raises(UnencodableError):
        message(value).encoded()


def test_a_newer_message_has_a_text_of_its_own():
    first = message(1)
    first.encoded()

    assert json.loads(first.retried(2).encoded())["retries"] == 2
    assert first.owned_by("another").texts == first.texts


@pytest.mark.parametrize("sent", MESSAGES, ids=repr)
def test_a_celery_envelope_holds_what_celery_would_write(sent):
    app = Celery(broker=NOBODY, set_as_current=False)
    app.task(report.fn, name=report.name)
    envelope = json.loads(Envelope(app, report, sent.queue, 4).written(sent))
    args, kwargs = native_arguments(sent, report)

    assert json.loads(b64decode(envelope["body"])) == [[*args], kwargs, NO_CALLBACKS]
    assert envelope["headers"][HEADER] == header(sent)
    assert envelope["headers"]["id"] == sent.id


@pytest.mark.parametrize("sent", MESSAGES, ids=repr)
@pytest.mark.parametrize("own", [{"redis_message_id": "r"}, {"redis_message_id": "r", "eta": 5}])
def test_a_dramatiq_payload_holds_what_dramatiq_would_write(sent, own):
    queue = dq_name(sent.queue) if "eta" in own else sent.queue
    expected = to_native(sent, report).copy(queue_name=queue, options=own)

    assert dramatiq.Message.decode(payload(sent, report, queue, own)) == dramatiq.Message.decode(expected.encode())


def by_inspect(signature: inspect.Signature, args: Any, kwargs: Any) -> dict[str, Any]:
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def told(bind: Callable[[], dict[str, Any]]) -> dict[str, Any] | str:
    """The arguments, or the text of the error."""
    try:
        return bind()
    except (InvalidArgumentsError, TypeError) as exc:
        return str(exc)


@pytest.mark.parametrize("backend", ["celery", "dramatiq"])
def test_a_task_is_admitted_and_published_in_one_step_where_the_queue_is_beside_the_record(backend):
    own = Tasks(namespace="short")
    task = own.task(report.fn, name=report.name)
    with connect(own, backend=backend, redis_url=NOBODY, broker_url=NOBODY) as queue:
        published = queue.backend.publication(message(1), 0)

    assert published is not None
    assert task.name.encode() in (published.payload or published.entry)


def plain(a: int, b: int = 2) -> None: ...
def keyword_only(a: int, *, b: int = 2, c: int) -> None: ...
def positional_only(a: int, /, b: int = 2) -> None: ...
def many(a: int, *rest: int, b: int = 1, **more: int) -> None: ...
def none() -> None: ...


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((1,), {}),
    ((1, 2), {}),
    ((1, 2, 3), {}),
    ((), {"a": 1}),
    ((), {"b": 1}),
    ((1,), {"a": 1}),
    ((1,), {"b": 5}),
    ((1,), {"c": 5}),
    ((1,), {"b": 5, "c": 6}),
    ((1,), {"d": 6}),
]


@pytest.mark.parametrize("function", [plain, keyword_only, positional_only, many, none])
@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_arguments_are_bound_as_inspect_binds_them(function: Callable[..., None], args, kwargs):
    signature = inspect.signature(function)

    assert told(lambda: Parameters(signature).bind(args, kwargs)) == told(lambda: by_inspect(signature, args, kwargs))
