"""What a page says of itself: title, language, URL, links, wishes."""

import pytest

from app.fetch.page import MAX_LINKS
from app.fetch.passages import Section

URL = "https://h.test/dir/page"


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title> A \n title </title>", "A title"),
        ("<title></title><meta property='og:title' content='Social'>", "Social"),
        ("", "Heading"),
        (f"<title>{'x' * 5000}</title>", "x" * 500),
    ],
)
def test_the_title_is_the_first_that_there_is(head, title, parse):
    page = parse(f"<html><head>{head}</head><body><svg><title>icon</title></svg><h1>Heading</h1></body></html>")

    assert page.title == title


@pytest.mark.parametrize(
    ("html", "headers", "language"),
    [
        ("<html lang='de-AT'>x", {}, "de-AT"),
        ("<html xml:lang='fr'>x", {}, "fr"),
        ("<html>x", {"content_language": "en"}, "en"),
        ("<html lang='de'>x", {"content_language": "en"}, "de"),
        ("<html>x", {"content_language": "en, de"}, None),
        ("<html lang='\"><script>'>x", {}, None),
        ("<html>x", {}, None),
    ],
)
def test_the_language_is_what_the_page_says(html, headers, language, parse):
    assert parse(html, **headers).language == language


@pytest.mark.parametrize(
    ("link", "canonical_url"),
    [
        ("<link rel='canonical' href='/a'>", "https://h.test/a"),
        ("<link rel='CANONICAL foo' href='a#x'>", "https://h.test/dir/a"),
        ("<link rel='canonical' href='http://www.h.test/a'>", "http://www.h.test/a"),
        ("<link rel='canonical' href='/a'><link rel='canonical' href='/a'>", "https://h.test/a"),
        # Not its own site, not one answer, or no URL: the page's own.
        ("<link rel='canonical' href='https://other.test/a'>", URL),
        ("<link rel='canonical' href='https://h.test.evil.test/a'>", URL),
        ("<link rel='canonical' href='https://sub.h.test/a'>", URL),
        ("<link rel='canonical' href='https://h.test:8443/a'>", URL),
        ("<link rel='canonical' href='//u:p@h.test/a'>", URL),
        ("<link rel='canonical' href='javascript:1'>", URL),
        ("<link rel='canonical' href='/a'><link rel='canonical' href='/b'>", URL),
        ("<link rel='alternate' href='/a'>", URL),
        ("", URL),
    ],
)
def test_the_canonical_url_is_honoured_on_its_own_site_only(link, canonical_url, parse):
    assert parse(f"<html><head>{link}</head><body>x</body></html>").canonical_url == canonical_url


def test_a_canonical_link_in_the_text_is_not_the_sites_word(parse):
    page = parse("<html><head></head><body><p>x</p><link rel='canonical' href='/stolen'></body></html>")

    assert page.canonical_url == URL


def test_links_are_whole_normal_and_each_once(parse):
    page = parse(
        "<body><nav><a href='/menu'>m</a></nav><a href='b#1'>b</a><a href='b#2'>b</a><a href='#top'>t</a>"
        "<a href='HTTP://Other.test:80/C'>c</a><a href='mailto:a@b.c'>m</a><a href='javascript:x()'>j</a>"
        "<a href='http://[bad'>x</a><a name='n'>n</a><map><area href='/area'></map></body>"
    )

    assert page.links == (
        "https://h.test/menu",
        "https://h.test/dir/b",
        URL,
        "http://other.test/C",
        "https://h.test/area",
    )


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("/other/", "https://h.test/other/a"),
        ("http://cdn.test/", "http://cdn.test/a"),
        ("file:///", "https://h.test/dir/a"),
    ],
)
def test_links_are_resolved_against_the_pages_base(base, link, parse):
    assert parse(f"<head><base href='{base}'></head><a href='a'>a</a>").links == (link,)


def test_links_have_a_bound(parse):
    page = parse("".join(f"<a href='/{number}'>x</a>" for number in range(MAX_LINKS + 10)))

    assert len(page.links) == MAX_LINKS


@pytest.mark.parametrize(
    ("html", "headers", "is_indexable", "is_followed"),
    [
        ("<meta name='robots' content='noindex'>", {}, False, True),
        ("<meta name='ROBOTS' content='NoFollow, noarchive'>", {}, True, False),
        ("<meta name='robots' content='none'>", {}, False, False),
        ("<meta name='onceq' content='noindex, nofollow'>", {}, False, False),
        ("<meta name='googlebot' content='noindex'>", {}, True, True),
        ("<meta name='robots' content='index, follow'>", {}, True, True),
        ("", {"x_robots_tag": "noindex"}, False, True),
        ("", {"x_robots_tag": "max-snippet: 10, nofollow"}, True, False),
        ("", {"x_robots_tag": "googlebot: noindex, nofollow"}, True, True),
        ("", {"x_robots_tag": "googlebot: nofollow, onceq: noindex"}, False, True),
    ],
)
def test_a_page_that_asks_not_to_be_kept_or_followed_is_not(html, headers, is_indexable, is_followed, parse):
    page = parse(f"<head>{html}</head><body><p>text</p><a href='/a'>a</a></body>", **headers)

    assert (page.is_indexable, bool(page.sections)) == (is_indexable, is_indexable)
    assert bool(page.links) is is_followed


def test_the_hash_follows_the_content_and_nothing_else(parse):
    page = parse("<title>T</title><nav>one</nav><p>text</p><script>1</script>")
    same = parse("<title>T</title><nav>two</nav><p>text</p><script>2</script>", url="https://h.test/else")
    other = parse("<title>T</title><p>text!</p>")

    assert page.content_hash == same.content_hash
    assert page.content_hash != other.content_hash
    assert len(page.content_hash) == 64


def test_the_hash_does_not_confuse_heading_and_text(parse):
    assert parse("<h1>a</h1>b").content_hash != parse("<p>a</p><p>b</p>").content_hash


def test_plain_text_is_one_section(parse):
    page = parse("  <b>not bold</b>\n\nline \n", content_type="text/plain")

    assert page.sections == (Section("", "<b>not bold</b>\n\nline"),)
    assert (page.title, page.links) == ("", ())


def test_xhtml_with_an_xml_declaration_is_read(parse):
    page = parse(
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" lang="en">'
        "<head><title>T</title></head><body><p>text</p></body></html>",
        content_type="application/xhtml+xml",
    )

    assert (page.title, page.language, page.sections) == ("T", "en", (Section("", "text"),))


def test_a_page_in_another_charset_is_read(parse):
    html = "<html><head><meta charset='shift_jis'><title>日本語</title></head><body><p>こんにちは</p></body></html>"

    page = parse(html.encode("shift_jis"), content_type="text/html")

    assert (page.title, page.sections) == ("日本語", (Section("", "こんにちは"),))


@pytest.mark.parametrize(
    "html", ["", "   ", "<!-- nothing -->", "<html></html>", "<script>app()</script>", "\ufeff", "\x00"]
)
def test_a_page_without_text_has_no_sections(html, parse):
    assert parse(html).sections == ()
