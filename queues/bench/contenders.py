"""Who is compared: a task system in one configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Contender:
    """A task system in one configuration.

    Args:
        name: what reports call it.
        program: of `programs/`, that runs it.
        broker: `redis` or `rabbitmq`.
        settings: environment variables that the program reads.
        requirements: what is installed into an environment of its own; empty when this one has it.
        is_ours: whether it is idempotent by this library.
    """

    name: str
    program: str
    broker: str = "redis"
    settings: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    requirements: tuple[str, ...] = ()
    is_ours: bool = False


def _ours(name: str, backend: str, **settings: str) -> Contender:
    return Contender(name, "onceq_tasks", settings={"BENCH_BACKEND": backend, **settings}, is_ours=True)


CELERY = Contender("celery", "celery_bare", settings={"BENCH_RESULTS": "1"})
CELERY_NO_RESULTS = Contender("celery, no results", "celery_bare")
CELERY_THREADS = Contender("celery threads, no results", "celery_bare", settings={"BENCH_POOL": "threads"})
DRAMATIQ = Contender("dramatiq", "dramatiq_bare")
ONCEQ_CELERY = _ours("onceq on celery", "celery")
ONCEQ_CELERY_THREADS = _ours("onceq on celery threads", "celery", BENCH_POOL="threads")
ONCEQ_DRAMATIQ = _ours("onceq on dramatiq", "dramatiq")
REDIS = Contender("redis-py", "redis_loop")

CONTENDERS = (
    CELERY,
    CELERY_NO_RESULTS,
    CELERY_THREADS,
    DRAMATIQ,
    ONCEQ_CELERY,
    ONCEQ_CELERY_THREADS,
    ONCEQ_DRAMATIQ,
    REDIS,
)
