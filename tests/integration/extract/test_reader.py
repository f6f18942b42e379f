"""Documents through the parser's process: same chunks, one warm child, bounded memory."""

import asyncio
import contextlib
import threading
from pathlib import Path

import billiard
import pytest

from app.extract import (
    Chunk,
    Code,
    DocumentError,
    EmptyFileError,
    Kind,
    Limits,
    Progress,
    read_chunks,
    reader,
)
from app.extract.parse import parse
from tests.integration.extract.conftest import child_pids, is_parser, wait_until
from tests.unit.extract.documents import real_documents


async def everything(path, kind, limits=None):
    return [item async for item in read_chunks(path, kind, limits or Limits())]


def read(path, kind, limits=None):
    return asyncio.run(everything(path, kind, limits))


def chunks_of(items):
    return [item for item in items if isinstance(item, Chunk)]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo 😀")
    return path


def test_a_child_gives_what_the_parser_gives():
    path = real_documents() / "pdf" / "GeoBase_NHNC1_Data_Model_UML_EN.pdf"

    items, parsed = read(path, Kind.PDF), list(parse(path, Kind.PDF, Limits()))

    assert chunks_of(items) == chunks_of(parsed)
    # How far it has come is told now and then: not after each page.
    assert [item for item in parsed if item in items] == items
    assert items[-1] == Progress(19, 19)


def test_one_child_serves_document_after_document_and_loop_after_loop(text):
    pids = []
    for _ in range(3):
        read(text, Kind.TXT)
        pids.append(child_pids())

    assert len(pids[0]) == 1
    assert pids[0] == pids[1] == pids[2]


def test_other_limits_get_another_child(text):
    read(text, Kind.TXT)
    before = child_pids()

    read(text, Kind.TXT, Limits(max_memory_bytes=2 << 30))

    assert wait_until(lambda: len(child_pids()) == 1)
    assert child_pids() != before


def test_a_failed_document_gets_its_successor_a_new_child(text, tmp_path):
    read(text, Kind.TXT)
    before = child_pids()
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4 nothing")

    with pytest.raises(DocumentError) as failure:
        read(tmp_path / "bad.pdf", Kind.PDF)

    assert failure.value.code is Code.CORRUPT_FILE
    assert read(text, Kind.TXT)[0] == Chunk(0, "one\ntwo 😀", "line 1")
    assert not before & child_pids()


def test_concurrent_documents_get_their_own_child_up_to_four(long_pdf):
    path = long_pdf(60)
    most = 0

    async def one():
        nonlocal most
        async for _ in read_chunks(path, Kind.PDF, Limits()):
            most = max(most, len(child_pids()))
        return True

    async def six():
        return await asyncio.gather(*(one() for _ in range(6)))

    done = asyncio.run(six())

    assert done == [True] * 6
    assert 2 <= most <= 4
    assert wait_until(lambda: len(child_pids()) == 1)


def test_a_child_is_replaced_after_its_share_of_documents(text, monkeypatch):
    monkeypatch.setattr(reader, "MAX_SERVED", 2)
    pids = set()
    for _ in range(4):
        read(text, Kind.TXT)
        pids |= child_pids()

    assert len(pids) == 2
    assert wait_until(lambda: not child_pids())


def test_a_missing_file_may_be_retried_and_costs_no_child(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "gone.pdf", Kind.PDF)

    assert not child_pids()


def test_a_folder_is_an_operating_system_error(tmp_path):
    with pytest.raises(IsADirectoryError):
        read(tmp_path, Kind.TXT)


def test_an_empty_file_and_one_too_large_are_refused_before_a_child_starts(tmp_path, text):
    empty = tmp_path / "empty.txt"
    empty.touch()

    with pytest.raises(EmptyFileError):
        read(empty, Kind.TXT)
    with pytest.raises(DocumentError) as failure:
        read(text, Kind.TXT, Limits(max_file_bytes=3))

    assert failure.value.code is Code.TOO_LARGE
    assert not child_pids()


def test_the_child_is_told_no_secret(text, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("MONGO_URL", "mongodb://user:secret@host")

    read(text, Kind.TXT)

    environment = Path(f"/proc/{child_pids().pop()}/environ").read_bytes()
    assert b"secret" not in environment
    assert b"OPENBLAS_NUM_THREADS=1" in environment


def test_a_consumer_that_waits_makes_the_parser_wait(long_pdf):
    async def scenario():
        items = read_chunks(long_pdf(1500, bulk_bytes=0, words=50), Kind.PDF, Limits())
        first = await anext(items)
        pid = child_pids().pop()
        asleep = await asyncio.to_thread(wait_until, lambda: _state(pid) == "S" and _is_blocked_on_pipe(pid))
        rest = [item async for item in items]
        return first, asleep, rest

    first, asleep, rest = asyncio.run(scenario())

    assert first == Chunk(0, "page text 0" + " word" * 50, "page 1")
    assert asleep
    assert rest[-1] == Progress(1500, 1500)


def _state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def _is_blocked_on_pipe(pid):
    return "pipe" in Path(f"/proc/{pid}/wchan").read_text()


def test_memory_is_flat_for_1500_pages(long_pdf):
    peaks = []
    for pages in (100, 1500):
        assert read(long_pdf(pages), Kind.PDF)[-1] == Progress(pages, pages)
        peaks.append(_peak_mb(child_pids().pop()))

    # All pages together unpack to 15 MB, and pypdf would keep them twice.
    assert peaks[1] - peaks[0] < 10


def _peak_mb(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def test_a_thread_with_its_own_loop_reads_and_takes_its_child_along(text):
    out = []

    def work():
        out.extend(read(text, Kind.TXT))
        out.append(child_pids())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    *items, pids = out
    assert items[0].text == "one\ntwo 😀"
    assert wait_until(lambda: not any(map(is_parser, pids)))


def _in_worker(path, answers):
    answers.put([item.text for item in read(path, Kind.TXT) if isinstance(item, Chunk)])


def test_a_daemon_process_of_celerys_pool_reads(text):
    read(text, Kind.TXT)  # so that the fork inherits a warm child which is not its own
    before = child_pids()
    context = billiard.get_context("fork")
    answers = context.SimpleQueue()
    worker = context.Process(target=_in_worker, args=(text, answers), daemon=True)
    worker.start()

    texts = answers.get()
    worker.join(60)

    assert texts == ["one\ntwo 😀"]
    assert child_pids() == before
    assert read(text, Kind.TXT)[0].text == "one\ntwo 😀"


def test_closing_the_iterator_early_ends_the_parser(long_pdf):
    async def first_only():
        async with contextlib.aclosing(read_chunks(long_pdf(500), Kind.PDF, Limits())) as items:
            return await anext(items)

    first = asyncio.run(first_only())

    assert isinstance(first, Chunk)
    assert wait_until(lambda: not child_pids())
