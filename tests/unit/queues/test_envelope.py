"""An outcome is stored and opened again as it was, whatever a task returns or raises."""

import json

import pytest

from queues.errors import Failure, InvalidMessageError, QueueError, UnencodableError
from queues.idempotency import envelope
from queues.idempotency.envelope import MAX_MESSAGE_CHARS, MAX_TRACEBACK_CHARS

LIMIT = 100_000


@pytest.mark.parametrize(
    "value", [None, 0, False, "", [], {}, b"", 0.0, {"ok": 1}, {"error": {"type": "x"}}, {"pages": 3}], ids=repr
)
def test_a_result_is_opened_as_it_was_returned(value):
    opened, failure = envelope.opened(envelope.of_value(value, LIMIT))

    assert (opened, type(opened), failure) == (value, type(value), None)


def test_a_result_may_be_as_long_as_the_limit_and_no_longer():
    length = len(envelope.of_value("x" * 100, LIMIT))

    assert envelope.of_value("x" * 100, length)
    with pytest.raises(UnencodableError, match=f"{length + 1} bytes"):
        envelope.of_value("x" * 101, length)


def test_a_result_without_an_encoding_is_refused_by_its_type():
    with pytest.raises(UnencodableError, match="object"):
        envelope.of_value({"a": object()}, LIMIT)


@pytest.mark.parametrize(
    "failure",
    [Failure("ValueError", "bad"), Failure("a.b.C", "", "code", "frames"), Failure("E", "é\x00\U0001f600", None, "")],
)
def test_a_failure_is_opened_as_it_was_stored(failure):
    assert envelope.opened(envelope.of_failure(failure)) == (None, failure)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"1", b"null", b"[]", b"{}", b'{"error":1}', b'{"error":{}}', b'{"error":{"type":1}}', b'{"OK":1}'),
        *(b"\xff", b'"ok"', b'{"result":1}', b"skipped"),
    ],
)
def test_bytes_that_are_no_envelope_are_told(data):
    with pytest.raises(InvalidMessageError):
        envelope.opened(data)


@pytest.mark.parametrize("code", [1, ["x"], {"a": 1}])
def test_a_code_that_is_no_text_is_no_code(code):
    data = json.dumps({"error": {"type": "E", "message": "m", "code": code}}).encode()

    try:
        _, failure = envelope.opened(data)
    except InvalidMessageError:
        return
    assert failure.code is None or isinstance(failure.code, str)


class CodedError(Exception):
    def __init__(self, code):
        super().__init__("coded")
        self.code = code


def test_a_failure_names_its_type_message_code_and_frames():
    try:
        raise CodedError("no_text_layer")  # noqa: TRY301 - a traceback is wanted
    except CodedError as error:
        failure = envelope.failure_of(error)

    assert failure.type.endswith("test_envelope.CodedError")
    assert (failure.message, failure.code) == ("coded", "no_text_layer")
    assert "raise CodedError" in failure.traceback


def test_an_error_of_the_language_is_named_without_its_module():
    assert envelope.failure_of(ValueError("x")).type == "ValueError"


@pytest.mark.parametrize("code", [1, None, b"x", object()])
def test_a_code_that_is_not_text_is_left_out(code):
    assert envelope.failure_of(CodedError(code)).code is None


def test_long_texts_are_cut():
    def deep(number):
        if number:
            deep(number - 1)
        raise ValueError("x" * 50_000)

    with pytest.raises(ValueError, match="x") as caught:
        deep(200)
    failure = envelope.failure_of(caught.value)

    assert len(failure.message) == MAX_MESSAGE_CHARS
    assert len(failure.traceback) == MAX_TRACEBACK_CHARS


class SilentError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class UnknownCodeError(Exception):
    @property
    def code(self):
        raise RuntimeError("no code")


class HalfError(Exception):
    def __str__(self):
        return None  # noqa: PLE0307 - the mistake is the case


def chained():
    error = ValueError("outer")
    error.__cause__ = SilentError()
    return error


HOSTILE = {
    "surrogates in its text": ValueError("\ud800 half"),
    "surrogates in its code": CodedError("\ud800"),
    "a long code": CodedError("x" * 10_000_000),
    "no text": SilentError(),
    "text that is none": HalfError(),
    "a code that cannot be read": UnknownCodeError(),
    "a cause without text": chained(),
    "a group": ExceptionGroup("many", [ValueError("a"), ExceptionGroup("more", [KeyError("b")])]),
    "a signal": KeyboardInterrupt(),
    "an error of ours": QueueError("x"),
    "bytes": ValueError(b"\xff"),
    "a null byte": ValueError("\x00"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_exception_can_be_stored(name):
    data = envelope.of_failure(envelope.failure_of(HOSTILE[name]))

    _, failure = envelope.opened(data)
    assert failure.type
    assert len(data) < 100_000
