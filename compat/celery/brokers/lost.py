"""Lost connections, as Dramatiq's consumers tell of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from dramatiq.errors import ConnectionClosed


@contextmanager
def told_as_closed(errors: type[BaseException] | tuple[type[BaseException], ...]) -> Iterator[None]:
    """Raise ConnectionClosed in place of a client's own errors."""
    try:
        yield
    except errors as exc:
        raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call] # dramatiq
