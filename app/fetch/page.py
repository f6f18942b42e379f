"""A fetched page as text under headings, with what a search answer needs to cite it."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.fetch.boilerplate import find_content
from app.fetch.charset import decode
from app.fetch.client import PRODUCT, Response
from app.fetch.errors import InvalidUrlError, UnsupportedContentError
from app.fetch.passages import Section, read_sections
from app.fetch.tree import Element, parse_html
from app.fetch.url import join, origin

MAX_LINKS = 5000
_MAX_TITLE_CHARS = 500
# In the first 4,096 characters; a stray one is common in pages, a file that is not text has hundreds.
_MAX_CONTROLS = 20
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}")


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says.

    Attributes:
        url: where it came from, normalised.
        canonical_url: the URL the page gives itself, if that is on the same site; else `url`.
        title: "" if it has none; at most 500 characters.
        language: a BCP 47 tag such as "de-AT"; None if the page does not say.
        sections: in order; no section is without both heading and text. Empty for a page without text.
        links: http(s) URLs the page links to, normalised, each once, at most 5,000; empty where the page asks
            not to be followed from.
        content_hash: SHA-256 in hex over title and sections; equal for equal content.
        is_indexable: False where the page asks not to be kept; `sections` is empty then.
    """

    url: str
    canonical_url: str
    title: str
    language: str | None
    sections: tuple[Section, ...] = field(repr=False)
    links: tuple[str, ...] = field(repr=False)
    content_hash: str
    is_indexable: bool = True


def parse_page(response: Response) -> Page:
    """The page in a response. Takes up to some seconds for a hostile page, so call it off the event loop.

    Raises:
        UnsupportedContentError: not text, elements nested more than 256 deep, or more than 200,000 of them.
    """
    text = decode(response.body, response.charset)
    head = text[:4096]
    if head.startswith("%PDF-") or len(_CONTROL.findall(head)) > _MAX_CONTROLS:
        raise UnsupportedContentError(response.url, "the content is not text")
    directives = set(_header_directives(response.headers.get("x-robots-tag", "")))
    root = None
    if response.content_type != "text/plain":
        root = parse_html(text, response.url)
    if root is None:
        plain = text.strip() if response.content_type == "text/plain" else ""
        return _page(response, directives, sections=(Section("", plain),) if plain else ())
    directives.update(_meta_directives(root))
    base_url = _base_url(root, response.url)
    content = find_content(root)
    sections = read_sections(content)
    return _page(
        response,
        directives,
        canonical_url=_canonical_url(root, base_url, response.url),
        title=_title(root, sections),
        language=root.get("lang") or root.get("xml:lang"),
        sections=sections,
        links=_links(root, base_url),
    )


def _page(
    response: Response,
    directives: set[str],
    *,
    sections: tuple[Section, ...],
    canonical_url: str | None = None,
    title: str = "",
    language: str | None = None,
    links: tuple[str, ...] = (),
) -> Page:
    is_indexable = directives.isdisjoint({"noindex", "none"})
    sections = sections if is_indexable else ()
    language = (language or response.headers.get("content-language", "")).strip()
    hashed = json.dumps([title, [[section.heading, section.text] for section in sections]])
    return Page(
        url=response.url,
        canonical_url=canonical_url or response.url,
        title=title,
        language=language if _LANGUAGE.fullmatch(language) else None,
        sections=sections,
        links=links if directives.isdisjoint({"nofollow", "none"}) else (),
        content_hash=hashlib.sha256(hashed.encode()).hexdigest(),
        is_indexable=is_indexable,
    )


def _header_directives(header: str) -> Iterator[str]:
    """X-Robots-Tag's words for everybody and for us: `noindex, otherbot: nofollow` says noindex to us."""
    agent = ""
    for word in header.lower().split(","):
        name, colon, value = word.partition(":")
        if colon and not name.strip().startswith(("max-", "unavailable_after")):
            agent, word = name.strip(), value  # noqa: PLW2901 - the agent holds for the words that follow
        if agent in {"", "*", PRODUCT}:
            yield word.strip()


def _meta_directives(root: Element) -> Iterator[str]:
    for meta in root.iter("meta"):
        if meta.get("name", "").strip().lower() in {"robots", PRODUCT}:
            yield from (word.strip() for word in meta.get("content", "").lower().split(","))


def _base_url(root: Element, url: str) -> str:
    for element in root.iter("base"):
        if element.get("href"):
            try:
                return join(url, element.get("href"))
            except InvalidUrlError:
                return url
    return url


def _canonical_url(root: Element, base_url: str, url: str) -> str | None:
    """The canonical URL if the page's head gives exactly one, on its own site.

    Same site means the same host, `www.` aside, and the same port or both the scheme's own. Otherwise any page
    could take the place of another site's page in the store.
    """
    targets = {
        link.get("href", "")
        for link in root.iterfind("head/link")
        if "canonical" in link.get("rel", "").lower().split()
    }
    if len(targets) != 1:
        return None
    try:
        canonical_url = join(base_url, targets.pop())
    except InvalidUrlError:
        return None
    return canonical_url if site(canonical_url) == site(url) else None


def site(url: str) -> tuple[str, int | None]:
    """What two normalised URLs of the same site share: the host without `www.`, and the port if it is unusual."""
    asked = origin(url)
    is_usual = asked.port == {"http": 80, "https": 443}[asked.scheme]
    return asked.host.removeprefix("www."), None if is_usual else asked.port


def _title(root: Element, sections: tuple[Section, ...]) -> str:
    titles = ("".join(element.itertext()) for element in root.iter("title") if element.getparent().tag != "svg")
    social = (meta.get("content", "") for meta in root.iter("meta") if meta.get("property") == "og:title")
    headings = (section.heading for section in sections)
    candidates = (" ".join(title.split()) for source in (titles, social, headings) for title in source)
    return next(filter(None, candidates), "")[:_MAX_TITLE_CHARS]


def _links(root: Element, base_url: str) -> tuple[str, ...]:
    links: dict[str, None] = {}
    references = dict.fromkeys(element.get("href") for element in root.iter("a", "area"))
    for reference in references:
        if reference is None or len(links) >= MAX_LINKS:
            continue
        try:
            links[join(base_url, reference)] = None
        except InvalidUrlError:
            continue  # mailto:, javascript:, a typing error: nothing to fetch
    return tuple(links)
