"""The shim's part of the benchmark: the same Celery code on Celery's workers and on the shim's."""

from collections.abc import Sequence

from queues.bench.contenders import BOTH, CELERY, CELERY_NO_RESULTS, CELERY_THREADS, Contender
from queues.bench.extension import Extension
from queues.bench.scenario import Scenario
from queues.bench.scenarios.loading import Loading
from queues.bench.targets import NOOP, Target

CHAINS, CHORDS = "chains of 3", "chords of 100"
CANVASES = {CHAINS: "chain", CHORDS: "chord"}
RESULTS = {"BENCH_RESULTS": "1"}
THREADS = {"BENCH_POOL": "threads"}
ON_SHIM = {"BENCH_CELERY": "compat.celery"}


def _celery(name: str, settings: dict[str, str]) -> Contender:
    return Contender(name, "celery_bare", BOTH, settings)


def _canvases(name: str, settings: dict[str, str]) -> list[Contender]:
    return [
        Contender(
            f"{name}, {scenario}",
            "compat.bench.canvas",
            BOTH,
            {**RESULTS, **settings, "BENCH_CANVAS": canvas},
            only=frozenset({scenario}),
        )
        for scenario, canvas in CANVASES.items()
    ]


CELERY_THREADS_RESULTS = _celery("celery threads", {**THREADS, **RESULTS})
PREFORK = _celery("shim", {**ON_SHIM, **RESULTS})
PREFORK_NO_RESULTS = _celery("shim, no results", ON_SHIM)
POOLED = _celery("shim threads", {**ON_SHIM, **THREADS, **RESULTS})
POOLED_NO_RESULTS = _celery("shim threads, no results", {**ON_SHIM, **THREADS})


def _scenarios(part: float) -> Sequence[Scenario]:
    return Loading(CHAINS, max(20, round(200 * part))), Loading(CHORDS, max(2, round(10 * part)))


SHIM = Extension(
    (
        CELERY_THREADS_RESULTS,
        PREFORK,
        PREFORK_NO_RESULTS,
        POOLED,
        POOLED_NO_RESULTS,
        *_canvases("celery", {}),
        *_canvases("celery threads", THREADS),
        *_canvases("shim", ON_SHIM),
        *_canvases("shim threads", {**ON_SHIM, **THREADS}),
    ),
    _scenarios,
    (
        Target("shim: a no-op against Celery, with results", 2, ((NOOP, PREFORK),), ((NOOP, CELERY),)),
        Target(
            "shim: a no-op against Celery, no results", 2, ((NOOP, PREFORK_NO_RESULTS),), ((NOOP, CELERY_NO_RESULTS),)
        ),
        Target(
            "shim: a no-op against Celery, threads, no results",
            2,
            ((NOOP, POOLED_NO_RESULTS),),
            ((NOOP, CELERY_THREADS),),
        ),
    ),
)
