"""What reaches the terminal: no password, no control character, no colour where none is wanted."""

import io
import json

import pytest

from queues.redaction import redacted, without_password
from queues.terminal import Terminal

URLS = [
    ("redis://:hunter2@host:6380/1", "redis://host:6380/1"),
    ("redis://me:hunter2@host/1", "redis://host/1"),
    ("rediss://host:6380/0?password=hunter2&socket_timeout=1", "rediss://host:6380/0"),
    ("unix://me:hunter2@/run/redis.sock?db=1", "unix:///run/redis.sock"),
    ("amqp://me:hunter2@one:5672//;amqp://me:hunter2@two:5672//", "amqp://one:5672//; amqp://two:5672//"),
    ("redis://:hunter2@host:notaport/0", "a URL that cannot be read"),
    ("redis+sentinel://me:hunter2@a:1,[::1]:2/main/0?sentinel_password=hunter2", "redis+sentinel://a:1,[::1]:2/main/0"),
    ("rediss+cluster://:hunter2@a,b", "rediss+cluster://a,b"),
]


@pytest.mark.parametrize(("url", "place"), URLS)
def test_a_place_is_shown_without_its_password(url: str, place: str) -> None:
    assert without_password(url) == place


@pytest.mark.parametrize("url", [url for url, _ in URLS])
def test_a_text_with_a_url_in_it_is_shown_without_the_password(url: str) -> None:
    assert "hunter2" not in redacted(f"cannot connect to {url}", [url])


def test_a_quoted_password_is_hidden_in_both_forms() -> None:
    assert redacted("p%40ss and p@ss", ["redis://:p%40ss@host"]) == "*** and ***"


class _Screen(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "has_colour"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_follow_the_environment(environment: dict[str, str], has_colour: bool) -> None:
    terminal = Terminal(is_json=False, out=_Screen(), environment=environment)

    assert terminal.has_colour is has_colour
    assert terminal.styled("x", "bad") == ("\x1b[31mx\x1b[0m" if has_colour else "x")


def test_a_file_gets_no_colours() -> None:
    assert not Terminal(is_json=False, out=io.StringIO(), environment={"TERM": "xterm"}).has_colour


def test_a_line_lets_only_its_own_styles_through() -> None:
    screen = _Screen()
    terminal = Terminal(is_json=False, out=screen, environment={"TERM": "xterm"})

    terminal.line(terminal.styled("good", "good") + "\x1b[2J\x1b]0;title\x07")

    assert screen.getvalue() == "\x1b[32mgood\x1b[0m\\x1b[2J\\x1b]0;title\\x07\n"


def test_a_table_is_aligned_without_rich() -> None:
    out = io.StringIO()

    Terminal(is_json=False, out=out).table(("A", "LONG"), [("one", "1"), ("b", "22")])

    assert out.getvalue() == "A    LONG\none  1\nb    22\n"


def test_a_screen_of_another_encoding_gets_escapes_and_no_error() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")

    Terminal(is_json=False, out=out).line("caf\u00e9 \u4e2d")
    out.flush()

    assert raw.getvalue() == b"caf\\xe9 \\u4e2d\n"


def test_a_document_is_ascii_json() -> None:
    out = io.StringIO()

    Terminal(is_json=True, out=out).document({"a": "\u4e2d\x1b"})

    assert json.loads(out.getvalue()) == {"a": "\u4e2d\x1b"}
    assert out.getvalue().isascii()
