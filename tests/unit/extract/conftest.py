"""Documents: the real ones of the shared data folder, and some that the tests make."""

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from app.extract.chunker import Chunk
from app.extract.kind import HEAD_BYTES, detect
from app.extract.limits import Limits
from app.extract.parse import parse
from tests.unit.extract.documents import pdf_bytes, real_documents

MakePdf = Callable[[Iterable[str]], Path]
MakeZip = Callable[[str, dict[str, bytes | str]], Path]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real documents."""
    return real_documents()


@pytest.fixture
def make_pdf(tmp_path: Path) -> MakePdf:
    """Writes a PDF with one line of text on each page."""

    def make(pages: Iterable[str]) -> Path:
        path = tmp_path / "made.pdf"
        path.write_bytes(pdf_bytes(list(pages)))
        return path

    return make


@pytest.fixture
def make_zip(tmp_path: Path) -> MakeZip:
    """Writes an archive with the members given."""

    def make(name: str, members: dict[str, bytes | str]) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as container:
            for member, content in members.items():
                container.writestr(member, content)
        return path

    return make


@pytest.fixture
def chunks_of() -> Callable[[Path], list[Chunk]]:
    """Reads a file as the service would, but in this process."""

    def read(path: Path) -> list[Chunk]:
        kind = detect(path.name, path.read_bytes()[:HEAD_BYTES])
        return [item for item in parse(path, kind, Limits()) if isinstance(item, Chunk)]

    return read


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file as given: bytes as they are, text as UTF-8."""

    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make
