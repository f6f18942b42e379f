"""What ends a crawl early, and that it says so."""

import asyncio
import itertools

import pytest

from app.fetch.client import FetchLimits
from app.fetch.crawl import CrawlLimits, Skipped, crawl


def paths(items, site):
    return [item.url.removeprefix(site.url) for item in items if not isinstance(item, Skipped)]


def skips(items, site):
    return [(item.url.removeprefix(site.url), item.code) for item in items if isinstance(item, Skipped)]


@pytest.fixture
def endless_site(site, page):
    """Every page links to two new ones."""
    numbers = itertools.count(1)

    def answer(handler):
        site.answer("/next", page(f"/p?{next(numbers)}", f"/p?{next(numbers)}", text="x" * 1000))
        site.routes["/next"](handler)

    site.routes["/p"] = answer
    return site


@pytest.mark.parametrize(
    ("limits", "code", "pages"),
    [
        ({"max_pages": 5}, "max_pages", 5),
        ({"max_bytes": 3000}, "max_bytes", 2),
        ({"max_requests": 4}, "max_requests", 4),
    ],
)
def test_a_limit_ends_the_crawl_and_is_named(endless_site, read_all, limits, code, pages):
    items = read_all(f"{endless_site.url}/p", **{"max_depth": 99} | limits)

    assert len(items) == pages + 1
    assert isinstance(items[-1], Skipped)
    assert items[-1].code == code
    assert "were not read" in items[-1].message


def test_the_time_limit_ends_the_crawl_and_is_named(endless_site, read_all):
    items = read_all(f"{endless_site.url}/p", max_depth=99, max_pages=10_000, max_seconds=4.0, delay_s=0.5)

    assert items[-1].code == "max_seconds"
    assert 1 < len(items) < 12


def test_the_time_limit_also_ends_a_page_that_hangs(site, read_all, page):
    site.answer("/", page("/slow", "/a"))
    site.routes["/slow"] = lambda handler: site.is_stopping.wait(60)

    items = read_all(site.url, max_seconds=3.0)

    assert skips(items, site) == [("/slow", "max_seconds")]


def test_a_page_that_hangs_is_skipped_when_the_crawl_has_time(site, read_all, new_client, page):
    site.answer("/", page("/slow", "/a"))
    site.answer("/a", page())
    site.routes["/slow"] = lambda handler: site.is_stopping.wait(60)

    items = read_all(site.url, new_client(FetchLimits(total_s=3.0)))

    assert paths(items, site) == ["/", "/a"]
    assert skips(items, site) == [("/slow", "fetch_timeout")]


def test_pages_that_are_too_large_count_as_read(site, read_all, new_client, page):
    site.answer("/", page("/1", "/2", "/3"))
    for number in (1, 2, 3):
        site.answer(f"/{number}", "x" * 2000)

    items = read_all(site.url, new_client(FetchLimits(max_bytes=1000)), max_bytes=1900)

    assert skips(items, site) == [("/1", "response_too_large"), ("/2", "max_bytes")]


def test_a_crawl_that_fits_its_limits_says_nothing_of_them(site, read_all, page):
    site.answer("/", page("/a"))
    site.answer("/a", page("/"))

    items = read_all(site.url, max_pages=2)

    assert len(items) == 2


def test_a_crawl_left_early_leaves_nothing_behind(endless_site, new_client):
    async def first_two():
        items = []
        async with new_client() as client:
            async for item in crawl(f"{endless_site.url}/p", client, CrawlLimits(delay_s=0.0)):
                items.append(item)
                if len(items) == 2:
                    break
        return items

    assert len(asyncio.run(first_two())) == 2
