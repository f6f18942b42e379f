"""From a URL to chunks in the store: one page, or a crawl."""

from dataclasses import asdict

from app.fetch.crawl import CrawlLimits, crawl
from app.fetch.errors import FetchError, HttpStatusError
from app.stores.errors import SourceRemovedError
from app.stores.source import DEFAULT_TENANT, Source, SourceStatus
from app.tasks.arguments import checked_line, checked_number, checked_text
from app.tasks.errors import PageRefusedError, TaskInputError
from app.tasks.page_keeper import PageKeeper, Seen
from app.tasks.services import Services
from app.tasks.source_run import SourceRun
from app.tasks.streams import closed_after
from queues import Backoff, Retry, Tasks, current
from queues.task import AnyTask

MAX_RETRIES = 3
MAX_PAGES = 500
MAX_DEPTH = 10
MAX_URL_CHARS = 4096
FINAL = (TaskInputError, PageRefusedError, SourceRemovedError)


def declare(tasks: Tasks, services: Services) -> AnyTask:
    """The task `scrape_website`, working with these services."""

    @tasks.task(queue="websites", max_retries=MAX_RETRIES, backoff=Backoff(60), give_up_on=FINAL)
    async def scrape_website(
        url: str, chatbot_id: str, max_pages: int = 1, max_depth: int = 0, tenant: str = DEFAULT_TENANT
    ) -> dict[str, object]:
        """How many pages were seen, changed and unchanged, the chunks made of them, and what was skipped.

        Each page is a source of its own, by its canonical URL; the first page is the source of `url`. A page
        whose text is what was read last time writes nothing.

        Args:
            url: http or https.
            chatbot_id: the chatbot that the pages are for.
            max_pages: 1 to 500.
            max_depth: links followed in a row, 0 to 10; 0 reads the one page.
            tenant: the owner.

        Raises:
            TaskInputError: an argument cannot be used; nothing is fetched.
            PageRefusedError: the page at `url` cannot be had, or has nothing to keep; its source is failed.
            FetchError, Retry: it cannot be had now; another attempt is made, when the site says, if it did.
            SourceRemovedError: the owner removed the source.
        """
        limits = CrawlLimits(
            max_pages=checked_number("max_pages", max_pages, 1, MAX_PAGES),
            max_depth=checked_number("max_depth", max_depth, 0, MAX_DEPTH),
        )
        start = await _start(services, tenant, chatbot_id, url)
        runs, is_last = services.stores.source_runs, current.attempt > MAX_RETRIES
        async with SourceRun(runs, start, current.token, final=FINAL, is_last=is_last) as run:
            if start.status is not SourceStatus.READY:
                await run.begin()
            try:
                seen = await _crawl(services, run, limits)
            except FetchError as exc:
                verdict = _verdict(exc, is_last=is_last)
                if verdict is exc:
                    raise
                raise verdict from exc
        return {"status": "success", **asdict(seen)}

    return scrape_website


async def _start(services: Services, tenant: str, chatbot_id: str, url: str) -> Source:
    checked_line("tenant", tenant)
    checked_line("chatbot_id", chatbot_id)
    try:
        return await services.stores.sources.add_website(tenant, chatbot_id, checked_text("url", url, MAX_URL_CHARS))
    except FetchError as exc:
        raise TaskInputError("url", exc.message) from exc


async def _crawl(services: Services, run: SourceRun, limits: CrawlLimits) -> Seen:
    """Read page after page and keep what is new. A refused start page is told after the others are kept."""
    keeper = PageKeeper(services.stores, run)
    async with (
        services.fetch_client() as client,
        closed_after(crawl(run.source.url or "", client, limits)) as found,
    ):
        async for item in found:
            current.check()
            await keeper.take(item)
            current.progress(keeper.seen.pages_seen, limits.max_pages, item.url)
    if keeper.refused is not None:
        raise keeper.refused
    return keeper.seen


def _verdict(error: FetchError, *, is_last: bool) -> Exception:
    """What the task raises for a start page that was not had: final, or how long to wait, or as it is."""
    if not error.is_retryable:
        return PageRefusedError(error.code, error.message)
    retry_after_s = error.retry_after_s if isinstance(error, HttpStatusError) else None
    if retry_after_s is not None and not is_last:
        return Retry(str(error), delay=retry_after_s)
    return error
