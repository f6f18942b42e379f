"""A site read page by page, breadth first, politely, within limits."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from app.fetch.client import Client, Response
from app.fetch.errors import FetchError, FetchTimeoutError, ResponseTooLargeError
from app.fetch.page import Page, parse_page, site
from app.fetch.robots import RobotsCache
from app.fetch.url import normalize, origin

_MAX_KNOWN_URLS = 10_000


@dataclass(frozen=True, slots=True)
class CrawlLimits:
    """How far a crawl goes; a limit of the client's own holds for each page as well.

    Args:
        max_pages: pages given out.
        max_depth: links followed in a row; 0 reads the start page only.
        max_bytes: of all pages together, decompressed, with what was read of those that were too large.
        max_seconds: for the whole crawl.
        same_host: stay on the start page's host, `www.` aside (the host after redirects).
        delay_s: wait between two requests; a longer Crawl-delay in robots.txt wins, up to 10 s.
        max_requests: pages asked for, with those that fail or repeat; five times `max_pages` by default.
    """

    max_pages: int = 20
    max_depth: int = 2
    max_bytes: int = 20 * 1024 * 1024
    max_seconds: float = 300.0
    same_host: bool = True
    delay_s: float = 0.5
    max_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A page that was not given out, or the reason why the crawl ended early.

    Attributes:
        url: the page, or the next one that was not asked for.
        code: of a `FetchError`, or `noindex`, `duplicate`, `other_host`; where the crawl ended early `max_pages`,
            `max_bytes`, `max_seconds` or `max_requests`.
        message: the same for a reader.
        is_retryable: whether the page may be had later.
    """

    url: str
    code: str
    message: str
    is_retryable: bool = False


async def crawl(start_url: str, client: Client, limits: CrawlLimits | None = None) -> AsyncIterator[Page | Skipped]:
    """The pages of a site in a fixed order: breadth first, links in the order of the page.

    One request at a time. No page twice, by its URL, its URL after redirects and its canonical URL. The start
    page's own failure is raised; every later one is a `Skipped`. When a limit ends the crawl while pages are
    left, the last item is a `Skipped` that says so.

    Raises:
        FetchError: the start page could not be had.
    """
    site_crawl = _Crawl(client, limits or CrawlLimits())
    queue = deque([(normalize(start_url), 0)])
    known = {queue[0][0]}
    while queue:
        url, depth = queue[0]
        if site_crawl.was_given(url):  # as the canonical URL of a page that came after it into the queue
            queue.popleft()
            continue
        if stop := await site_crawl.stop_before(url, len(queue)):
            yield stop
            return
        queue.popleft()
        try:
            page = await site_crawl.read(url)
        except _LimitReachedError as exc:
            yield _stopped(url, exc.code, len(queue) + 1)
            return
        if isinstance(page, Skipped):
            yield page
            continue
        known.update((page.url, page.canonical_url))
        yield page if page.is_indexable else Skipped(page.url, "noindex", "the page asks not to be kept")
        if depth < site_crawl.limits.max_depth:
            for link in page.links:
                if link not in known and site_crawl.is_at_home(link) and len(known) < _MAX_KNOWN_URLS:
                    known.add(link)
                    queue.append((link, depth + 1))


class _LimitReachedError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _OffHostError(Exception):
    """A redirect leads off the site."""


class _Crawl:
    """What a crawl has used so far, and the reading of one page."""

    def __init__(self, client: Client, limits: CrawlLimits) -> None:
        self.limits = limits
        self._client = client
        self._robots = RobotsCache(client)
        self._home: tuple[str, int | None] | None = None
        self._given: set[str] = set()
        self._pages = 0
        self._requests = 0
        self._read_bytes = 0
        self._ends_at_s = time.monotonic() + limits.max_seconds
        self._free_at_s: dict[str, float] = {}

    def is_at_home(self, url: str) -> bool:
        """Whether the URL may be part of this crawl by its host."""
        return self._home is None or not self.limits.same_host or site(url) == self._home

    def was_given(self, url: str) -> bool:
        """Whether the page with this URL, its own or its canonical one, was read."""
        return url in self._given

    async def stop_before(self, url: str, left: int) -> Skipped | None:
        """Waits until the URL's host may be asked again; says so if a limit forbids to go on."""
        max_requests = self.limits.max_requests or 5 * self.limits.max_pages
        used = (
            ("max_pages", self._pages >= self.limits.max_pages),
            ("max_requests", self._requests >= max_requests),
            ("max_bytes", self._read_bytes >= self.limits.max_bytes),
            ("max_seconds", self._free_from_s(url) >= self._ends_at_s),
        )
        for code, is_used_up in used:
            if is_used_up:
                return _stopped(url, code, left)
        await asyncio.sleep(self._free_from_s(url) - time.monotonic())
        return None

    def _free_from_s(self, url: str) -> float:
        return max(self._free_at_s.get(origin(url).host, 0.0), time.monotonic())

    async def read(self, url: str) -> Page | Skipped:
        """The page, or why not.

        Raises:
            FetchError: at the start page.
            _LimitReachedError: in the middle of the page, the crawl's bytes or seconds ran out.
        """
        is_start = self._requests == 0
        self._requests += 1
        try:
            response = await self._fetch(url)
            self._home = self._home or site(response.url)
            if response.url in self._given:
                return Skipped(url, "duplicate", "leads to a page that was already read")
            page = await asyncio.to_thread(parse_page, response)
        except _OffHostError:
            return Skipped(url, "other_host", "leads to another host")
        except FetchError as exc:
            if is_start:
                raise
            return Skipped(url, exc.code, exc.message, exc.is_retryable)
        if page.canonical_url in self._given:
            return Skipped(url, "duplicate", "is by its own word a page that was already read")
        self._given.update((page.url, page.canonical_url))
        self._pages += page.is_indexable
        return page

    async def _fetch(self, url: str) -> Response:
        own = self._client.limits
        left_bytes = self.limits.max_bytes - self._read_bytes
        left_s = self._ends_at_s - time.monotonic()
        limits = replace(own, max_bytes=min(own.max_bytes, left_bytes), total_s=min(own.total_s, left_s))
        try:
            response = await self._client.fetch(url, limits=limits, check=self._check)
        except ResponseTooLargeError as exc:
            if self._given and left_bytes < own.max_bytes:
                raise _LimitReachedError("max_bytes") from exc
            self._read_bytes += exc.max_bytes
            raise
        except FetchTimeoutError as exc:
            if self._given and time.monotonic() >= self._ends_at_s:
                raise _LimitReachedError("max_seconds") from exc
            raise
        finally:
            delay_s = max(self.limits.delay_s, self._robots.delay_s(url))
            self._free_at_s[origin(url).host] = time.monotonic() + delay_s
        self._read_bytes += len(response.body)
        return response

    async def _check(self, url: str) -> None:
        if not self.is_at_home(url):
            raise _OffHostError
        await self._robots.check(url)


def _stopped(url: str, code: str, left: int) -> Skipped:
    what = {
        "max_pages": "the number of pages",
        "max_requests": "the number of requests",
        "max_bytes": "the number of bytes",
        "max_seconds": "the time",
    }[code]
    return Skipped(url, code, f"stopped at the limit for {what}; {left} known pages were not read")
