"""The policy of a task: how it is kept to one effect."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from queues.errors import InvalidOptionError

OnDuplicate = Literal["join", "skip", "reject", "replace", "keep_last", "debounce"]
LEAST_LEASE_S = 0.1
MAX_REPLICAS = 100
REPLACING = frozenset({"replace", "keep_last", "debounce"})
"""Policies under which newer arguments of the same key are no conflict."""


@dataclass(frozen=True)
class Once:
    """How a task is kept to one effect.

    Args:
        ttl: seconds for which the outcome answers repetitions.
        lease: seconds after which the work of a dead worker may be taken over; renewed while the task runs.
        lock_ttl: seconds for which the record of unfinished work outlives its last sign of life.
        on_duplicate: what a submission does while the same work is queued or running. `join` gets a handle to the
            first; `skip` an answer that says so; `reject` an AlreadyRunningError. The others are for work with a
            `key`: `replace` gives queued work the newer arguments, and joins running work; `keep_last` does so
            too, and follows a running one with one more run, of the newest arguments; `debounce` is `keep_last`
            whose work begins when no submission came for `quiet` seconds.
        quiet: seconds, for `debounce`.
        key: names of the arguments that make the key, or a function of the arguments that returns it; None
            takes all arguments.
        version: part of the key; change it when the task's meaning changes.
        cache_failures: whether a stored failure answers new submissions too; or the exceptions of which it does.
        max_lost: how many workers may die of the task before it is dead.
        lossy: a worker that finds the work running elsewhere answers "skipped" instead of waiting.
        fail_open: run unguarded when the store does not answer, instead of waiting for it.
        replicas: how many replicas of Redis must have the work before a submission returns, and its outcome before its
            message is acked; so that a failover forgets neither. A submission that they do not confirm within a second
            raises NotReplicatedError and may be repeated; a worker keeps an outcome, and takes no other message, until
            they do. Redis's WAIT is no consensus: a failover to a replica that was not among them still forgets.
        near_cache: seconds for which a process that was answered by the stored result of completed work answers `send`
            with it again without asking Redis. So long it may still answer after the result expired or was released.
            0 always asks. Not where newer arguments take the place of a result (`replace`, `keep_last`, `debounce`).

    Raises:
        InvalidOptionError: a number out of its range.
    """

    ttl: float = 3600.0
    lease: float = 30.0
    lock_ttl: float = 3600.0
    on_duplicate: OnDuplicate = "join"
    key: Callable[..., Any] | Sequence[str] | None = None
    version: str = "1"
    cache_failures: bool | tuple[type[BaseException], ...] = False
    max_lost: int = 3
    lossy: bool = False
    fail_open: bool = False
    replicas: int = 0
    quiet: float = 0.0
    near_cache: float = 0.0

    def __post_init__(self) -> None:
        _check("ttl", self.ttl, lambda s: s > 0, "seconds, above 0")
        _check("lease", self.lease, lambda s: s >= LEAST_LEASE_S, f"seconds, {LEAST_LEASE_S} or more")
        _check("lock_ttl", self.lock_ttl, lambda s: s >= self.lease, f"seconds, lease={self.lease!r} or more")
        _check("max_lost", self.max_lost, lambda count: count >= 0, "0 or more")
        whole = f"a whole number from 0 to {MAX_REPLICAS}"
        _check("replicas", self.replicas, lambda count: 0 <= count <= MAX_REPLICAS and count == int(count), whole)
        if self.on_duplicate not in get_args(OnDuplicate):
            msg = f"on_duplicate={self.on_duplicate!r}: one of {', '.join(get_args(OnDuplicate))}"
            raise InvalidOptionError(msg)
        _check("near_cache", self.near_cache, lambda s: 0 <= s <= self.ttl, f"seconds, from 0 to ttl={self.ttl!r}")
        _check("quiet", self.quiet, lambda s: s >= 0, "seconds, 0 or more")
        if self.near_cache and self.on_duplicate in REPLACING:
            # Other arguments take an outcome's place there, and the same ones again then ask for a run.
            msg = f"near_cache={self.near_cache!r}: not with on_duplicate={self.on_duplicate!r}"
            raise InvalidOptionError(msg)
        if (self.quiet > 0) != (self.on_duplicate == "debounce"):
            msg = f"quiet={self.quiet!r}: seconds above 0 with on_duplicate='debounce', and 0 with any other"
            raise InvalidOptionError(msg)

    def caches(self, error: BaseException) -> bool:
        """Whether this failure answers new submissions too."""
        if isinstance(self.cache_failures, bool):
            return self.cache_failures
        return isinstance(error, self.cache_failures)

    @cached_property
    def ttl_ms(self) -> int:
        """`ttl` in ms."""
        return round(self.ttl * 1000)

    @cached_property
    def lease_ms(self) -> int:
        """`lease` in ms."""
        return round(self.lease * 1000)

    @cached_property
    def quiet_ms(self) -> int:
        """`quiet` in ms."""
        return round(self.quiet * 1000)

    @cached_property
    def near_cache_ms(self) -> int:
        """`near_cache` in ms."""
        return round(self.near_cache * 1000)

    @cached_property
    def lock_ttl_ms(self) -> int:
        """`lock_ttl` in ms."""
        return round(self.lock_ttl * 1000)


def _check(name: str, value: object, fits: Callable[[float], bool], said: str) -> None:
    if not (isinstance(value, (int, float)) and not isinstance(value, bool) and fits(value)):
        msg = f"{name}={value!r}: {said}"
        raise InvalidOptionError(msg)
