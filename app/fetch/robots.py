"""What a site's robots.txt lets us fetch.

Source: RFC 9309. The standard library's `urllib.robotparser` knows no wildcards and takes the first matching
rule where the RFC takes the longest.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote

import httpx

from app.fetch.client import PRODUCT, Client
from app.fetch.errors import (
    AddressRefusedError,
    CertificateRefusedError,
    FetchError,
    HttpStatusError,
    RobotsRefusedError,
    TooManyRedirectsError,
)

MAX_ROBOTS_BYTES = 500 * 1024
"""RFC 9309, 2.5: at least this much must be read; what comes after is ignored."""

MAX_CRAWL_DELAY_S = 10.0
"""A site that asks for more gets this much: with an hour between two pages no crawl would ever end."""

_TOKEN = re.compile(r"[A-Za-z_-]+|\*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class Rule:
    """One `Allow` or `Disallow` line; the pattern in normal spelling."""

    is_allow: bool
    pattern: str


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules that concern one product.

    Attributes:
        rules: in no particular order; the longest that matches decides.
        crawl_delay_s: the wait between two requests that the site asks for; None if it asks for none. Not in
            the RFC, widely used.
    """

    rules: tuple[Rule, ...] = ()
    crawl_delay_s: float | None = None

    @classmethod
    def parse(cls, body: bytes, product: str = PRODUCT) -> "Robots":
        """The rules for `product` in a robots.txt; those for `*` when none name it.

        Never fails: a line that cannot be understood is ignored, and so is what follows the first 500 KiB.
        """
        groups = _groups(body[:MAX_ROBOTS_BYTES].decode("utf-8", errors="replace").removeprefix("\ufeff"))
        group = groups.get(product.lower()) or groups.get("*") or _Group([], None)
        return cls(tuple(group.rules), group.crawl_delay_s)

    def allows(self, url: str) -> bool:
        """Whether the URL may be fetched: the longest matching rule decides, and of two equal ones, Allow."""
        target = httpx.URL(url).raw_path.decode("ascii")
        if target == "/robots.txt":
            return True
        path = _spell(target).replace("*", "%2A").replace("$", "%24")
        matching = [rule for rule in self.rules if _matches(rule.pattern, path)]
        return max(((len(rule.pattern), rule.is_allow) for rule in matching), default=(0, True))[1]


@dataclass(slots=True)
class _Group:
    rules: list[Rule]
    crawl_delay_s: float | None


def _groups(text: str) -> dict[str, _Group]:
    """The groups of a file by product in lower case; several groups for one product are one."""
    groups: dict[str, _Group] = {}
    agents: list[str] = []
    has_rules = False
    for key, value in _records(text):
        if key == "user-agent":
            if has_rules:
                agents, has_rules = [], False
            token = _TOKEN.match(value)
            agents.append(token[0].lower() if token else "")
            groups.setdefault(agents[-1], _Group([], None))
        elif key in {"allow", "disallow"}:
            has_rules = True
            for agent in agents if value else ():  # "Disallow:" alone forbids nothing
                groups[agent].rules.append(Rule(key == "allow", _spell_pattern(value)))
        elif key == "crawl-delay" and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?", value):
            for agent in agents:
                groups[agent].crawl_delay_s = float(value)
    return groups


def _records(text: str) -> Iterable[tuple[str, str]]:
    for line in re.split(r"\r\n|\r|\n", text):
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield key.strip().lower(), value.strip()


def _spell(path: str) -> str:
    """Path and query in one spelling: RFC 9309, 2.2.2; `*` and `$` stay as they are."""

    def spell_escape(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if char in _UNRESERVED else match[0].upper()

    return quote(_ESCAPE.sub(spell_escape, path), safe="/%:?#[]@!$&'()*+,;=-._~")


def _spell_pattern(pattern: str) -> str:
    """A pattern in one spelling: a `$` that is not its last character is a plain one."""
    whole, end = (pattern[:-1], "$") if pattern.endswith("$") else (pattern, "")
    return _spell(whole).replace("$", "%24") + end


def _matches(pattern: str, path: str) -> bool:
    """Whether the pattern matches the beginning of the path.

    Takes each piece between two `*` at its first place, which is enough and, unlike a regular expression with
    many `.*`, never goes back.
    """
    is_anchored = pattern.endswith("$")
    first, *middle = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not middle:
        return not is_anchored or path == first
    at = len(first)
    last = middle.pop() if is_anchored else ""
    for piece in middle:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return path.endswith(last) and len(path) - len(last) >= at


class RobotsCache:
    """The robots.txt of every site of one crawl, each asked for once.

    Args:
        client: fetches them.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, Robots | FetchError] = {}

    async def check(self, url: str) -> None:
        """Returns if the URL may be fetched.

        Raises:
            RobotsRefusedError: the site forbids it; retryable when its robots.txt could not be read.
            AddressRefusedError, CertificateRefusedError: the site cannot be asked at all.
        """
        robots = await self._robots(url)
        if isinstance(robots, RobotsRefusedError):
            raise RobotsRefusedError(url, robots.message, is_retryable=robots.is_retryable)
        if isinstance(robots, FetchError):
            raise type(robots)(url, robots.message)
        if not robots.allows(url):
            raise RobotsRefusedError(url)

    def delay_s(self, url: str) -> float:
        """What the site of the URL asks us to wait between two requests, 0 to 10; 0 before the first `check`."""
        robots = self._known.get(_robots_url(url))
        wished = robots.crawl_delay_s if isinstance(robots, Robots) else None
        return min(wished or 0.0, MAX_CRAWL_DELAY_S)

    async def _robots(self, url: str) -> Robots | FetchError:
        robots_url = _robots_url(url)
        if robots_url not in self._known:
            self._known[robots_url] = await self._read(robots_url)
        return self._known[robots_url]

    async def _read(self, robots_url: str) -> Robots | FetchError:
        limits = replace(self._client.limits, max_bytes=MAX_ROBOTS_BYTES, max_redirects=5)
        try:
            response = await self._client.fetch(robots_url, content_types=None, limits=limits, is_cut_at_limit=True)
        except HttpStatusError as exc:
            # RFC 9309, 2.3.1.3: a 4xx means there are no rules. 429 says "not now", so it counts as 5xx.
            if 400 <= exc.status <= 499 and not exc.is_retryable:
                return Robots()
            return _unknown(exc)
        except TooManyRedirectsError:
            return Robots()  # RFC 9309, 2.3.1.2
        except (AddressRefusedError, CertificateRefusedError) as exc:
            return exc
        except FetchError as exc:
            return _unknown(exc)
        return Robots.parse(response.body)


def _robots_url(url: str) -> str:
    return str(httpx.URL(url).copy_with(raw_path=b"/robots.txt"))


def _unknown(exc: FetchError) -> RobotsRefusedError:
    """RFC 9309, 2.3.1.4: a site whose rules cannot be read is not fetched from, for now."""
    return RobotsRefusedError(
        exc.url, f"its robots.txt could not be read ({exc.message})", is_retryable=exc.is_retryable
    )
