"""The service's part of the benchmark: documents against pypdf alone, and the API against a constant."""

from collections.abc import Sequence

from queues.bench.contenders import Contender
from queues.bench.extension import Extension
from queues.bench.scenario import Scenario
from queues.bench.scenarios.loading import Loading, PeakMemory
from queues.bench.targets import Target

DOCUMENTS, PEAK, API = "documents of a folder", "peak memory of a document", "POST /api/v1/tasks"


def _contender(name: str, program: str, scenario: str, **settings: str) -> Contender:
    is_ours = "BENCH_BACKEND" in settings
    return Contender(name, f"app.bench.{program}", settings=settings, is_ours=is_ours, only=frozenset({scenario}))


# Two are what `make run` starts; one shows what the service itself costs. Each document is parsed in a process apart,
# cut into chunks and stored; the loop keeps one core busy with the text alone.
PROCESS, PROCESS_ALONE = (
    _contender(
        f"process_document, {word}", "document_tasks", DOCUMENTS, BENCH_BACKEND="celery", BENCH_PROCESSES=processes
    )
    for word, processes in (("two processes", "2"), ("one process", "1"))
)
PYPDF = _contender("a pypdf loop, text alone", "pypdf_loop", DOCUMENTS)
SHORT, LONG = (
    _contender(
        f"a PDF of {pages:,} pages",
        "document_tasks",
        PEAK,
        BENCH_BACKEND="celery",
        BENCH_PROCESSES="1",
        BENCH_PAGES=str(pages),
    )
    for pages in (50, 1_000)
)
SUBMIT = _contender(
    "a notification", "api_load", API, BENCH_PATH="/api/v1/tasks/send_notification", BENCH_BACKEND="celery"
)
CONSTANT = _contender("a constant", "api_load", API, BENCH_PATH="/api/v1/constant")


def _scenarios(part: float) -> Sequence[Scenario]:
    return (
        Loading(DOCUMENTS, max(8, round(24 * part))),
        PeakMemory(PEAK),
        Loading(API, max(100, round(600 * part))),
    )


SERVICE = Extension(
    (PROCESS, PROCESS_ALONE, PYPDF, SHORT, LONG, SUBMIT, CONSTANT),
    _scenarios,
    (
        Target(
            "process_document on a folder: against a pypdf loop", 0.95, ((DOCUMENTS, PROCESS),), ((DOCUMENTS, PYPDF),)
        ),
        Target("peak memory, 1,000 pages against 50", 1.1, ((PEAK, LONG),), ((PEAK, SHORT),), is_at_most=True),
        Target("POST /api/v1/tasks: against the same app, a constant", 0.6, ((API, SUBMIT),), ((API, CONSTANT),)),
    ),
)
