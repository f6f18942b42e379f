"""Which parts of a page are its own text, and which are the frame that every page of the site repeats."""

import re
from dataclasses import dataclass, field

from app.fetch.tree import Element, Step, walk

_NEVER_TEXT = frozenset(
    [
        "head",
        "script",
        "style",
        "template",
        "noscript",
        "svg",
        "iframe",
        "object",
        "embed",
        "canvas",
        "audio",
        "video",
        "map",
        "nav",
        "footer",
        "aside",
        "dialog",
        "menu",
        "button",
        "select",
        "input",
        "textarea",
        "datalist",
    ]
)
_FRAME_ROLES = frozenset(
    ["navigation", "contentinfo", "complementary", "search", "dialog", "alertdialog", "menu", "menubar"]
)
_COOKIE_BANNER = re.compile(
    r"""(?:cookie|consent|gdpr|ccpa)s?[-_]?(?:banner|bar|notice|popup|pop-up|modal|consent|overlay|dialog
        |message|law|box|wall|manager|prompt|alert|disclaimer|preferences|container|wrapper)
    |^(?:onetrust|ot-sdk|optanon|cybotcookiebot|cookiebot|cookieconsent|truste|didomi|usercentrics|qc-cmp2?
        |sp_message_container|cc-window|cc-banner|fc-consent|iubenda-cs|klaro|termly|osano-cm|borlabs-cookie)""",
    re.IGNORECASE | re.VERBOSE,
)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_PAGE_TAGS = frozenset({"html", "body", "main", "article"})
_BLOCK_TAGS = frozenset({"div", "section", "ul", "ol", "dl", "table", "tbody", "tr", "td", "p", "center"})

_MIN_MAIN_SHARE = 0.2
_MIN_LINKS = 3
_MAX_LINK_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Content:
    """Where a page's own text is.

    Attributes:
        parts: the elements to read, in document order, none within another.
        skipped: the elements below them to leave out.
    """

    parts: tuple[Element, ...]
    skipped: frozenset[Element]


def find_content(root: Element) -> Content:
    """The parts of a page that are its own.

    `<main>`, or else the outermost `<article>`s, when they hold at least a fifth of the text. Otherwise the whole
    page without blocks that are mostly links: at least three links, which make up more than half of the text;
    a page that is nearly all links keeps them.
    """
    survey = _survey(root)
    sizes = _measure(root, survey.skipped)
    least_chars = sizes[root].text_chars * _MIN_MAIN_SHARE if root in sizes else 0
    for candidates in (survey.mains, survey.articles):
        if candidates and sum(sizes[element].text_chars for element in candidates) >= least_chars:
            return Content(tuple(candidates), frozenset(survey.skipped))
    mostly_links = {element for element, size in sizes.items() if element.tag in _BLOCK_TAGS and size.is_mostly_links}
    dense = _measure(root, survey.skipped | mostly_links) if mostly_links else {}
    if root in dense and dense[root].text_chars >= least_chars:
        return Content((root,), frozenset(survey.skipped | mostly_links))
    return Content((root,), frozenset(survey.skipped))


@dataclass(slots=True)
class _Survey:
    skipped: set[Element] = field(default_factory=set)
    mains: list[Element] = field(default_factory=list)
    articles: list[Element] = field(default_factory=list)


def _survey(root: Element) -> _Survey:
    """One walk through the page: the frame's elements, the outermost mains, the outermost articles."""
    survey = _Survey()
    inside: list[Element] = []

    def is_skipped(element: Element) -> bool:
        if _is_frame(element, is_in_main=bool(inside)):
            survey.skipped.add(element)
            return True
        return False

    for step, element in walk(root, is_skipped):
        is_main = element.tag == "main" or element.get("role") == "main"
        if step is Step.START and (is_main or element.tag == "article"):
            if is_main and not any(above in survey.mains[-1:] for above in inside):
                survey.mains.append(element)
            if element.tag == "article" and not any(above.tag == "article" for above in inside):
                survey.articles.append(element)
            inside.append(element)
        elif step is Step.END and inside and inside[-1] is element:
            inside.pop()
    return survey


def _is_frame(element: Element, *, is_in_main: bool) -> bool:
    """Whether the element is navigation, decoration, hidden, or a cookie banner."""
    tag = element.tag
    if tag in _NEVER_TEXT:
        return True
    if tag in _PAGE_TAGS:
        return False
    attributes = element.attrib
    if tag == "header" or attributes.get("role") == "banner":
        return not is_in_main  # a header inside the article is where its title stands
    is_hidden = (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or _HIDDEN_STYLE.search(attributes.get("style", "")) is not None
    )
    if is_hidden or attributes.get("role", "").strip().lower() in _FRAME_ROLES:
        return True
    names = (attributes.get("id", ""), *attributes.get("class", "").split())
    is_banner = any(_COOKIE_BANNER.search(name) for name in names)
    return is_banner and next(element.iter("main", "article"), None) is None


@dataclass(slots=True)
class _Size:
    text_chars: int = 0
    link_chars: int = 0
    links: int = 0

    @property
    def is_mostly_links(self) -> bool:
        return self.links >= _MIN_LINKS and self.link_chars > self.text_chars * _MAX_LINK_SHARE


def _measure(root: Element, skipped: set[Element]) -> dict[Element, _Size]:
    """How much text each element holds, and how much of it is in links; whitespace not counted."""
    sizes: dict[Element, _Size] = {}
    path: list[_Size] = []
    for step, element in walk(root, skipped.__contains__):
        if step is Step.START:
            size = sizes[element] = _Size(text_chars=_chars(element.text))
            path.append(size)
            continue
        if step is Step.END:
            size = path.pop()
            if element.tag == "a":
                size.link_chars, size.links = size.text_chars, 1
            if path:
                path[-1].text_chars += size.text_chars
                path[-1].link_chars += size.link_chars
                path[-1].links += size.links
        if path:
            path[-1].text_chars += _chars(element.tail)
    return sizes


def _chars(text: str | None) -> int:
    return len("".join(text.split())) if text else 0
