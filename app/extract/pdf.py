"""PDF, page by page (pypdf)."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from pypdf import PageObject, PasswordType, PdfReader
from pypdf.errors import FileNotDecryptedError, LimitReachedError, PyPdfError
from pypdf.generic import DictionaryObject

from app.extract.errors import Code, DocumentError
from app.extract.limits import Limits
from app.extract.section import Progress, Section

# pypdf keeps every object it has read. Dropped now and then, 1,500 pages take no more memory than 50, and
# a font shared by all pages is read thirty times, which does not show in the time.
FORGET_EVERY_PAGES = 50

# Malformed files log a line per oddity; the outcome says what matters.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def read(path: Path, limits: Limits) -> Iterator[Section | Progress]:
    """The text of each page that has some, and a `Progress` in pages after every page.

    A file that only its owner's password protects opens; so does one whose user password is empty.

    Raises:
        DocumentError: `pdf_encrypted`, `too_many_pages`, `zip_bomb` (a stream unpacks to more than 75 MB),
            `corrupt_file`.
    """
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise DocumentError(Code.PDF_ENCRYPTED, "the file needs a password")
        total = _count_pages(reader, limits)
    except FileNotDecryptedError as exc:
        raise DocumentError(Code.PDF_ENCRYPTED, "the file needs a password") from exc
    except PyPdfError as exc:
        raise DocumentError(Code.CORRUPT_FILE, str(exc)) from exc
    for number, page in enumerate(reader.pages, start=1):
        yield Section(_text(page, number), f"page {number}", ends=True)
        yield Progress(number, total)
        if number % FORGET_EVERY_PAGES == 0:
            reader.resolved_objects.clear()


def _count_pages(reader: PdfReader, limits: Limits) -> int:
    """The pages of the tree; what the file claims is tested first, before the tree is walked."""
    tree = cast("DictionaryObject", reader.root_object["/Pages"])
    claimed: object = None
    if "/Count" in tree:
        claimed = tree["/Count"]  # `get` would give a reference to it where the file has one
    pages = claimed if isinstance(claimed, int) and claimed > limits.max_pages else len(reader.pages)
    if pages > limits.max_pages:
        raise DocumentError(Code.TOO_MANY_PAGES, f"{pages:,} pages, and at most {limits.max_pages:,} are read")
    if pages == 0:
        raise DocumentError(Code.CORRUPT_FILE, "the file has no pages")
    return pages


def _text(page: PageObject, number: int) -> str:
    try:
        return page.extract_text()
    except LimitReachedError as exc:
        raise DocumentError(Code.ZIP_BOMB, f"page {number}: {exc}") from exc
    except PyPdfError as exc:
        raise DocumentError(Code.CORRUPT_FILE, f"page {number}: {exc}") from exc
