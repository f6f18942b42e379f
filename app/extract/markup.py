"""HTML: what a reader of the page would read (beautifulsoup4, lxml)."""

import codecs
import warnings
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, PreformattedString
from bs4.exceptions import ParserRejectedMarkup

from app.extract.charset import FALLBACK, marked_encoding, refuse_nul
from app.extract.errors import Code, DocumentError
from app.extract.limits import Limits
from app.extract.outline import Outline
from app.extract.section import Progress, Section

PROGRESS_EVERY_BLOCKS = 500

_REMOVED = frozenset(
    [
        "script",
        "style",
        "nav",
        "noscript",
        "template",
        "svg",
        "math",
        "iframe",
        "object",
        "embed",
        "canvas",
        "audio",
        "video",
        "select",
        "button",
    ]
)
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "input",
        "ins",
        "kbd",
        "label",
        "mark",
        "meter",
        "nobr",
        "output",
        "picture",
        "progress",
        "q",
        "rb",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "source",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
_HEADINGS = {f"h{level}": level + 1 for level in range(1, 7)} | {"title": 1}
_CELLS = frozenset({"td", "th"})

# What these labels mean on the web (WHATWG Encoding Standard, 4.2): the larger set that is really used.
_ON_THE_WEB = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}


def read(path: Path, _limits: Limits) -> Iterator[Section | Progress]:
    """Each block of the page with the headings above it as place, and a `Progress` in blocks.

    The title comes first. Scripts, styles, navigation, embedded media, form buttons and elements marked
    `hidden` are left out.

    Raises:
        DocumentError: `corrupt_file`.
    """
    markup = decode(path.read_bytes())
    with warnings.catch_warnings():
        # XHTML read as HTML, a text that looks like a file name: both are what is asked for here.
        warnings.simplefilter("ignore")
        try:
            soup = BeautifulSoup(markup, "lxml")
        except ParserRejectedMarkup as exc:
            raise DocumentError(Code.CORRUPT_FILE, str(exc)) from exc
    del markup
    outline = Outline()
    number = 0
    follows = False
    for number, (name, text) in enumerate(_blocks(soup), start=1):
        level = _HEADINGS.get(name)
        place = outline.enter(level, text) if level else outline.place
        yield Section(text, place or "page", joins=follows and not level)
        follows = True
        if number % PROGRESS_EVERY_BLOCKS == 0:
            yield Progress(number, None)
    yield Progress(number, number)


def decode(data: bytes) -> str:
    """The page's text by its byte order mark, as UTF-8 if it is that, else as it declares, else cp1252.

    Raises:
        DocumentError: `corrupt_file`, binary data.
    """
    marked = marked_encoding(data)
    if marked:
        return data.decode(marked, "replace")
    refuse_nul(data)
    declared = _declared(data)
    # ISO-2022-JP is made of ASCII bytes alone, so it would pass as UTF-8.
    if declared != "iso2022_jp":
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode(declared or FALLBACK, "replace")
    return data.decode(declared, "replace")


def _declared(data: bytes) -> str | None:
    label = EncodingDetector.find_declared_encoding(data, is_html=True)
    try:
        name = codecs.lookup(label).name if label else None
    except (LookupError, ValueError):
        return None
    # The declaration was read as ASCII, so it cannot be one of two or four bytes a letter; the others of
    # Python's codecs here (`hex`, `punycode`, `unicode_escape`) are no charsets of pages.
    if name is None or not name.startswith(("iso", "cp", "gb", "big5", "shift", "euc", "koi8", "mac", "ascii", "hz")):
        return None
    return _ON_THE_WEB.get(name, name)


def _blocks(soup: BeautifulSoup) -> Iterator[tuple[str, str]]:
    """Each block's element name and text, in order. Walks without recursion: pages may nest deeply."""
    fragments: list[str] = []
    names = ["body"]
    walk: list[tuple[Tag | None, Iterator[object]]] = [(None, iter(soup.contents))]
    while walk:
        tag, children = walk[-1]
        child = next(children, None)
        if child is None:
            walk.pop()
            if tag is not None and tag.name not in _INLINE:
                yield from _flush(names.pop(), fragments, is_cell=tag.name in _CELLS)
        elif isinstance(child, Tag):
            if child.name in _REMOVED or child.has_attr("hidden"):
                continue
            if child.name == "br":
                fragments.append("\n")
            elif child.name not in _INLINE:
                yield from _flush(names[-1], fragments, is_cell=child.name in _CELLS)
                names.append(child.name)
            walk.append((child, iter(child.contents)))
        elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
            is_kept = "pre" in names or "textarea" in names
            fragments.append(str(child) if is_kept else _fold(str(child)))
    yield from _flush("body", fragments, is_cell=False)


def _fold(text: str) -> str:
    """The text with each run of whitespace as one blank, as a browser shows it."""
    folded = " ".join(text.split())
    if not folded:
        return " "
    return (" " if text[0].isspace() else "") + folded + (" " if text[-1].isspace() else "")


def _flush(name: str, fragments: list[str], *, is_cell: bool) -> Iterator[tuple[str, str]]:
    """Hand out the block that ends here. A table's cells stay together until their row ends."""
    text = "".join(fragments)
    if is_cell:
        if text.strip() and not text.endswith(" | "):
            fragments.append(" | ")
        return
    fragments.clear()
    text = text.strip().removesuffix("|").rstrip() if text.endswith(" | ") else text.strip()
    if text:
        yield name, text
