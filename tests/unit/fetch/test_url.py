"""One spelling for each URL."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.fetch.errors import InvalidUrlError, without_credentials
from app.fetch.url import Origin, join, normalize, origin


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTP://EXAMPLE.com:80/Path?B=2&A=1#part", "http://example.com/Path?B=2&A=1"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("http://example.com./", "http://example.com/"),
        ("  http://example.com/  ", "http://example.com/"),
        ("http://example.com?q=1", "http://example.com/?q=1"),
        ("http://example.com/a/./b/../c", "http://example.com/a/c"),
        ("http://example.com/a b/ü", "http://example.com/a%20b/%C3%BC"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://\uff22ÜCHER.example/", "http://xn--bcher-kva.example/"),
        ("http://my_site.example.com/", "http://my_site.example.com/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0177.0.0.1/", "http://127.0.0.1/"),
        ("http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/", "http://127.0.0.1/"),
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://[::FFFF:127.0.0.1]:8080/", "http://[::ffff:7f00:1]:8080/"),
        ("http://[0:0::1]/", "http://[::1]/"),
    ],
)
def test_a_url_is_spelled_in_one_way(url, normal):
    assert normalize(url) == normal
    assert normalize(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "/path",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "http:example.com",
        "http://",
        "http:///path",
        "http://:80/",
        "http://user@example.com/",
        "http://user:pass@example.com/",
        "http://@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:http/",
        "http://example.com:80:80/",
        "http://exa mple.com/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com%2f@127.0.0.1/",
        "http://ex%61mple.com/",
        "http://example..com/",
        "http://.example.com/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[127.0.0.1]/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://0x/",
        "http://a.0x7g.1e9.99999999999/",
        "http://example.com/\r\nHost: other",
        "http://example.com/\x00",
        "http://" + "a" * 64 + ".com/",
        "http://" + "a." * 130 + "com/",
        "http://example.com/" + "a" * 2048,
        "http://\udcff.com/",
    ],
)
def test_what_is_not_a_url_to_fetch_is_refused(url):
    with pytest.raises(InvalidUrlError) as caught:
        normalize(url)

    assert (caught.value.code, caught.value.is_retryable) == ("invalid_url", False)


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("b", "http://h.test/dir/b"),
        ("/b", "http://h.test/b"),
        ("../b", "http://h.test/b"),
        ("//other.test/b", "http://other.test/b"),
        ("?q", "http://h.test/dir/a?q"),
        ("#part", "http://h.test/dir/a"),
        ("", "http://h.test/dir/a"),
        (" https://s.test/\n", "https://s.test/"),
        ("/lo\nng", "http://h.test/long"),
    ],
)
def test_a_reference_is_resolved_against_its_page(reference, url):
    assert join("http://h.test/dir/a", reference) == url


@pytest.mark.parametrize(
    "reference", ["mailto:a@b.c", "javascript:void(0)", "http://[bad", "tel:1", "data:,x", "x" * 5000]
)
def test_a_reference_to_no_page_is_refused(reference):
    with pytest.raises(InvalidUrlError):
        join("http://h.test/", reference)


def test_an_origin_names_its_port_also_where_the_url_does_not():
    assert origin("https://h.test/a") == Origin("https", "h.test", 443)
    assert origin("http://[::1]:8080/a") == Origin("http", "::1", 8080)


@pytest.mark.parametrize(
    "url", ["http://ann:hunter2@h/", "//ann:hunter2@h/", "ann:hunter2@h", "http://ann:hunter2\\@h/", "HTTP://hunter2@h"]
)
def test_credentials_are_not_shown(url):
    assert "hunter2" not in without_credentials(url)


def test_what_is_not_a_credential_is_shown():
    assert without_credentials("http://h/@user?to=a@b") == "http://h/@user?to=a@b"


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("/?#%.:@[]0xaü ")))
def test_any_text_is_a_url_with_one_spelling_or_a_clear_error(text):
    try:
        normal = normalize(f"http://{text}")
    except InvalidUrlError:
        return

    assert normalize(normal) == normal
    assert normal.isascii()
