"""A broker that leaves out the hooks that do nothing emits as Dramatiq's own does."""

from typing import Any

import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, SkipMessage

from queues.backends.dramatiq.hooks import KnownHooks


class KnownStub(KnownHooks, StubBroker):
    """A broker in memory."""


class Nothing(Middleware):
    """Has no hook of its own."""


class Telling(Middleware):
    """Tells of acknowledgements."""

    def __init__(self, name: str, told: list[str], error: BaseException | None = None) -> None:
        self._name, self._told, self._error = name, told, error

    def before_ack(self, broker: Any, message: Any) -> None:
        self._told.append(f"{self._name} before {message}")
        if self._error is not None:
            raise self._error

    def after_ack(self, broker: Any, message: Any) -> None:
        self._told.append(f"{self._name} after {message}")


class TellingMore(Telling):
    """Inherits its hooks."""


def emitted(kind: type[StubBroker], *middleware: Middleware) -> None:
    broker = kind(middleware=[*middleware])
    broker.emit_before("ack", "m")
    broker.emit_after("ack", "m")


@pytest.mark.parametrize("error", [None, ValueError("a hook of a user")])
def test_hooks_are_called_in_the_same_order_whatever_they_raise(error):
    told: dict[type, list[str]] = {StubBroker: [], KnownStub: []}
    for kind, heard in told.items():
        emitted(kind, Telling("first", heard, error), Nothing(), TellingMore("second", heard))

    assert told[KnownStub] == told[StubBroker]
    assert told[KnownStub] == ["first before m", "second before m", "second after m", "first after m"]


def test_what_a_hook_says_to_the_worker_reaches_it():
    broker = KnownStub(middleware=[Telling("only", [], SkipMessage("not today"))])

    with pytest.raises(SkipMessage):
        broker.emit_before("ack", "m")


def test_middleware_that_comes_later_is_called_too():
    told: list[str] = []
    broker = KnownStub(middleware=[Nothing()])
    broker.emit_before("ack", "one")

    broker.add_middleware(Telling("added", told))
    broker.emit_before("ack", "two")
    broker.middleware[:] = [Telling("put", told)]
    broker.emit_before("ack", "three")

    assert told == ["added before two", "put before three"]
