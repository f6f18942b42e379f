"""How an outcome is stored: in an envelope, so that a stored None, 0, [] or False is an outcome like any other."""

import traceback
from collections.abc import Callable
from typing import Any

from queues import codec
from queues.errors import Failure, InvalidMessageError, UnencodableError

MAX_MESSAGE_CHARS = 2_000
MAX_CODE_CHARS = 200
MAX_TRACEBACK_CHARS = 8_000


def of_value(value: Any, max_bytes: int) -> bytes:
    """The envelope of a task's result.

    Raises:
        UnencodableError: the result has no exact encoding, or is longer than `max_bytes`.
    """
    data = codec.encoded(f'{{"ok":{codec.text(value)}}}')
    if len(data) > max_bytes:
        msg = f"the result is {len(data)} bytes long; at most {max_bytes} are stored: keep it elsewhere, return its id"
        raise UnencodableError(msg)
    return data


def of_failure(failure: Failure) -> bytes:
    """The envelope of a failure."""
    error = {
        "type": failure.type,
        "message": failure.message,
        "code": failure.code,
        "traceback": failure.traceback,
    }
    return codec.dumps({"error": {name: value for name, value in error.items() if value}})


def opened(data: bytes) -> tuple[Any, Failure | None]:
    """The result and None, or None and the failure, that an envelope holds.

    Raises:
        InvalidMessageError: not an envelope.
    """
    content = codec.loads(data)
    match content:
        case {"ok": value}:
            return value, None
        case {"error": {"type": str(kind), **more}}:
            code = more.get("code")
            text = str(more.get("message", ""))
            return None, Failure(kind, text, str(code) if code else None, str(more.get("traceback", "")))
    msg = f"not an outcome: {data[:80]!r}"
    raise InvalidMessageError(msg)


def failure_of(error: BaseException) -> Failure:
    """What is stored of an exception; characters that have no encoding are replaced."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    code = _told(lambda: getattr(error, "code", None))
    text = _told(lambda: str(error)) or ""
    frames = _told(lambda: "".join(traceback.format_exception(error))) or ""
    return Failure(
        name,
        _clean(text)[:MAX_MESSAGE_CHARS],
        _clean(code)[:MAX_CODE_CHARS] if isinstance(code, str) else None,
        _clean(frames[-MAX_TRACEBACK_CHARS:]),
    )


def _told(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception as exc:  # noqa: BLE001 - a task's exception may run any code when it is asked
        return f"<{type(exc).__name__} while the error was read>"


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
