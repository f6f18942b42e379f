"""URLs and texts without the passwords in them."""

from collections.abc import Iterable
from urllib.parse import parse_qs, unquote, urlsplit

from queues.errors import InvalidOptionError
from queues.redis_url import is_redis_url, read

HIDDEN = "***"
UNREADABLE = "a URL that cannot be read"


def without_password(url: str) -> str:
    """Where a URL leads: scheme, host, port and path; neither user nor password nor parameters."""
    return "; ".join(_place(part) for part in url.split(";"))


def redacted(text: str, urls: Iterable[str]) -> str:
    """The text with every password of these URLs hidden."""
    found = {secret for url in urls for part in url.split(";") for secret in _secrets(part)}
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _place(url: str) -> str:
    if is_redis_url(url):
        return _redis_place(url)
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return UNREADABLE
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _redis_place(url: str) -> str:
    try:
        read(url)
    except InvalidOptionError:
        return UNREADABLE
    scheme, _, rest = url.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _secrets(url: str) -> set[str]:
    # By its text alone: a URL that cannot be read has a password, too.
    before, _, query = url.partition("://")[2].partition("?")
    found = {before.rpartition("@")[0].partition(":")[2]}
    found |= {value for name, values in parse_qs(query).items() if "password" in name for value in values}
    return {form for secret in found if secret for form in (secret, unquote(secret))}
