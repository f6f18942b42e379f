"""URLs and texts without the passwords in them."""

from collections.abc import Iterable
from urllib.parse import parse_qs, unquote, urlsplit

HIDDEN = "***"


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
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a URL that cannot be read"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _secrets(url: str) -> set[str]:
    try:
        parts = urlsplit(url)
        found = {parts.password or "", *parse_qs(parts.query).get("password", [])}
    except ValueError:
        return {url}
    return {form for secret in found if secret for form in (secret, unquote(secret))}
