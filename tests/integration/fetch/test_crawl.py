"""A crawl of a real site on loopback."""

import itertools

import pytest

from app.fetch.address import AddressPolicy
from app.fetch.client import Client
from app.fetch.crawl import Skipped
from app.fetch.errors import FetchTimeoutError, HttpStatusError, RobotsRefusedError


def paths(items, site):
    return [item.url.removeprefix(site.url) for item in items if not isinstance(item, Skipped)]


def skips(items, site):
    return [(item.url.removeprefix(site.url), item.code) for item in items if isinstance(item, Skipped)]


def test_pages_come_breadth_first_in_the_order_of_their_links(site, read_all, page):
    site.answer("/", page("/b", "/a"))
    site.answer("/b", page("/b/1", "/a/1"))
    site.answer("/a", page("/a/1", "/"))
    site.answer("/b/1", page())
    site.answer("/a/1", page())

    items = read_all(site.url)

    assert paths(items, site) == ["/", "/b", "/a", "/b/1", "/a/1"]
    assert skips(items, site) == []


def test_two_crawls_of_one_site_give_the_same(site, read_all, page):
    site.answer("/", page(*(f"/{number}" for number in range(9))))
    for number in range(9):
        site.answer(f"/{number}", page(f"/{(number + 1) % 9}", "/gone"))

    assert read_all(site.url) == read_all(site.url)


def test_no_page_is_read_twice_however_its_url_is_spelled(site, read_all, page):
    port = site.port
    site.answer("/", page("/#top", "/a#1", "/a#2", f"HTTP://127.0.0.1:{port}/a", "/x/../a", f"http://127.1:{port}/a"))
    site.answer("/a", page("/"))

    items = read_all(site.url)

    assert site.pages == ["/", "/a"]
    assert paths(items, site) == ["/", "/a"]


def test_a_page_with_the_canonical_url_of_another_is_a_duplicate(site, read_all, page):
    site.answer("/", page("/a?session=1", "/a?session=2", "/a"))
    site.answer("/a", page(head='<link rel="canonical" href="/a">'))

    items = read_all(site.url)

    assert paths(items, site) == ["/", "/a?session=1"]
    assert skips(items, site) == [("/a?session=2", "duplicate")]


def test_a_redirect_to_a_page_already_read_is_a_duplicate(site, read_all, page):
    site.answer("/", page("/again"))
    site.redirect("/again", "/")

    items = read_all(site.url)

    assert paths(items, site) == ["/"]
    assert skips(items, site) == [("/again", "duplicate")]


def test_depth_is_the_number_of_links_followed(site, read_all, page):
    for number in range(5):
        site.answer(f"/{number}", page(f"/{number + 1}"))

    assert paths(read_all(f"{site.url}/0", max_depth=0), site) == ["/0"]
    assert paths(read_all(f"{site.url}/0", max_depth=2), site) == ["/0", "/1", "/2"]


def test_the_crawl_stays_on_its_host(site, other_site, read_all, page):
    other_site.answer("/", page())
    site.answer("/", page(f"{other_site.url}/", "/away"))
    site.redirect("/away", f"{other_site.url}/")

    items = read_all(site.url)

    assert skips(items, site) == [("/away", "other_host")]
    assert other_site.requests == []


def test_the_crawl_may_leave_its_host_and_minds_each_hosts_robots(site, other_site, read_all, page):
    policy = AddressPolicy.parse(allow=f"127.0.0.1:{site.port},127.0.0.1:{other_site.port}")
    other_site.answer("/robots.txt", "User-agent: *\nDisallow: /private")
    other_site.answer("/open", page())
    other_site.answer("/private", page())
    site.answer("/", page(f"{other_site.url}/open", "/hop"))
    site.redirect("/hop", f"{other_site.url}/private")

    items = read_all(site.url, Client(policy), same_host=False)

    assert [item.url for item in items[:2]] == [f"{site.url}/", f"{other_site.url}/open"]
    assert skips(items, site) == [("/hop", "robots_refused")]
    assert other_site.pages == ["/open"]


def test_the_start_pages_redirect_decides_the_host(site, other_site, read_all, page):
    policy = AddressPolicy.parse(allow=f"127.0.0.1:{site.port},127.0.0.1:{other_site.port}")
    site.redirect("/", f"{other_site.url}/")
    other_site.answer("/", page("/a", f"{site.url}/b"))
    other_site.answer("/a", page())

    items = read_all(site.url, Client(policy))

    assert paths(items, other_site) == ["/", "/a"]


def test_what_robots_forbid_is_skipped_without_asking(site, read_all, page):
    site.answer("/robots.txt", "User-agent: *\nDisallow: /private")
    site.answer("/", page("/private", "/open"))
    site.answer("/open", page())

    items = read_all(site.url)

    assert paths(items, site) == ["/", "/open"]
    assert skips(items, site) == [("/private", "robots_refused")]
    assert site.pages == ["/", "/open"]


def test_noindex_pages_are_not_given_out_but_their_links_are_followed(site, read_all, page):
    site.answer("/", page("/list"))
    site.answer("/list", page("/a", head='<meta name="robots" content="noindex">'))
    site.answer("/a", page())

    items = read_all(site.url)

    assert paths(items, site) == ["/", "/a"]
    assert skips(items, site) == [("/list", "noindex")]


def test_nofollow_pages_are_given_out_but_their_links_are_not_followed(site, read_all, page):
    site.answer("/", page("/a", head='<meta name="robots" content="nofollow">'))

    items = read_all(site.url)

    assert paths(items, site) == ["/"]
    assert site.pages == ["/"]


def test_a_page_that_fails_is_skipped_and_the_rest_goes_on(site, read_all, page):
    site.answer("/", page("/gone", "/busy", "/file.pdf", "/a"))
    site.answer("/busy", "", 503)
    site.answer("/file.pdf", b"%PDF-1.7", content_type="application/pdf")
    site.answer("/a", page())

    items = read_all(site.url)

    assert paths(items, site) == ["/", "/a"]
    skipped = [(item.code, item.is_retryable) for item in items if isinstance(item, Skipped)]
    assert skipped == [("http_status", False), ("http_status", True), ("unsupported_content", False)]


@pytest.mark.parametrize(
    ("robots", "status", "error"),
    [("", 404, HttpStatusError), ("User-agent: *\nDisallow: /", 200, RobotsRefusedError)],
)
def test_a_failing_start_page_is_raised(site, read_all, robots, status, error, page):
    site.answer("/robots.txt", robots)
    site.answer("/", page(), status)

    with pytest.raises(error):
        read_all(site.url)


def test_a_silent_start_page_is_raised_as_a_timeout(site, read_all):
    site.routes["/"] = lambda handler: site.is_stopping.wait(60)

    with pytest.raises(FetchTimeoutError):
        read_all(site.url, max_seconds=0.3)


def test_there_is_a_wait_between_two_requests(site, read_all, page):
    site.answer("/", page("/a", "/b"))
    site.answer("/a", page())
    site.answer("/b", page())

    read_all(site.url, delay_s=0.15)

    page_times_s = site.times_s[1:]
    assert all(later - earlier >= 0.14 for earlier, later in itertools.pairwise(page_times_s))


def test_a_longer_crawl_delay_of_the_site_wins(site, read_all, page):
    site.answer("/robots.txt", "User-agent: onceq\nCrawl-delay: 0.3")
    site.answer("/", page("/a"))
    site.answer("/a", page())

    read_all(site.url, delay_s=0.0)

    assert site.times_s[2] - site.times_s[1] >= 0.29
