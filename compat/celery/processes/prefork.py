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
from compat.celery.processes.nursery import Nursery

logger = get_logger(__name__)

CALLBACKS = ("accept_callback", "callback", "error_callback", "timeout_callback")
KILL_AFTER_S = 0.1
"""A child that does not end at SIGTERM gets SIGKILL; billiard's own figure."""
END_S = 5.0
"""How long idle children may take to end."""
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
        self._waiting: deque[Job] = deque()
        self._nurseries: list[Nursery] = []
        self._loop: Any = None

    @property
    def _hub(self) -> Any:
        return self._loop or get_event_loop()

    @property
    def _members(self) -> list[Member]:
        return [member for nursery in self._nurseries for member in nursery.members]

    def on_start(self) -> None:
        """Fork the nursery, and order the children."""
        app, hostname = self.options["initargs"]
        self._nurseries.append(Nursery(app, hostname, self._share))
        if self._loop is not None:
            self._loop.add_reader(self._nurseries[-1], self._on_notices)
        for _ in range(self._target):
            self._add()

    def register_with_event_loop(self, loop: Any) -> None:
        """Watch the nursery and the children."""
        self._loop = loop
        for nursery in self._nurseries:
            loop.add_reader(nursery, self._on_notices)
        for member in self._members:
            if not member.is_closed:
                loop.add_reader(member, self._on_frames, member)

    def did_start_ok(self) -> bool:
        """Whether there are children."""
        self._on_notices()
        return bool(self._members) or self._target == 0

    def on_apply(
        self, target: Any, args: Any, kwargs: Any, *, soft_timeout: Any = None, timeout: Any = None, **options: Any
    ) -> Job:
        """Have a child run the call, as soon as one is idle."""
        job = Job(
            next(self._numbers),
            (target, args, kwargs),
            **{name: options.get(name) for name in CALLBACKS},
            soft_limit_s=soft_timeout or self.options.get("soft_timeout"),
            hard_limit_s=timeout or self.options.get("timeout"),
        )
        self._waiting.append(job)
        self._dispatch()
        return job

    def _dispatch(self) -> None:
        while self._waiting:
            member = next((member for member in self._members if member.is_idle), None)
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
        if job.soft_limit_s:
            job.timers.append(self._hub.call_later(job.soft_limit_s, self._on_soft_limit, member, job))
        if job.hard_limit_s:
            job.timers.append(self._hub.call_later(job.hard_limit_s, self._on_hard_limit, member, job))

    def _on_soft_limit(self, member: Member, job: Job) -> None:
        if member.job is job and not job.is_ended:
            job.time_out(soft=True)
            member.signal(signal.SIGUSR1)

    def _on_hard_limit(self, member: Member, job: Job) -> None:
        if member.job is job and not job.is_ended:
            job.fail(TimeLimitExceeded(job.hard_limit_s))
            job.time_out(soft=False)
            member.signal(signal.SIGTERM)
            self._hub.call_later(KILL_AFTER_S, member.signal, signal.SIGKILL)

    def _on_frames(self, member: Member) -> None:
        for job, (is_success, value) in member.read():
            self._release()
            self._dispatch()
            job.end(is_success, value)
        if member.is_closed:
            self._unwatch(member)
        self._dispatch()

    def _on_notices(self) -> None:
        for nursery in list(self._nurseries):
            for member, status in nursery.gone():
                self._on_gone(member, status)
            if nursery.is_gone:
                self._on_nursery_gone(nursery)
            elif nursery is not self._nurseries[-1] and not nursery.members:
                self._close(nursery)
        self._dispatch()

    def _on_nursery_gone(self, nursery: Nursery) -> None:
        # Its children have ended with it.
        logger.critical("The process that forks the children is gone; another takes its place.")
        self._close(nursery)
        if self._state in (None, self.RUN):
            self.on_start()
        for member in nursery.members:
            self._on_gone(member, -signal.SIGKILL)

    def _on_gone(self, member: Member, status: int) -> None:
        self._on_frames(member)
        job, member.job = member.job, None
        if job is not None:
            self._release()
            if job.terminated_by is not None:
                job.fail(Terminated(-status if status < 0 else job.terminated_by))
            else:
                job.fail(WorkerLostError(f"Worker exited prematurely: {human_status(status)} Job: {job.number}."))
        self._unwatch(member)
        member.close()
        if self._state in (None, self.RUN):
            if member.was_ready:
                self._add()
            else:
                logger.error("A child process ended before it was ready: %s", human_status(status))
                self._hub.call_later(REBIRTH_S, self._add)

    def _add(self) -> None:
        if not self._nurseries or len(self._nurseries[-1].members) >= self._target:
            return
        member = self._nurseries[-1].fork(next(self._indexes))
        if self._loop is not None:
            self._loop.add_reader(member, self._on_frames, member)

    def _unwatch(self, member: Member) -> None:
        if self._loop is not None and member.fileno() >= 0:
            self._loop.remove(member.fileno())

    def _release(self) -> None:
        if self._semaphore is not None and self._state in (None, self.RUN):
            self._semaphore.release()

    def flush(self) -> None:
        """Forget the requests that no child has; their messages go back to their queues."""
        self._waiting.clear()

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Kill a child; the others go on."""
        for member in self._members:
            if member.pid == pid:
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
        idle = [member for member in self._members if member.is_idle][:n]
        for member in idle:
            self._target -= 1
            if self._semaphore is not None:
                self._semaphore.shrink()
            member.retire()
        if len(idle) < n:
            msg = "Can't shrink pool. All processes busy!"
            raise ValueError(msg)

    def restart(self) -> None:
        """Replace every child, after the task that it runs, by one with the modules that are loaded now."""
        for member in self._members:
            member.retire()
        self.on_start()

    def on_close(self) -> None:
        """Start no other task."""
        self.flush()

    def on_stop(self) -> None:
        """Wait for the tasks that run, then end the children."""
        self.flush()
        self._state = self.CLOSE
        while any(member.job is not None for member in self._members):
            self._turn()
        self._end()

    def on_terminate(self) -> None:
        """End the children with what they run."""
        self._state = self.TERMINATE
        for member in self._members:
            member.signal(signal.SIGTERM)
        deadline_s = time.monotonic() + 1
        while self._members and time.monotonic() < deadline_s:
            self._turn()
        self._end()

    def _turn(self) -> None:
        """What the event loop does, while it does not run."""
        if self._loop is not None:
            self._loop.fire_timers()
        members = [member for member in self._members if not member.is_closed]
        sources: list[Nursery | Member] = [*self._nurseries, *members]
        readable, _, _ = select.select(sources, [], [], 0.1)
        for member in members:
            if member in readable:
                self._on_frames(member)
        self._on_notices()

    def _end(self) -> None:
        for member in self._members:
            member.retire()
        deadline_s = time.monotonic() + END_S
        while self._members and time.monotonic() < deadline_s:
            self._turn()
        for nursery in list(self._nurseries):
            self._close(nursery)

    def _close(self, nursery: Nursery) -> None:
        if self._loop is not None:
            self._loop.remove(nursery.fileno())
        self._nurseries.remove(nursery)
        nursery.close()

    @property
    def num_processes(self) -> int:
        """How many children there should be."""
        return self._target

    def _get_info(self) -> dict[str, Any]:
        return {
            "implementation": f"{type(self).__module__}:{type(self).__name__}",
            "max-concurrency": self.limit,
            "processes": sorted(member.pid for member in self._members if member.pid),
            "max-tasks-per-child": self._share.max_tasks or "N/A",
            "put-guarded-by-semaphore": self.putlocks,
            "timeouts": (self.options.get("soft_timeout") or 0, self.options.get("timeout") or 0),
            "writes": "N/A",
        }
