"""An uploaded file on its way to its place: counted, hashed and checked before anything else hears of it."""

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from starlette.requests import Request

from app.api.bodies import limited, too_large
from app.api.errors import Fault, invalid
from app.api.multipart import FormReader
from app.extract.errors import EmptyFileError
from app.extract.kind import HEAD_BYTES, Kind, detect, verify

FILE_FIELD = "file"
MAX_NAME_CHARACTERS = 200
# What a multipart body may hold beside the file: boundaries, part headers, the other fields.
OVERHEAD_BYTES = 256 * 1024
WRITE_BYTES = 512 * 1024
STALE_S = 3600.0
_INCOMING = ".incoming"


@dataclass(frozen=True, slots=True)
class Upload:
    """A whole file that was received. It lies at `draft` until `keep` moves it; else it vanishes.

    Attributes:
        name: the file's own name, without folders and control characters.
        sha256: of its bytes, in hex.
        fields: the form's other fields.
    """

    name: str
    kind: Kind
    size_bytes: int
    sha256: str
    draft: Path
    fields: dict[str, str]


@asynccontextmanager
async def receive(request: Request, uploads_dir: Path, max_bytes: int) -> AsyncIterator[Upload]:
    """Receive the upload of a request; what was not kept at the end of the block leaves nothing behind.

    Raises:
        ProblemError: 413, as soon as the file is known to be over `max_bytes`; 400, 415 or 422, see FormReader.
        UnsupportedTypeError: the content is not what the name says, or cannot be read.
        EmptyFileError: no bytes.
        starlette.requests.ClientDisconnect: the client went away half-way.
    """
    reader = FormReader(request.headers.get("content-type", ""), FILE_FIELD)
    incoming = uploads_dir / _INCOMING
    await asyncio.to_thread(incoming.mkdir, parents=True, exist_ok=True)
    draft = incoming / f"{secrets.token_hex(16)}.part"
    try:
        writer = await asyncio.to_thread(_Writer, draft)
        try:
            await _read(request, reader, writer, max_bytes)
        finally:
            await asyncio.to_thread(writer.close)
        yield await asyncio.to_thread(_checked, reader, writer)
    finally:
        draft.unlink(missing_ok=True)


async def _read(request: Request, reader: FormReader, writer: "_Writer", max_bytes: int) -> None:
    async for chunk in limited(request, max_bytes, OVERHEAD_BYTES):
        writer.add(reader.feed(chunk))
        if writer.size_bytes > max_bytes:
            raise too_large(max_bytes)
        if writer.is_full:
            await asyncio.to_thread(writer.flush)
    reader.finish()
    await asyncio.to_thread(writer.finish)


def _checked(reader: FormReader, writer: "_Writer") -> Upload:
    name = clean_name(reader.filename or "")
    if writer.size_bytes == 0:
        raise EmptyFileError(name)
    kind = detect(name, bytes(writer.head))
    verify(writer.path, kind, name)
    return Upload(name, kind, writer.size_bytes, writer.digest.hexdigest(), writer.path, reader.fields)


def clean_name(name: str) -> str:
    """The file's own name out of what a client sent.

    Raises:
        ProblemError: 422, nothing is left of it.
    """
    # Browsers on Windows have sent whole paths, and anyone may send `../../etc/passwd`.
    own = PureWindowsPath(PurePosixPath(name).name).name
    kept = "".join(letter for letter in own if unicodedata.category(letter)[0] != "C").strip()
    # NFC: macOS sends an e with an accent as two characters, and both are the same name.
    kept = unicodedata.normalize("NFC", kept)
    if len(kept) > MAX_NAME_CHARACTERS:
        suffix = Path(kept).suffix[:16]
        kept = kept[: MAX_NAME_CHARACTERS - len(suffix)] + suffix
    if not kept.strip("."):
        raise invalid(Fault(f"/{FILE_FIELD}", "the file has no name", "missing"))
    return kept


def keep(upload: Upload, path: Path) -> None:
    """Move the upload to its place, so that it outlives a power cut. Blocks: call it in a thread.

    The same content may be there already, and be read at this moment: the reader goes on with what it opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    upload.draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sweep(uploads_dir: Path) -> int:
    """Remove what uploads left that were cut off by a crash more than an hour ago; how many. Blocks."""
    removed = 0
    for draft in (uploads_dir / _INCOMING).glob("*.part"):
        # Another process may sweep, or end an upload, at the same time.
        with contextlib.suppress(FileNotFoundError):
            if draft.stat().st_mtime < time.time() - STALE_S:
                draft.unlink()
                removed += 1
    return removed


class _Writer:
    """Collects pieces, and writes and hashes them in larger ones. `flush`, `finish` and `close` block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self.head = bytearray()
        self.digest = hashlib.sha256()
        self._buffer = bytearray()
        # Its owner alone may read a file that was not checked yet.
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    @property
    def is_full(self) -> bool:
        return len(self._buffer) >= WRITE_BYTES

    def add(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self._buffer += data
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]

    def flush(self) -> None:
        data, self._buffer = self._buffer, bytearray()
        self.digest.update(data)
        self._file.write(data)
        self._file.flush()

    def finish(self) -> None:
        self.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
