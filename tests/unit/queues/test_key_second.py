"""The keys agree with an implementation of its own, and with themselves after each serializer."""

import json
from datetime import UTC
from pathlib import Path

import dramatiq
import kombu.serialization
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queues import Tasks, codec
from queues.asking import message_for, named
from queues.backends.celery.messages import native_arguments
from queues.backends.dramatiq.messages import to_native
from queues.call import Call
from queues.idempotency.key import argument_digest, canonical, explicit_digest
from tests.unit.queues import second_key
from tests.unit.queues.golden_cases import VALUES

GOLDEN = json.loads((Path(__file__).parent / "golden_keys.json").read_text("utf-8"))
SIMPLE = {"enum": "red", "dataclass": {"x": 1, "y": 2}, "pydantic model": {"number": 1, "title": None}}
"""What a richer value is keyed as."""

HASHABLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.times(timezones=st.none() | st.just(UTC))
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.timedeltas()
)
ARGUMENTS = st.recursive(
    HASHABLE | st.floats() | st.sets(st.text() | st.integers(), max_size=4) | st.frozensets(st.binary(), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.dictionaries(st.integers() | st.text() | st.tuples(st.integers(), st.text()), inner, max_size=3)
    ),
    max_leaves=12,
)

tasks = Tasks(namespace="keys")


@tasks.task
def takes(value, *rest, **more):
    return value, rest, more


def named_at_worker(call: Call) -> tuple[str, str]:
    return named(takes, call, takes.bind(call.args, call.kwargs))


@pytest.mark.parametrize("name", VALUES)
def test_the_second_implementation_agrees_with_the_pinned_keys(name: str):
    value = SIMPLE.get(name, VALUES[name])

    assert second_key.encoded(value).hex() == GOLDEN[name]["canonical_hex"]
    arguments = second_key.digest("arguments", "app.tasks.golden", "1", "tenant", {"value": value})
    assert arguments == GOLDEN[name]["argument_digest"]
    assert second_key.digest("key", "app.tasks.golden", "1", "tenant", value) == GOLDEN[name]["explicit_digest"]


@given(ARGUMENTS)
def test_both_implementations_write_the_same_bytes(value):
    assert canonical(value) == second_key.encoded(value)


@given(st.text(), st.text(), st.text(), ARGUMENTS)
def test_both_implementations_make_the_same_digest(task, version, scope, value):
    assert argument_digest(task, version, scope, {"a": value}) == second_key.digest(
        "arguments", task, version, scope, {"a": value}
    )
    assert explicit_digest(task, version, scope, value) == second_key.digest("key", task, version, scope, value)


@given(ARGUMENTS, ARGUMENTS)
def test_a_key_made_at_the_worker_is_the_one_made_at_the_producer_through_celery(first, second):
    call = Call((first, second), {"more": first})
    message = message_for(takes, call, 0)

    args, kwargs = native_arguments(message, takes)
    content_type, encoding, data = kombu.serialization.dumps([args, kwargs, {}], serializer="json")
    read_args, read_kwargs, _ = kombu.serialization.loads(data, content_type, encoding, accept=["application/json"])
    at_worker = Call(tuple(codec.restored([*read_args])), codec.restored(read_kwargs))

    assert named(takes, at_worker, takes.bind(at_worker.args, at_worker.kwargs)) == (
        message.digest,
        message.fingerprint,
    )


@given(ARGUMENTS, ARGUMENTS)
def test_a_key_made_at_the_worker_is_the_one_made_at_the_producer_through_dramatiq(first, second):
    call = Call((first, second), {"more": first})
    message = message_for(takes, call, 0)

    read = dramatiq.Message.decode(to_native(message, takes).encode())
    at_worker = Call(tuple(codec.restored([*read.args])), codec.restored(dict(read.kwargs)))

    assert named(takes, at_worker, takes.bind(at_worker.args, at_worker.kwargs)) == (
        message.digest,
        message.fingerprint,
    )
    assert read.options["onceq"]["key"] == message.digest
