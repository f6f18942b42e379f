"""From an uploaded file to chunks in the store."""

import asyncio
from pathlib import Path

from app.extract.chunker import Chunk
from app.extract.errors import ExtractError
from app.extract.kind import HEAD_BYTES, Kind, detect
from app.extract.reader import read_chunks
from app.extract.section import Progress
from app.stores.chunks import NewChunk
from app.stores.clock import utc_now
from app.stores.errors import SourceRemovedError, UploadPathError
from app.stores.source import DEFAULT_TENANT, Outcome, Source, SourceKind
from app.tasks.arguments import checked_line
from app.tasks.chunk_writer import ChunkWriter, remove_older
from app.tasks.errors import DocumentMissingError, TaskInputError
from app.tasks.services import Services
from app.tasks.source_run import SourceRun
from app.tasks.streams import closed_after
from queues import Backoff, Once, Tasks, current
from queues.task import AnyTask

MAX_RETRIES = 3
FINAL = (ExtractError, UploadPathError, TaskInputError, DocumentMissingError, SourceRemovedError)

ONCE = Once(cache_failures=(ExtractError,))
"""The same bytes are no more readable in the next submission."""


def declare(tasks: Tasks, services: Services) -> AnyTask:
    """The task `process_document`, working with these services."""

    @tasks.task(queue="documents", max_retries=MAX_RETRIES, backoff=Backoff(60), give_up_on=FINAL, once=ONCE)
    async def process_document(document_id: str, path: str, chatbot_id: str) -> dict[str, object]:
        """The counts of what was read from an uploaded file: `chunks_created`, `pages`, `characters`.

        Readers see the new chunks all at once, when the last one is written. Run again, it replaces them.

        Args:
            document_id: the source that the API made for the upload; made here, for the tenant `default`,
                when there is none.
            path: the file, relative to the uploads folder.
            chatbot_id: the chatbot that the document is for.

        Raises:
            ExtractError: the file cannot be read, now or later; the source is marked failed with the code.
            UploadPathError: the path is not that of a file of this document; nothing is written.
            DocumentMissingError: the file is gone.
            TaskInputError: an argument cannot be used, or the document is another chatbot's.
            SourceRemovedError: the owner removed the source.
        """
        source = await _admit(services, document_id, path, chatbot_id)
        runs, is_last = services.stores.source_runs, current.attempt > MAX_RETRIES
        async with SourceRun(runs, source, current.token, final=FINAL, is_last=is_last) as run:
            await run.begin()
            outcome = await _read(services, run, path)
            await runs.activate(document_id, run.token, outcome)
        await remove_older(services.stores.chunks, document_id, run.token)
        return {
            "status": "success",
            "document_id": document_id,
            "chunks_created": outcome.chunks_created,
            "pages": outcome.pages,
            "characters": outcome.characters,
        }

    return process_document


async def _admit(services: Services, document_id: str, path: str, chatbot_id: str) -> Source:
    """The source of the document, made when there is none. What is hostile is refused before that."""
    checked_line("document_id", document_id)
    checked_line("chatbot_id", chatbot_id)
    place = services.uploads.relative(checked_line("path", path, 1024))
    sources = services.stores.sources
    source = await sources.find(document_id)
    if source is None:
        if await sources.find_by_path(place) is not None:
            raise UploadPathError(path, "it is the file of another document")
        now = utc_now()
        source = await sources.ensure(
            Source(
                id=document_id,
                tenant=DEFAULT_TENANT,
                chatbot_id=chatbot_id,
                kind=SourceKind.DOCUMENT,
                name=Path(place).name,
                path=place,
                created_at=now,
                updated_at=now,
            )
        )
    if source.kind is not SourceKind.DOCUMENT or source.path is None:
        raise TaskInputError("document_id", "it names a website")
    if source.chatbot_id != chatbot_id:
        raise TaskInputError("chatbot_id", "the document is not this chatbot's")
    if services.uploads.relative(source.path) != place:
        raise UploadPathError(path, "it is not the file of this document")
    return source


async def _read(services: Services, run: SourceRun, path: str) -> Outcome:
    """Write the file's chunks under the run's token, a batch at a time; what they amount to."""
    file, kind = await asyncio.to_thread(_look, services, path)
    writer = ChunkWriter(services.stores.chunks, run)
    pages = 1
    async with closed_after(read_chunks(file, kind, services.limits)) as items:
        async for item in items:
            match item:
                case Progress(done, total):
                    current.progress(done, total, f"reading {kind.value}")
                    current.check()
                    # Other kinds count rows or lines, which are no pages.
                    pages = max(pages, done) if kind is Kind.PDF else 1
                case Chunk(position, text, place):
                    await writer.add(NewChunk(position, text, place))
    await writer.flush()
    return Outcome(chunks_created=writer.chunks, characters=writer.characters, pages=pages)


def _look(services: Services, path: str) -> tuple[Path, Kind]:
    try:
        file = services.uploads.resolve(path)
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    except FileNotFoundError as exc:
        raise DocumentMissingError(path) from exc
    return file, detect(file.name, head)
