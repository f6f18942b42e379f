"""The demo's command line: both backends in turn, a table, and one line that says whether each ran once."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.demo.client import AT_ONCE, Client, Entry
from app.demo.samples import write_samples
from app.demo.service import Service, ServiceError
from app.demo.site import Site

BACKENDS = ("celery", "dramatiq")
SETTLE_S = 1.0
"""Time for a second run that nobody waits for to show itself, before the service is stopped."""
PLAIN_COLUMNS = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 when each document ran exactly once; 1 when a run is missing or double; 2 for a folder that
        has no documents, or cannot be read.
    """
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else PLAIN_COLUMNS)
    with tempfile.TemporaryDirectory(prefix="onceq-demo-") as name:
        place = Path(name)
        try:
            paths = _documents(options.folder, place)
        except OSError as exc:
            console.print(f"{options.folder} cannot be read: {exc.strerror}", markup=False, highlight=False)
            return 2
        if not paths:
            console.print(f"no files in {options.folder}", markup=False)
            return 2
        entries: list[Entry] = []
        for backend in BACKENDS:
            try:
                found = asyncio.run(_run(backend, paths, place, console))
            except ServiceError as exc:
                console.print(str(exc), markup=False, highlight=False)
                return 1
            console.print(_table(backend, found))
            entries += found
    return _judge(entries)


def _documents(folder: Path | None, place: Path) -> list[Path]:
    if folder is not None:
        return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    samples = place / "samples"
    samples.mkdir()
    return write_samples(samples)


async def _run(backend: str, paths: Sequence[Path], place: Path, console: Console) -> list[Entry]:
    console.print(f"{backend}: starting on empty data", highlight=False)
    entries: list[Entry] = []
    with Site() as site:
        service = Service(backend, place / backend, f"127.0.0.1:{site.port}")
        with service:
            client = Client(service.url, service.key)
            try:
                for path in paths:
                    console.print(f"{backend}: {path.name}, {AT_ONCE} times at once", markup=False, highlight=False)
                    entries.append(await client.submit_document(path))
                console.print(f"{backend}: {site.url}, {AT_ONCE} times at once", markup=False, highlight=False)
                page = await client.submit_page(site.url)
                entries.append(page)
                await asyncio.sleep(SETTLE_S)
            finally:
                await client.close()
        runs = service.runs()
        for entry in entries:
            entry.runs = sum(runs[task_id] for task_id in entry.ids)
        # A run of the page is also a fetch of it: counted by the one who served it.
        page.runs = max(page.runs, site.fetches)
    return entries


def _table(backend: str, entries: Sequence[Entry]) -> Table:
    table = Table(title=f"on {backend}", title_justify="left")
    for heading in ("document", "chunks", "runs", "decisions", "first ms", "again ms"):
        table.add_column(heading, justify="left" if heading in {"document", "decisions"} else "right")
    for entry in entries:
        name = f"{entry.name} ({entry.error})" if entry.error else entry.name
        table.add_row(
            name,
            "-" if entry.chunks is None else str(entry.stored),
            str(entry.runs),
            ", ".join(entry.decisions) or "refused",
            f"{entry.first_ms:.0f}",
            "-" if entry.again_ms is None else f"{entry.again_ms:.0f}",
        )
    return table


def _judge(entries: Sequence[Entry]) -> int:
    accepted = [entry for entry in entries if not entry.is_refused]
    runs = sum(entry.runs for entry in accepted)
    lost = sum(entry.is_lost for entry in accepted)
    repeated = sum(entry.repeated for entry in accepted)
    anew = sum(entry.expected_runs - 1 for entry in accepted)
    if anew:
        sys.stdout.write(f"{anew} runs were of documents that had failed and were submitted again after that\n")
    sys.stdout.write(f"demo: {len(accepted)} documents, {runs} runs, {lost} lost, {repeated} repeated\n")
    sys.stdout.flush()
    return 0 if accepted and lost == 0 and repeated == 0 else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.demo",
        description="Submit each document three times at once and once more, on Celery and on Dramatiq, from empty "
        "data on servers of its own, and count the runs.",
    )
    parser.add_argument("folder", nargs="?", type=Path, help="its files are submitted; by default samples are made")
    return parser


if __name__ == "__main__":
    sys.exit(main())
