"""Zip containers (DOCX, XLSX), checked before any parser opens them.

Sources: D. Fifield, "A better zip bomb", 2019 (overlapping members); ECMA-376 part 2, 8.1.4 (a package's
XML has no document type declaration, so an entity bomb is refused by its first line).
"""

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO
from xml.parsers import expat

from app.extract.errors import Code, DocumentError

MAX_ENTRIES = 10_000
"""Members of an archive. A workbook with a thousand sheets has about 3,000."""

MAX_UNPACKED_BYTES = 400 * 1024 * 1024
"""All members together. 25 MB of ordinary OOXML unpack to 100 to 250 MB."""

MAX_RATIO = 200
"""Unpacked to packed size of a member. Sheets reach 20 to 60, deflate's limit is 1,032."""

RATIO_FROM_BYTES = 1024 * 1024
"""Smaller members are not measured by ratio: a blank picture or an empty part packs better than any text."""

MAX_NESTED_BYTES = 32 * 1024 * 1024
"""Packed size of an archive inside the archive (Office embeds workbooks behind charts)."""

# A directory entry takes 46 bytes and its name; Office's are about 80.
MAX_DIRECTORY_BYTES = MAX_ENTRIES * 512

READ_BYTES = 64 * 1024
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, ValueError)
"""What `zipfile` raises for an archive that is damaged, encrypted or packed by an unknown method."""

_END_RECORD = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20
_MAX_COMMENT_BYTES = 65_535
_ZIP_MAGIC = b"PK\x03\x04"
_XML_NAMES = (".xml", ".rels", ".vml")
_XML_STARTS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<", b"\xfe\xff\x00<", b"<\x00", b"\x00<")


def check(path: Path) -> None:
    """Return if the archive is safe to hand to a parser: every member was unpacked once and counted.

    Raises:
        DocumentError: `zip_bomb` (members, unpacked size, ratio, overlap, archives in archives in archives),
            `corrupt_file` (damaged, encrypted, or XML with a document type declaration).
        OSError: the file cannot be read.
    """
    check_directory(path)
    try:
        with zipfile.ZipFile(path) as container:
            _check_members(container)
    except UNREADABLE as exc:
        if "verlap" in str(exc):
            raise DocumentError(Code.ZIP_BOMB, f"members share their bytes: {exc}") from exc
        raise DocumentError(Code.CORRUPT_FILE, f"not a readable archive: {exc}") from exc


def read_member(path: Path, name: str, max_bytes: int) -> bytes:
    """The beginning of one member, at most `max_bytes` unpacked; empty if the archive has no such member.

    Raises:
        DocumentError: `zip_bomb` or `corrupt_file`, from the directory or this member.
        OSError: the file cannot be read.
    """
    check_directory(path)
    try:
        with zipfile.ZipFile(path) as container:
            if name not in container.namelist():
                return b""
            member = container.getinfo(name)
            _refuse_method(member)
            with container.open(member) as file:
                return file.read(max_bytes)
    except UNREADABLE as exc:
        raise DocumentError(Code.CORRUPT_FILE, f"not a readable archive: {exc}") from exc


def check_directory(path: Path) -> None:
    """Return if the archive's directory is small enough for `zipfile`, which reads the whole of it.

    A file of 25 MB can list half a million members, which cost `zipfile` 300 MB.

    Raises:
        DocumentError: `zip_bomb` (too many members), `corrupt_file` (no directory).
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _END_RECORD.size - _MAX_COMMENT_BYTES - _ZIP64_LOCATOR_BYTES))
        tail = file.read()
    at = _end_record_at(tail)
    if at < 0:
        raise DocumentError(Code.CORRUPT_FILE, "not a readable archive: it has no directory")
    record = _END_RECORD.unpack_from(tail, at)
    entries, directory_bytes = record[4], record[5]
    # zip64 is for more than 65,535 members or 4 GB, either of them past every limit here.
    is_zip64 = tail[max(0, at - _ZIP64_LOCATOR_BYTES) : at].startswith(_ZIP64_LOCATOR)
    if is_zip64 or entries > MAX_ENTRIES or directory_bytes > MAX_DIRECTORY_BYTES:
        raise DocumentError(Code.ZIP_BOMB, f"the archive lists more than {MAX_ENTRIES:,} members")


def _end_record_at(tail: bytes) -> int:
    # The same search as zipfile's, so that both look at the same directory.
    at = len(tail) - _END_RECORD.size
    if at >= 0 and tail.startswith(_END_MAGIC, at) and tail.endswith(b"\x00\x00"):
        return at
    at = tail.rfind(_END_MAGIC)
    return at if at + _END_RECORD.size <= len(tail) else -1


def _check_members(container: zipfile.ZipFile) -> None:
    members = container.infolist()
    declared_bytes = _declared_bytes(members)
    for member in members:
        _refuse_method(member)
        with container.open(member) as file:
            start = file.read(READ_BYTES)
            if start.startswith(_ZIP_MAGIC):
                declared_bytes += _nested_bytes(member, start + file.read(MAX_NESTED_BYTES))
            elif member.filename.lower().endswith(_XML_NAMES) or start.lstrip().startswith(_XML_STARTS):
                _refuse_doctype(member.filename, start, file)
            # zipfile stops at the declared size and then compares the checksum: a false size is found here.
            while file.read(READ_BYTES):
                pass
    if declared_bytes > MAX_UNPACKED_BYTES:
        raise DocumentError(Code.ZIP_BOMB, _too_much(declared_bytes))


def _refuse_method(member: zipfile.ZipInfo) -> None:
    """OPC knows two methods (ECMA-376 part 2, C.1); an LZMA member may ask for a dictionary of 4 GB."""
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise DocumentError(Code.CORRUPT_FILE, f"{member.filename} is packed by a method that OOXML forbids")


def _declared_bytes(members: list[zipfile.ZipInfo]) -> int:
    """The unpacked size of all members, after refusing too many, too large or too well packed ones."""
    if len(members) > MAX_ENTRIES:
        raise DocumentError(Code.ZIP_BOMB, f"the archive lists more than {MAX_ENTRIES:,} members")
    total_bytes = sum(member.file_size for member in members)
    if total_bytes > MAX_UNPACKED_BYTES:
        raise DocumentError(Code.ZIP_BOMB, _too_much(total_bytes))
    for member in members:
        is_large = member.file_size > RATIO_FROM_BYTES
        if is_large and member.file_size > MAX_RATIO * max(1, member.compress_size):
            ratio = member.file_size // max(1, member.compress_size)
            raise DocumentError(Code.ZIP_BOMB, f"{member.filename} unpacks to {ratio:,} times its size")
    return total_bytes


def _nested_bytes(member: zipfile.ZipInfo, content: bytes) -> int:
    """What an embedded archive would unpack to. No parser here opens it, but the next reader may."""
    if len(content) > MAX_NESTED_BYTES:
        raise DocumentError(Code.ZIP_BOMB, f"{member.filename} is an archive of {len(content):,} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as nested:
            members = nested.infolist()
            declared_bytes = _declared_bytes(members)
            for inner in members:
                _refuse_method(inner)
                with nested.open(inner) as file:
                    if file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC:
                        raise DocumentError(Code.ZIP_BOMB, f"{member.filename} holds archives of archives")
    except UNREADABLE:
        return 0  # damaged or encrypted: it is carried along unopened, like a picture
    return declared_bytes


def _refuse_doctype(name: str, start: bytes, file: IO[bytes]) -> None:
    """Read a part's prolog with expat, up to its first element, in whatever encoding it is."""
    parser = expat.ParserCreate()
    seen: list[str] = []
    parser.StartDoctypeDeclHandler = lambda *_: seen.append("doctype")
    parser.StartElementHandler = lambda *_: seen.append("element")
    block = start
    try:
        while block and not seen:
            parser.Parse(block, False)
            block = file.read(READ_BYTES)
    except expat.ExpatError as exc:
        if not seen:
            raise DocumentError(Code.CORRUPT_FILE, f"{name} is not XML: {exc}") from exc
    if seen and seen[0] == "doctype":
        raise DocumentError(Code.CORRUPT_FILE, f"{name} has a document type declaration, which OOXML forbids")


def _too_much(size_bytes: int) -> str:
    return f"unpacks to {size_bytes:,} bytes, more than {MAX_UNPACKED_BYTES:,}"
