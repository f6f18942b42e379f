"""How a site's robots.txt is fetched, and what follows when it cannot be."""

import asyncio

import pytest

from app.fetch.address import AddressPolicy
from app.fetch.client import Client, FetchLimits
from app.fetch.errors import AddressRefusedError, RobotsRefusedError
from app.fetch.robots import MAX_ROBOTS_BYTES, RobotsCache


def check(client, *urls):
    """The cache after each URL was let through."""

    async def run():
        async with client:
            cache = RobotsCache(client)
            for url in urls:
                await cache.check(url)
            return cache

    return asyncio.run(run())


def refusal(client, *urls):
    with pytest.raises(RobotsRefusedError) as caught:
        check(client, *urls)
    return caught.value


def test_it_is_asked_for_once_a_site(site, new_client):
    site.answer("/robots.txt", "User-agent: *\nDisallow: /private", content_type="text/plain")

    check(new_client(), f"{site.url}/a", f"{site.url}/b", f"{site.url}/c?d=1")

    assert site.requests == ["/robots.txt"]


def test_a_forbidden_page_is_refused_for_good(site, new_client):
    site.answer("/robots.txt", "User-agent: *\nDisallow: /private")

    error = refusal(new_client(), f"{site.url}/private/1")

    assert (error.code, error.is_retryable, error.url) == ("robots_refused", False, f"{site.url}/private/1")


def test_it_is_read_whatever_type_the_server_gives_it(site, new_client):
    site.answer("/robots.txt", "User-agent: *\nDisallow: /private", content_type="application/octet-stream")

    error = refusal(new_client(), f"{site.url}/open", f"{site.url}/private")

    assert error.url == f"{site.url}/private"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_client_error_means_that_all_is_allowed(site, new_client, status):
    site.answer("/robots.txt", "User-agent: *\nDisallow: /", status)

    check(new_client(), f"{site.url}/a")

    assert site.requests == ["/robots.txt"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_error_refuses_for_now(site, new_client, status):
    site.answer("/robots.txt", "", status)

    error = refusal(new_client(), f"{site.url}/a")

    assert error.is_retryable


def test_a_site_that_cannot_be_reached_is_refused_for_now(closed_port):
    client = Client(AddressPolicy.parse(allow=f"127.0.0.1:{closed_port}"))

    error = refusal(client, f"http://127.0.0.1:{closed_port}/a")

    assert error.is_retryable
    assert "robots.txt could not be read" in str(error)


def test_a_slow_robots_txt_refuses_for_now(silent_port):
    client = Client(AddressPolicy.parse(allow=f"127.0.0.1:{silent_port}"), FetchLimits(read_s=0.1))

    error = refusal(client, f"http://127.0.0.1:{silent_port}/a")

    assert error.is_retryable


def test_a_refused_address_stays_a_refused_address(new_client):
    with pytest.raises(AddressRefusedError) as caught:
        check(new_client(), "http://10.0.0.1/a")

    assert caught.value.url == "http://10.0.0.1/a"


def test_redirects_are_followed(site, new_client):
    site.redirect("/robots.txt", "/elsewhere")
    site.answer("/elsewhere", "User-agent: *\nDisallow: /private")

    error = refusal(new_client(), f"{site.url}/private")

    assert not error.is_retryable


def test_more_than_five_redirects_mean_that_all_is_allowed(site, new_client):
    site.redirect("/robots.txt", "/robots.txt")

    check(new_client(), f"{site.url}/a")

    assert len(site.requests) == 6


def test_what_follows_500_kib_is_ignored(site, new_client):
    padding = "#" + "x" * MAX_ROBOTS_BYTES
    site.answer("/robots.txt", f"User-agent: *\nDisallow: /first\n{padding}\nDisallow: /second")
    client = new_client()

    error = refusal(client, f"{site.url}/second", f"{site.url}/first")

    assert error.url == f"{site.url}/first"


def test_the_crawl_delay_is_known_after_the_check_and_bounded(site, other_site):
    policy = AddressPolicy.parse(allow=f"127.0.0.1:{site.port},127.0.0.1:{other_site.port}")
    site.answer("/robots.txt", "User-agent: *\nCrawl-delay: 2.5")
    other_site.answer("/robots.txt", "User-agent: *\nCrawl-delay: 86400")

    cache = check(Client(policy), f"{site.url}/a", f"{other_site.url}/a")

    assert cache.delay_s(f"{site.url}/b") == 2.5
    assert cache.delay_s(f"{other_site.url}/b") == 10.0
    assert cache.delay_s("http://never.test/") == 0.0
