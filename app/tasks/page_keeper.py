"""What a crawl finds, kept: each page a source of its own, written only when its text has changed."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.extract.chunker import Chunk, cut
from app.extract.section import Section
from app.fetch.crawl import Skipped
from app.fetch.page import Page
from app.stores.chunks import NewChunk
from app.stores.errors import SourceRemovedError, StaleTokenError
from app.stores.source import Outcome, SourceStatus
from app.stores.stores import Stores
from app.tasks.chunk_writer import ChunkWriter, remove_older
from app.tasks.errors import PageRefusedError
from app.tasks.source_run import SourceRun

# A result is stored and shown; a crawl of hundreds of dead links need not list each.
MAX_SKIPPED_SHOWN = 100


@dataclass(slots=True)
class Seen:
    """What a crawl has come upon."""

    pages_seen: int = 0
    pages_changed: int = 0
    pages_unchanged: int = 0
    chunks_created: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    """`url` and `code` of the first hundred that were not kept."""

    def skip(self, url: str, code: str) -> None:
        """Note a page that was not kept."""
        if len(self.skipped) < MAX_SKIPPED_SHOWN:
            self.skipped.append({"url": url, "code": code})


class PageKeeper:
    """Takes the items of one crawl in their order; the first is the start page, whose source is the run's.

    Args of the constructor: the stores, and the run over the start page's source.
    """

    def __init__(self, stores: Stores, run: SourceRun) -> None:
        self._stores = stores
        self._run = run
        self._is_first = True
        self.seen = Seen()
        self.refused: PageRefusedError | None = None
        """Why the start page was not kept; None when it was."""

    async def take(self, item: Page | Skipped) -> None:
        """Keep one page, or note why not.

        Raises:
            StaleTokenError, SourceRemovedError: the start page's source is no longer this run's.
        """
        is_first, self._is_first = self._is_first, False
        if isinstance(item, Page):
            self.seen.pages_seen += 1
            refusal = await self._keep(item, is_first=is_first)
        else:
            refusal = PageRefusedError(item.code, item.message)
        if refusal is None:
            return
        self.seen.skip(item.url, refusal.code)
        if is_first:
            self.refused = refusal

    async def _keep(self, page: Page, *, is_first: bool) -> PageRefusedError | None:
        if not page.sections:
            return PageRefusedError("no_text", "The page has no text of its own.")
        if is_first:
            await self._write(self._run, page)
            return None
        owner = self._run.source
        source = await self._stores.sources.add_website(owner.tenant, owner.chatbot_id, page.canonical_url)
        try:
            async with self._run.over(source) as run:
                await self._write(run, page)
        except (StaleTokenError, SourceRemovedError) as exc:
            # Another crawl is at this page, or its owner took it out just now: the rest of ours goes on.
            return PageRefusedError(exc.code, str(exc))
        return None

    async def _write(self, run: SourceRun, page: Page) -> None:
        source, runs = run.source, self._stores.source_runs
        if source.active_token and source.content_hash == page.content_hash:
            self.seen.pages_unchanged += 1
            if source.status is not SourceStatus.READY:
                await runs.keep(source.id, run.token)
            return
        await run.begin()
        writer = ChunkWriter(self._stores.chunks, run)
        for chunk in await asyncio.to_thread(lambda: list(chunks_of(page))):
            await writer.add(chunk)
        await writer.flush()
        outcome = Outcome(
            chunks_created=writer.chunks,
            characters=writer.characters,
            pages=1,
            content_hash=page.content_hash,
            name=page.title or None,
            canonical_url=page.canonical_url,
            language=page.language,
        )
        await runs.activate(source.id, run.token, outcome)
        await remove_older(self._stores.chunks, source.id, run.token)
        self.seen.pages_changed += 1
        self.seen.chunks_created += writer.chunks


def chunks_of(page: Page) -> Iterator[NewChunk]:
    """The page's text in chunks, each with the heading that it stands under as its place."""
    sections = (
        Section(f"{section.heading}\n{section.text}".strip(), section.heading or page.title or "page")
        for section in page.sections
    )
    for item in cut(sections):
        if isinstance(item, Chunk):
            yield NewChunk(item.position, item.text, item.place)
