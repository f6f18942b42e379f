"""Who is compared: a task system in one configuration, its best ordinary one for two cores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NOTHING: Mapping[str, str] = MappingProxyType({})
REDIS_ALONE = frozenset({"redis"})
BOTH = frozenset({"redis", "rabbitmq"})


@dataclass(frozen=True, slots=True)
class Contender:
    """A task system in one configuration.

    Args:
        name: what reports call it.
        program: of `programs/`, that runs it; or the dotted name of a module elsewhere.
        brokers: that it can use.
        settings: environment variables that the program reads.
        requirements: what is installed into an environment of its own; empty when this one has it.
        is_ours: whether it is idempotent by this library.
        only: the scenarios that it is made for; every one that suits it when empty.
    """

    name: str
    program: str
    brokers: frozenset[str] = REDIS_ALONE
    settings: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    requirements: tuple[str, ...] = ()
    is_ours: bool = False
    only: frozenset[str] = frozenset()

    @property
    def is_peer(self) -> bool:
        """Whether it needs an environment of its own."""
        return bool(self.requirements)

    @property
    def look(self) -> str:
        """Which colour pictures give it: the backend's where it is ours, else `other`."""
        return self.settings["BENCH_BACKEND"] if self.is_ours else "other"


def _ours(name: str, backend: str, only: tuple[str, ...] = (), **settings: str) -> Contender:
    brokers = REDIS_ALONE if backend == "memory" else BOTH
    chosen = {"BENCH_BACKEND": backend, **settings}
    return Contender(name, "onceq_tasks", brokers, chosen, is_ours=True, only=frozenset(only))


def _peer(name: str, program: str, *requirements: str, **settings: str) -> Contender:
    return Contender(name, program, settings=settings, requirements=requirements)


DECISION, RECOVERY, RECORD = "one decision", "recovery after kill -9", "memory of a record"
SIZES = (1_000, 100_000, 1_000_000)
LEASE_S = 3

CELERY = Contender("celery", "celery_bare", BOTH, {"BENCH_RESULTS": "1"})
CELERY_NO_RESULTS = Contender("celery, no results", "celery_bare", BOTH)
CELERY_THREADS = Contender("celery threads, no results", "celery_bare", BOTH, {"BENCH_POOL": "threads"})
DRAMATIQ = Contender("dramatiq", "dramatiq_bare", BOTH)
MEMORY = Contender("memory", "onceq_tasks", settings={"BENCH_BACKEND": "memory", "BENCH_ONCE": "none"})
ONCEQ_CELERY = _ours("onceq on celery", "celery")
ONCEQ_CELERY_THREADS = _ours("onceq on celery threads", "celery", BENCH_POOL="threads")
ONCEQ_DRAMATIQ = _ours("onceq on dramatiq", "dramatiq")
# Dramatiq's own eight threads are many for two cores when tasks take less than a millisecond.
ONCEQ_DRAMATIQ_SHORT = _ours(
    "onceq on dramatiq, 4 threads",
    "dramatiq",
    ("process no-op", "process INCR"),
    BENCH_THREADS="4",
    dramatiq_queue_prefetch="64",
)
ONCEQ_MEMORY = _ours("onceq in memory", "memory")
REDIS = Contender("redis-py", "redis_loop")

CELERY_ONCE = _peer("celery-once", "celery_once_tasks", "celery-once==3.0.1", "celery[redis]==5.7.0", "redis==8.1.0")
CELERY_SINGLETON = _peer(
    "celery-singleton", "celery_singleton_tasks", "celery-singleton==0.3.1", "celery[redis]==5.7.0", "redis==8.1.0"
)
HUEY = _peer("huey", "huey_tasks", "huey==3.5.4", "redis==8.1.0", "hiredis==3.5.0")
TASKIQ = _peer("taskiq", "taskiq_tasks", "taskiq==0.13.0", "taskiq-redis==1.2.4", "redis==8.1.0", "uvloop==0.23.0")
ARQ = _peer("arq", "arq_tasks", "arq==0.28.0", "redis==5.3.1", "hiredis==3.5.0", "uvloop==0.23.0")
RQ = _peer("rq", "rq_tasks", "rq==3.0.0", "redis==8.1.0", "hiredis==3.5.0")
SAQ = _peer(
    "saq", "saq_tasks", "saq==0.26.4", "redis==7.4.1", "hiredis==3.5.0", "uvloop==0.23.0", "typing_extensions==4.16.0"
)
PEERS = (CELERY_ONCE, CELERY_SINGLETON, HUEY, TASKIQ, ARQ, RQ, SAQ)

DECIDERS = tuple(
    _ours(f"onceq with {size:,} records", "celery", (DECISION,), BENCH_RECORDS=str(size)) for size in SIZES
)
RECORDER = _ours("onceq, a completed record", "dramatiq", (RECORD,))
RECOVERERS = tuple(
    _ours(f"onceq on {backend}, lease {LEASE_S} s", backend, (RECOVERY,), BENCH_LEASE_S=str(LEASE_S))
    for backend in ("celery", "dramatiq")
)

CONTENDERS = (
    CELERY,
    CELERY_NO_RESULTS,
    CELERY_THREADS,
    DRAMATIQ,
    MEMORY,
    ONCEQ_CELERY,
    ONCEQ_CELERY_THREADS,
    ONCEQ_DRAMATIQ,
    ONCEQ_DRAMATIQ_SHORT,
    ONCEQ_MEMORY,
    REDIS,
    *PEERS,
    *DECIDERS,
    RECORDER,
    *RECOVERERS,
)
