"""The pool of `-P prefork`: hands each request to a child that is idle, and watches over the children.

It has the interface of Celery's pools and works in the worker's event loop, in one thread. A child runs one task at a
time: a request is accepted when a child gets it, so early acknowledgement comes before the task runs.
"""

import itertools
import select
import signal
import time
from collections import deque
from typing import Any

from billiard.common import human_status
from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery.concurrency.base import BasePool
from celery.utils.log import get_logger
from kombu.asynchronous import get_event_loop

from compat.celery.processes.child import Share
from compat.celery.processes.frames import packed
from compat.celery.processes.job import Job
from compat.celery.processes.member import Member
from compat.celery.processes.nursery import BORN, Nursery

logger = get_logger(__name__)

KILL_AFTER_S = 0.1
"""A child that does not end at SIGTERM gets SIGKILL; billiard's own figure."""
REBIRTH_S = 1.0
"""The pause after a child that ended before it was ready: it may be unable to start at all."""


class ProcessPool(BasePool):
    """Runs tasks in child processes."""

    uses_semaphore = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._share = Share(self.options.get("maxtasksperchild"), self.options.get("max_memory_per_child"))
        self._semaphore = self.options.get("semaphore")
        self._numbers = itertools.count(1)
        self._indexes = itertools.count(1)
        self._target = self.limit or 0
        self._unborn: deque[Member] = deque()
        self._members: dict[int, Member] = {}
        self._waiting: deque[Job] = deque()
        self._nursery: Nursery | None = None
        self._hub: Any = None

    def on_start(self) -> None:
        """Fork the nursery, and the children from it."""
        app, hostname = self.options["initargs"]
        self._nursery = Nursery(app, hostname, self._share)
        for _ in range(self._target):
            self._add()

    def register_with_event_loop(self, loop: Any) -> None:
        """Watch the nursery and the children."""
        self._hub = loop
        loop.add_reader(self._nursery, self._on_notices)
        for member in self._all():
            if not member.is_closed:
                loop.add_reader(member, self._on_frames, member)

    def did_start_ok(self) -> bool:
        """Whether a child is alive."""
        self._on_notices()
        return bool(self._all()) or self._target == 0

    def on_apply(
        self, target: Any, args: Any, kwargs: Any, *, soft_timeout: Any = None, timeout: Any = None, **options: Any
    ) -> Job:
        """Have a child run the call, as soon as one is idle."""
        callbacks = {name: options.get(name) for name in ("accept_callback", "callback", "error_callback")}
        job = Job(
            next(self._numbers),
            (target, args, kwargs),
            **callbacks,
            timeout_callback=options.get("timeout_callback"),
            soft_limit_s=soft_timeout or self.options.get("soft_timeout"),
            hard_limit_s=timeout or self.options.get("timeout"),
        )
        self._waiting.append(job)
        self._dispatch()
        return job

    def _dispatch(self) -> None:
        while self._waiting:
            member = next((m for m in self._members.values() if m.is_idle), None)
            if member is None:
                return
            job = self._waiting.popleft()
            try:
                frame = packed((job.number, *job.call))
            except Exception as exc:  # noqa: BLE001 - pickle raises what the value's own methods raise
                self._release()
                job.fail(exc)
                continue
            if not member.give(job, frame):
                self._waiting.appendleft(job)
                continue
            self._watch(member, job)
            job.accept(member.pid)

    def _watch(self, member: Member, job: Job) -> None:
        hub = self._hub or get_event_loop()
        if job.soft_limit_s:
            job.timers.append(hub.call_later(job.soft_limit_s, self._on_soft_limit, member, job))
        if job.hard_limit_s:
            job.timers.append(hub.call_later(job.hard_limit_s, self._on_hard_limit, member, job))

    def _on_soft_limit(self, member: Member, job: Job) -> None:
        if member.job is job and not job.is_ended:
            job.time_out(soft=True)
            member.signal(signal.SIGUSR1)

    def _on_hard_limit(self, member: Member, job: Job) -> None:
        if member.job is not job or job.is_ended:
            return
        job.fail(TimeLimitExceeded(job.hard_limit_s))
        job.time_out(soft=False)
        member.signal(signal.SIGTERM)
        (self._hub or get_event_loop()).call_later(KILL_AFTER_S, member.signal, signal.SIGKILL)

    def _on_frames(self, member: Member) -> None:
        for ended in member.read():
            job, (is_success, value) = ended
            self._release()
            self._dispatch()
            job.end(is_success, value)
        if member.is_closed:
            self._unwatch(member)
        self._dispatch()

    def _on_notices(self) -> None:
        for kind, pid, status in self._nursery.notices() if self._nursery else ():
            if kind == BORN:
                member = self._unborn.popleft()
                member.pid = pid
                self._members[pid] = member
            else:
                self._on_gone(self._members.pop(pid), status)
        self._dispatch()

    def _on_gone(self, member: Member, status: int) -> None:
        self._on_frames(member)
        job = member.job
        if job is not None:
            member.job = None
            self._release()
            if job.terminated_by is not None:
                job.fail(Terminated(-status if status < 0 else job.terminated_by))
            else:
                text = f"Worker exited prematurely: {human_status(status)} Job: {job.number}."
                job.fail(WorkerLostError(text))
        self._unwatch(member)
        member.close()
        if self._state in (None, self.RUN) and len(self._all()) < self._target:
            if member.was_ready:
                self._add()
            else:
                logger.error("A child process ended before it was ready: %s", human_status(status))
                (self._hub or get_event_loop()).call_later(REBIRTH_S, self._add)

    def _add(self) -> None:
        if self._nursery is None or len(self._all()) >= self._target:
            return
        index = next(self._indexes)
        member = Member(self._nursery.fork(index))
        self._unborn.append(member)
        if self._hub is not None:
            self._hub.add_reader(member, self._on_frames, member)

    def _unwatch(self, member: Member) -> None:
        if self._hub is not None and member.fileno() >= 0:
            self._hub.remove(member.fileno())

    def _release(self) -> None:
        if self._semaphore is not None and self._state in (None, self.RUN):
            self._semaphore.release()

    def _all(self) -> list[Member]:
        return [*self._members.values(), *self._unborn]

    def flush(self) -> None:
        """Forget the requests that no child has; their messages go back to their queues."""
        self._waiting.clear()

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Kill a child; the others go on."""
        member = self._members.get(pid)
        if member is not None:
            member.signal(signal or 15)

    def grow(self, n: int = 1) -> None:
        """Add children."""
        self._target += n
        for _ in range(n):
            if self._semaphore is not None:
                self._semaphore.grow()
            self._add()

    def shrink(self, n: int = 1) -> None:
        """End idle children.

        Raises:
            ValueError: fewer are idle.
        """
        idle = [member for member in self._members.values() if member.is_idle][:n]
        for member in idle:
            self._target -= 1
            if self._semaphore is not None:
                self._semaphore.shrink()
            member.retire()
        if len(idle) < n:
            msg = "Can't shrink pool. All processes busy!"
            raise ValueError(msg)

    def on_close(self) -> None:
        """Start no other task."""
        self.flush()

    def on_stop(self) -> None:
        """Wait for the tasks that run, then end the children."""
        self.flush()
        self._state = self.CLOSE
        while any(member.job is not None for member in self._members.values()):
            self._turn()
        self._end()

    def on_terminate(self) -> None:
        """End the children with what they run."""
        self._state = self.TERMINATE
        for member in self._members.values():
            member.signal(signal.SIGTERM)
        deadline_s = time.monotonic() + 1
        while self._members and time.monotonic() < deadline_s:
            self._turn()
        self._end()

    def _turn(self) -> None:
        """What the event loop does, while it does not run."""
        if self._hub is not None:
            self._hub.fire_timers()
        sources: list[Any] = [self._nursery, *(member for member in self._members.values() if not member.is_closed)]
        readable, _, _ = select.select(sources, [], [], 0.1)
        for member in readable:
            if isinstance(member, Member):
                self._on_frames(member)
        self._on_notices()

    def _end(self) -> None:
        if self._nursery is None:
            return
        for member in self._all():
            member.retire()
        deadline_s = time.monotonic() + 5
        while self._members and time.monotonic() < deadline_s:
            self._turn()
        if self._hub is not None:
            self._hub.remove(self._nursery.fileno())
        self._nursery.close()
        self._nursery = None

    @property
    def num_processes(self) -> int:
        """How many children there should be."""
        return self._target

    def _get_info(self) -> dict[str, Any]:
        return {
            "implementation": f"{type(self).__module__}:{type(self).__name__}",
            "max-concurrency": self.limit,
            "processes": sorted(self._members),
            "max-tasks-per-child": self._share.max_tasks or "N/A",
            "put-guarded-by-semaphore": self.putlocks,
            "timeouts": (self.options.get("soft_timeout") or 0, self.options.get("timeout") or 0),
            "writes": "N/A",
        }
