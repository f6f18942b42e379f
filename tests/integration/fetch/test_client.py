"""The guarded client: what it sends, follows, accepts and refuses."""

import asyncio

import pytest

from app.fetch.client import user_agent
from app.fetch.errors import (
    AddressRefusedError,
    HttpStatusError,
    InvalidUrlError,
    TooManyRedirectsError,
    UnsupportedContentError,
)


def test_a_page_comes_back_with_its_body_type_and_charset(site, new_client, fetch):
    site.answer("/", "héllo", content_type="Text/HTML; Charset=utf-8")

    response = fetch(new_client(), site.url)

    assert (response.url, response.status) == (f"{site.url}/", 200)
    assert (response.content_type, response.charset) == ("text/html", "utf-8")
    assert response.body.decode() == "héllo"


def test_the_request_names_us_and_carries_nothing_else_of_ours(site, new_client, monkeypatch, fetch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    site.answer("/", "x")

    fetch(new_client(), site.url)

    sent = {name.lower() for name in site.headers[0]}
    assert site.headers[0]["User-Agent"] == user_agent()
    assert sent == {"host", "user-agent", "accept", "accept-encoding"}


def test_cookies_are_not_kept_between_requests(site, new_client, fetch):
    site.answer("/", "x", Set_Cookie="session=1; Path=/")

    async def run():
        async with new_client() as client:
            await client.fetch(site.url)
            await client.fetch(site.url)

    asyncio.run(run())

    assert [headers.get("Cookie") for headers in site.headers] == [None, None]


def test_a_redirect_is_followed_and_the_final_url_told(site, new_client, fetch):
    site.redirect("/old", "/new?a=1#part", status=301)
    site.answer("/new", "here")

    response = fetch(new_client(), f"{site.url}/old")

    assert (response.url, response.body) == (f"{site.url}/new?a=1", b"here")


def test_five_redirects_are_followed_and_not_a_sixth(site, new_client, fetch, failure):
    for step in range(6):
        site.redirect(f"/{step}", f"/{step + 1}")
    site.answer("/6", "end")

    fine = fetch(new_client(), f"{site.url}/1")
    error = failure(new_client(), f"{site.url}/0")

    assert fine.body == b"end"
    assert isinstance(error, TooManyRedirectsError)


def test_a_redirect_loop_ends(site, new_client, failure):
    site.redirect("/a", "/b")
    site.redirect("/b", "/a")

    error = failure(new_client(), f"{site.url}/a")

    assert isinstance(error, TooManyRedirectsError)
    assert (error.is_retryable, len(site.requests)) == (False, 6)


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://localhost/",
        "//10.1.2.3/",
    ],
)
def test_a_redirect_to_an_address_inside_is_refused(site, new_client, target, failure):
    site.redirect("/", target)

    error = failure(new_client(), site.url)

    assert isinstance(error, AddressRefusedError)
    assert error.url == site.url + "/"


def test_a_redirect_to_a_loopback_port_that_is_not_allowed_is_refused(site, other_site, new_client, failure):
    other_site.answer("/secret", "secret")
    site.redirect("/", f"{other_site.url}/secret")

    error = failure(new_client(), site.url)

    assert isinstance(error, AddressRefusedError)
    assert other_site.requests == []
    assert str(other_site.port) not in str(error)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "http://[bad/"])
def test_a_redirect_to_something_else_than_a_web_page_is_refused(site, new_client, target, failure):
    site.redirect("/", target)

    error = failure(new_client(), site.url)

    assert isinstance(error, InvalidUrlError)
    assert error.url == site.url + "/"


def test_each_url_is_shown_to_the_check_before_it_is_asked_for(site, new_client, fetch):
    site.redirect("/a", "/b")
    site.answer("/b", "x")
    seen = []

    async def check(url):
        seen.append((url, list(site.requests)))

    fetch(new_client(), f"{site.url}/a", check=check)

    assert seen == [(f"{site.url}/a", []), (f"{site.url}/b", ["/a"])]


@pytest.mark.parametrize(
    ("status", "is_retryable"), [(404, False), (410, False), (403, False), (304, False), (429, True), (503, True)]
)
def test_a_status_other_than_success_is_an_error(site, new_client, status, is_retryable, failure):
    site.answer("/", b"", status)

    error = failure(new_client(), site.url)

    assert isinstance(error, HttpStatusError)
    assert (error.status, error.is_retryable, error.retry_after_s) == (status, is_retryable, None)


@pytest.mark.parametrize(
    ("header", "low_s", "high_s"),
    [
        ("120", 120, 120),
        ("99999999999", 86_400, 86_400),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Wed, 21 Oct 2215 07:28:00 GMT", 86_400, 86_400),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(site, new_client, header, low_s, high_s, failure):
    site.answer("/", b"", 503, Retry_After=header)

    error = failure(new_client(), site.url)

    assert low_s <= error.retry_after_s <= high_s


def test_a_retry_after_that_means_nothing_is_none(site, new_client, failure):
    site.answer("/", b"", 503, Retry_After="soon")

    error = failure(new_client(), site.url)

    assert error.retry_after_s is None


@pytest.mark.parametrize("content_type", ["application/pdf", "image/png", "application/json", ""])
def test_content_that_is_not_a_page_is_refused_and_named(site, new_client, content_type, failure):
    site.answer("/", b"x", content_type=content_type)

    error = failure(new_client(), site.url)

    assert isinstance(error, UnsupportedContentError)
    assert content_type in str(error)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xhtml+xml; charset=utf-8"])
def test_plain_text_and_xhtml_are_pages(site, new_client, content_type, fetch):
    site.answer("/", b"x", content_type=content_type)

    assert fetch(new_client(), site.url).body == b"x"


def test_credentials_in_a_url_are_refused_and_not_repeated(new_client, failure):
    error = failure(new_client(), "http://ann:hunter2@example.com/")

    assert isinstance(error, InvalidUrlError)
    assert "hunter2" not in f"{error} {error!r} {error.url} {error.__cause__!r}"
