"""What goes wrong in the parser's process fails the document, and nothing else."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from app.extract import Chunk, Code, DocumentError, Kind, Limits, read_chunks
from app.extract.process import Child
from tests.integration.extract.conftest import child_pids, is_parser, wait_until


async def chunks(path, kind, limits=None):
    return [item async for item in read_chunks(path, kind, limits or Limits()) if isinstance(item, Chunk)]


def failure_of(path, kind, limits=None):
    with pytest.raises(DocumentError) as failure:
        asyncio.run(chunks(path, kind, limits))
    return failure.value


def test_a_document_that_takes_too_long_is_given_up(slow_html):
    start = time.monotonic()

    error = failure_of(slow_html, Kind.HTML, Limits(wall_s=0.8))

    assert error.code is Code.TOO_SLOW
    assert time.monotonic() - start < 30
    assert wait_until(lambda: not child_pids())


def test_a_document_that_takes_too_much_cpu_is_given_up(slow_html):
    error = failure_of(slow_html, Kind.HTML, Limits(cpu_s=1))

    assert error.code is Code.TOO_SLOW
    assert "CPU" in error.detail


def test_the_cpu_of_earlier_documents_does_not_count(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("word " * 500_000)
    limits = Limits(cpu_s=2)

    async def several():
        return [len(await chunks(path, Kind.TXT, limits)) for _ in range(5)]

    counts = asyncio.run(several())

    assert len(set(counts)) == 1


def test_a_document_that_takes_too_much_memory_is_given_up(slow_html):
    error = failure_of(slow_html, Kind.HTML, Limits(max_memory_bytes=170 << 20))

    assert error.code is Code.TOO_MUCH_MEMORY
    assert wait_until(lambda: not child_pids())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (signal.SIGSEGV, Code.PARSER_DIED),
        (signal.SIGABRT, Code.PARSER_DIED),
        (signal.SIGKILL, Code.TOO_MUCH_MEMORY),
    ],
)
def test_a_parser_that_dies_in_the_middle_fails_its_document_alone(long_pdf, sent, code):
    path = long_pdf(1000)

    async def killed_at_page_two():
        seen = 0
        async for _ in read_chunks(path, Kind.PDF, Limits()):
            seen += 1
            if seen == 3:
                os.kill(child_pids().pop(), sent)

    with pytest.raises(DocumentError) as failure:
        asyncio.run(killed_at_page_two())
    after = asyncio.run(chunks(long_pdf(2), Kind.PDF))

    assert failure.value.code is code
    assert len(after) == 2


def test_a_child_that_died_idle_is_replaced(long_pdf):
    path = long_pdf(2)
    asyncio.run(chunks(path, Kind.PDF))
    (pid,) = child_pids()
    os.kill(pid, signal.SIGKILL)

    found = asyncio.run(chunks(path, Kind.PDF))

    assert len(found) == 2


def test_cancelling_the_task_ends_the_parser_at_once(slow_html):
    async def cancelled():
        reading = asyncio.create_task(chunks(slow_html, Kind.HTML))
        while not child_pids():  # noqa: ASYNC110 - a process to come, no event tells of it
            await asyncio.sleep(0.01)
        (pid,) = child_pids()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        return pid

    pid = asyncio.run(cancelled())

    assert wait_until(lambda: not is_parser(pid), within_s=20)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_of_the_whole_service_lets_the_document_finish(long_pdf, sent):
    async def interrupted():
        count = 0
        async for item in read_chunks(long_pdf(1000), Kind.PDF, Limits()):
            count += isinstance(item, Chunk)
            if count == 1:
                os.kill(child_pids().pop(), sent)
        return count

    assert asyncio.run(interrupted()) == 1000


PARENT = """
import asyncio, sys, time
from pathlib import Path
from app.extract import Kind, Limits, read_chunks
from tests.integration.extract.conftest import child_pids

async def main():
    reading = read_chunks(Path(sys.argv[1]), Kind(sys.argv[2]), Limits())
    if sys.argv[3] == "busy":
        first = asyncio.ensure_future(anext(reading))
        while not child_pids():
            await asyncio.sleep(0.01)
    else:
        async for _ in reading:
            pass
    print(*child_pids(), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_a_child_ends_when_its_parent_is_killed(slow_html, long_pdf, state):
    document = [slow_html, "html"] if state == "busy" else [long_pdf(2), "pdf"]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *map(str, document), state],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.getcwd()},  # noqa: PTH109
    ) as parent:
        pid = int(parent.stdout.readline())
        was_running = is_parser(pid)
        parent.kill()

    assert was_running
    assert wait_until(lambda: not is_parser(pid), within_s=20)


def test_a_parent_that_ends_by_itself_leaves_no_child_and_no_warning(long_pdf):
    script = PARENT.replace("    await asyncio.sleep(60)\n", "")

    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script, str(long_pdf(2)), "pdf", "idle"],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.getcwd()},  # noqa: PTH109
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert wait_until(lambda: not is_parser(int(ended.stdout)), within_s=20)


def test_a_busy_child_ends_when_its_input_is_closed(slow_html):
    child = Child()
    child.request(slow_html, Kind.HTML, Limits())
    pid = child.pid
    assert wait_until(lambda: is_parser(pid))

    child._requests.close()

    assert wait_until(lambda: not is_parser(pid), within_s=20)
