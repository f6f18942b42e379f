"""Whether two URLs name one Redis."""

from urllib.parse import urlsplit

DEFAULT_PORT = 6379


def is_same_redis(first: str, second: str) -> bool:
    """Whether both name the same database of the same server, as far as their text tells."""
    return _place(first) is not None and _place(first) == _place(second)


def _place(url: str) -> tuple[str, int, str] | None:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path, 0, parts.query
    if parts.scheme not in ("redis", "rediss") or parts.query:
        return None
    host = {"localhost": "127.0.0.1"}.get(parts.hostname or "127.0.0.1", parts.hostname or "127.0.0.1")
    return host, parts.port or DEFAULT_PORT, parts.path.strip("/") or "0"
