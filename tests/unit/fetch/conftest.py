"""A page as the client would hand it over."""

from collections.abc import Callable

import pytest

from app.fetch.client import Response
from app.fetch.page import Page, parse_page


def _parse(
    html: str | bytes,
    url: str = "https://h.test/dir/page",
    content_type: str = "text/html; charset=utf-8",
    **headers: str,
) -> Page:
    body = html.encode() if isinstance(html, str) else html
    names = {"content-type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    charset = content_type.partition("charset=")[2] or None
    return parse_page(Response(url=url, status=200, headers=names, body=body, charset=charset))


def _text_of(html: str) -> str:
    return "\n".join(f"{section.heading}\n{section.text}".strip("\n") for section in _parse(html).sections)


@pytest.fixture(scope="session")
def parse() -> Callable[..., Page]:
    """Reads HTML as if it had come from https://h.test/dir/page; header names with `_` for `-`."""
    return _parse


@pytest.fixture(scope="session")
def text_of() -> Callable[[str], str]:
    """Headings and texts of some HTML, a line between them."""
    return _text_of
