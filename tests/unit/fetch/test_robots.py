"""Which pages a robots.txt allows, by RFC 9309."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.fetch.robots import Robots

SITE = "http://h.test"


def allows(robots, path):
    return Robots.parse(robots.encode()).allows(SITE + path)


@pytest.mark.parametrize(
    ("rules", "path", "is_allowed"),
    [
        ("", "/a", True),
        ("Disallow:", "/a", True),
        ("Disallow: /", "/a", False),
        ("Disallow: /", "/robots.txt", True),
        ("Disallow: /a", "/a", False),
        ("Disallow: /a", "/abc", False),
        ("Disallow: /a", "/b/a", True),
        ("Disallow: /a/", "/a", True),
        ("Disallow: /A", "/a", True),
        # The longest match decides, whatever the order; Allow wins between equals.
        ("Disallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("Allow: /a/b\nDisallow: /a", "/a/b/c", True),
        ("Allow: /a\nDisallow: /a/b", "/a/b/c", False),
        ("Disallow: /a\nAllow: /a", "/a", True),
        ("Allow: /a\nDisallow: /a", "/a", True),
        ("Disallow: /*.html\nAllow: /page", "/page.html", False),
        ("Allow: /$\nDisallow: /", "/", True),
        ("Allow: /$\nDisallow: /", "/a", False),
        # Wildcards
        ("Disallow: /*.gif$", "/a/b.gif", False),
        ("Disallow: /*.gif$", "/a/b.gif?x", True),
        ("Disallow: /*.gif", "/a/b.gif?x", False),
        ("Disallow: /a*b*c", "/a1b2c3", False),
        ("Disallow: /a*b*c", "/a1c2b3", True),
        ("Disallow: /a*b$", "/a1b2b", False),
        ("Disallow: /a*b$", "/a1b2", True),
        ("Disallow: /ab*b$", "/ab", True),
        ("Disallow: *", "/a", False),
        ("Disallow: /*$", "/a", False),
        ("Disallow: /a$", "/a", False),
        ("Disallow: /a$", "/ab", True),
        ("Disallow: /a$b", "/a$b", False),
        ("Disallow: /*?*session=", "/a?x=1&session=2", False),
        ("Disallow: /*?*session=", "/a/session=2", True),
        # Escapes: RFC 9309, table in 2.2.2, and 2.2.3
        ("Disallow: /foo/bar?baz=quz", "/foo/bar?baz=quz", False),
        ("Disallow: /foo/bar/ツ", "/foo/bar/%E3%83%84", False),
        ("Disallow: /foo/bar/%E3%83%84", "/foo/bar/ツ", False),
        ("Disallow: /foo/bar/%e3%83%84", "/foo/bar/%E3%83%84", False),
        ("Disallow: /foo/bar/%62%61%7A", "/foo/bar/baz", False),
        ("Disallow: /foo/bar/baz", "/foo/bar/%62%61%7A", False),
        ("Disallow: /a%2Fb", "/a/b", True),
        ("Disallow: /a%2Fb", "/a%2fb", False),
        ("Disallow: /path/file-with-a-%2A.html", "/path/file-with-a-*.html", False),
        ("Disallow: /path/file-with-a-%2A.html", "/path/file-with-a-1.html", True),
        ("Disallow: /path/foo-%24", "/path/foo-$", False),
    ],
)
def test_a_rule_decides_about_a_path(rules, path, is_allowed):
    assert allows(f"User-agent: *\n{rules}\n", path) is is_allowed


@pytest.mark.parametrize(
    ("robots", "is_allowed"),
    [
        ("User-agent: *\nDisallow: /\n\nUser-agent: onceq\nDisallow:", True),
        ("User-agent: onceq\nDisallow: /\n\nUser-agent: *\nDisallow:", False),
        ("User-agent: OnceQ\nDisallow: /", False),
        ("User-agent: onceq/2.0\nDisallow: /", False),
        ("User-agent: onceq-images\nDisallow: /", True),
        ("User-agent: once\nDisallow: /", True),
        ("User-agent: other\nDisallow: /", True),
        ("User-agent: other\nUser-agent: onceq\nDisallow: /", False),
        ("User-agent: onceq\nUser-agent: other\nDisallow: /", False),
        ("User-agent: onceq\n\n\nDisallow: /", False),
        # Groups for one product are one group.
        ("User-agent: onceq\nAllow: /b\n\nUser-agent: x\nDisallow:\n\nUser-agent: onceq\nDisallow: /", False),
        ("User-agent: onceq\nDisallow: /\nUser-agent: x\nAllow: /a", False),
        # Lines that are none of the RFC's do not end a group.
        ("User-agent: onceq\nSitemap: http://h.test/map.xml\nUser-agent: x\nDisallow: /", False),
        ("Disallow: /\nUser-agent: onceq\nDisallow: /b", True),
        ("User-agent: *\nDisallow: /\nUser-agent: onceq\n", True),
        # Spelling
        ("\ufeffUser-agent: *\nDisallow: /", False),
        ("  USER-AGENT :  *  # all\r\n\tdisallow : / # everything\r\n", False),
        ("User-agent: *\rDisallow: /", False),
        ("User-agent: *\nDisallow /", True),
        ("User-agent: *\nDissallow: /", True),
        ("User-agent: *\n# Disallow: /", True),
        ("<html><body>Not found: sorry</body></html>", True),
        ("", True),
    ],
)
def test_the_group_that_concerns_us_is_found(robots, is_allowed):
    assert allows(robots, "/a") is is_allowed


@pytest.mark.parametrize(
    ("robots", "delay_s"),
    [
        ("User-agent: *\nCrawl-delay: 5", 5.0),
        ("User-agent: *\nCrawl-delay: 0.25\nDisallow: /x", 0.25),
        ("User-agent: onceq\nCrawl-delay: 5\nUser-agent: x\nDisallow: /x", 5.0),
        ("User-agent: *\nDisallow: /y\nCrawl-delay: 5\nUser-agent: onceq\nDisallow: /x", None),
        ("User-agent: *\nCrawl-delay: soon", None),
        ("User-agent: *\nCrawl-delay: -1", None),
        ("User-agent: *\nCrawl-delay: inf", None),
        ("Crawl-delay: 5", None),
    ],
)
def test_the_crawl_delay_is_that_of_our_group(robots, delay_s):
    rules = Robots.parse(robots.encode())

    assert rules.crawl_delay_s == delay_s


def test_bytes_that_are_no_text_are_not_fatal():
    robots = Robots.parse(b"\xff\xfe\x00User-agent: *\nDisallow: /a\n\x80\x81")

    assert robots.allows(f"{SITE}/b")


def test_a_hostile_pattern_takes_no_time():
    hostile = "User-agent: *\n" + f"Disallow: /{'*a' * 2000}$\n" * 50
    robots = Robots.parse(hostile.encode())
    began_s = time.process_time()

    is_allowed = robots.allows(f"{SITE}/{'a' * 3000}b")

    assert is_allowed
    assert time.process_time() - began_s < 1


@settings(deadline=None)
@given(st.text(alphabet="ab*$", max_size=8), st.text(alphabet="ab", max_size=12))
def test_a_pattern_matches_what_the_same_regular_expression_matches(pattern, path):
    is_anchored = pattern.endswith("$")
    pieces = pattern.removesuffix("$").replace("$", "%24").split("*")
    expression = ".*".join(map(re.escape, pieces)) + ("$" if is_anchored else "")

    is_allowed = allows(f"User-agent: *\nDisallow: /{pattern}", f"/{path}")

    assert is_allowed is not bool(re.match("/" + expression, f"/{path}"))


@settings(deadline=None)
@given(st.binary(max_size=500))
def test_bytes_of_any_kind_are_rules_or_none(body):
    robots = Robots.parse(b"User-agent: *\nDisallow: /" + body)

    assert robots.allows(f"{SITE}/robots.txt")
