"""HTML as a tree, within limits; the one module that imports lxml."""

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any, TypeAlias

from lxml import etree  # type: ignore[import-untyped] # lxml ships no types

from app.fetch.errors import UnsupportedContentError

Element: TypeAlias = Any
"""An lxml element. Only read here, never changed: dropping thousands of elements one by one takes quadratic time."""

MAX_ELEMENTS = 200_000
"""Reading costs about 12 µs for each, measured on the worst kind of page: so at most some seconds a page."""

_NOT_XML = {code: " " for code in (*range(0x20), 0x7F, 0xFFFE, 0xFFFF) if code not in (0x09, 0x0A, 0x0D)}


def parse_html(text: str, url: str) -> Element | None:
    """The root of the document, without comments; None if there is nothing in it.

    Args:
        text: HTML or XHTML, whole or in part, well-formed or not.
        url: what an error names.

    Raises:
        UnsupportedContentError: elements nested more than 256 deep (libxml2's own limit, beyond which it would
            drop the rest of the page without a word), or more than 200,000 of them.
    """
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        # As bytes: lxml refuses a str that begins with an XML declaration.
        root = etree.fromstring(text.translate(_NOT_XML).encode("utf-8", errors="replace"), parser)
    except etree.XMLSyntaxError:
        return None
    if any(entry.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise UnsupportedContentError(url, "elements nested too deeply")
    if root is not None and root.xpath("count(//*)") > MAX_ELEMENTS:
        raise UnsupportedContentError(url, f"more than {MAX_ELEMENTS:,} elements")
    return root


class Step(Enum):
    """What a walk through a tree has come to."""

    START = auto()
    END = auto()
    SKIPPED = auto()
    """The end of an element that was left out: only the text after it counts."""


def walk(root: Element, is_skipped: Callable[[Element], bool]) -> Iterator[tuple[Step, Element]]:
    """Each element's start and end in document order, without recursion.

    Args:
        root: where to begin.
        is_skipped: asked once at each element's start; what is below a skipped element is not walked.
    """
    walker = etree.iterwalk(root, events=("start", "end"))
    skipped: Element | None = None
    for event, element in walker:
        if event == "end":
            yield (Step.SKIPPED if element is skipped else Step.END), element
            skipped = None
        elif is_skipped(element):
            skipped = element
            walker.skip_subtree()
        else:
            yield Step.START, element
