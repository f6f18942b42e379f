"""One thread a process renews every running lease, in one round trip; the store's standby, when it cannot run."""

import logging
import os
import threading
from dataclasses import dataclass

from queues.clock import Clock
from queues.errors import StoreUnavailableError
from queues.idempotency.standby import NOT_WATCHED
from queues.idempotency.state import Answer, Heartbeat, Kind
from queues.idempotency.store import Store
from queues.logs import about
from queues.observer import Observer
from queues.run import Run

logger = logging.getLogger(__name__)

BEATS_PER_LEASE = 3
"""Two beats may be lost before a lease is."""
TRIES_PER_LEASE, PAUSES_PER_LEASE = 8, 20
"""One renewal may take an eighth of a lease, and the next comes a twentieth after it has failed: when there is no time
left for another, the task is told to stop. So it stops before its lease has ended, also when a server is silent."""
PROGRESS_PERIOD_MS = 250


@dataclass(slots=True)
class _Watched:
    run: Run
    ttl_ms: int
    renewed_ms: int
    due_ms: int
    sent_progress: str = ""
    standby_number: int = NOT_WATCHED


class HeartbeatThread:
    """Renews the leases of the runs that it watches, and stops those that lost theirs.

    The thread starts with the first run, so that a process may fork before. A child of a fork starts its own.
    """

    def __init__(self, store: Store, clock: Clock, observer: Observer | None = None) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer or Observer()
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._watched: dict[int, _Watched] = {}
        self._thread: threading.Thread | None = None

    def watch(self, run: Run, begun_ms: int, ttl_ms: int) -> None:
        """Renew the run's lease until `forget`.

        Args:
            begun_ms: when its `begin` was sent, by the monotonic clock.
            ttl_ms: how long the record outlives the lease.
        """
        if self._pid != os.getpid():
            self._reset()
        watched = _Watched(run, ttl_ms, begun_ms, begun_ms + run.lease_ms // BEATS_PER_LEASE)
        with self._changed:
            self._watched[id(run)] = watched
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="onceq-heartbeat", daemon=True)
                self._thread.start()
            # A waiting thread looks up at the latest after PROGRESS_PERIOD_MS; only shorter beats must wake it.
            elif run.lease_ms // BEATS_PER_LEASE < PROGRESS_PERIOD_MS:
                self._changed.notify()
        digest, token = run.message.digest, run.token
        watched.standby_number = self._store.standby.watch(digest, token, run.lease_ms, ttl_ms, begun_ms)

    def forget(self, run: Run) -> None:
        """Leave the run's lease alone."""
        with self._changed:
            watched = self._watched.pop(id(run), None)
        if watched is not None:
            self._store.standby.forget(watched.standby_number)

    def renewed_ms(self, run: Run) -> int:
        """When the lease of a run that is watched was last asked for, by the monotonic clock; 0 of any other."""
        watched = self._watched.get(id(run))
        return watched.renewed_ms if watched is not None else 0

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._watched = {}
        self._thread = None

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(self._pause_ms() / 1000)
                now_ms = self._clock.monotonic_ms()
                due = [w for w in self._watched.values() if w.due_ms <= now_ms or w.run.progress != w.sent_progress]
            if due:
                self.beat(due)

    def beat(self, due: list[_Watched]) -> None:
        """Renew these leases; a lease that could not be renewed in time is given up."""
        sent_ms = self._clock.monotonic_ms()
        progress = [w.run.progress for w in due]
        requests = [
            (w.run.message.digest, Heartbeat(w.run.token, w.run.lease_ms, w.ttl_ms, text))
            for w, text in zip(due, progress, strict=True)
        ]
        try:
            within_ms = min(w.run.lease_ms for w in due) // TRIES_PER_LEASE
            answers = self._store.apply_each(requests, within_ms)
            self._keep_slots([w.run for w in due])
        except StoreUnavailableError as exc:
            answers = [exc] * len(due)
        # One node of a cluster may be away: the leases on the others were renewed.
        errors = [answer for answer in answers if isinstance(answer, StoreUnavailableError)]
        if errors:
            logger.warning("%d of %d leases were not renewed: %s", len(errors), len(due), errors[0])
        for watched, text, answer in zip(due, progress, answers, strict=True):
            with about(watched.run.message):
                self._take(watched, text, None if isinstance(answer, StoreUnavailableError) else answer, sent_ms)

    def _keep_slots(self, runs: list[Run]) -> None:
        # Raises as the leases' renewal does: a slot that was not renewed is a lease that was not.
        holders = [(run, run.slot) for run in runs if run.slot is not None]
        if not holders:
            return
        are_kept = self._store.limiter.keep_slots([slot for _, slot in holders])
        for (run, slot), is_kept in zip(holders, are_kept, strict=True):
            if not is_kept and run.slot is slot:  # an ended run has freed its slot
                logger.warning("%s has lost its slot of %s", run.message.id, slot.name)
                run.stop(is_lost=True)

    def _take(self, watched: _Watched, progress: str, answer: Answer | None, sent_ms: int) -> None:
        run = watched.run
        if answer is None:
            watched.due_ms = self._clock.monotonic_ms() + run.lease_ms // PAUSES_PER_LEASE
            if watched.due_ms + run.lease_ms // TRIES_PER_LEASE - watched.renewed_ms >= run.lease_ms:
                self._give_up(run)
            return
        watched.due_ms = sent_ms + run.lease_ms // BEATS_PER_LEASE
        watched.sent_progress = progress
        if answer.kind is Kind.FENCED:
            if self._is_watched(run) and not run.is_ending:
                logger.warning("lease of %s lost: token %d is not the last", run.message.id, run.token)
                self._give_up(run)
            return
        watched.renewed_ms = sent_ms
        if answer.kind is Kind.CANCELLED:
            run.stop(is_lost=False)
        with self._changed:
            if id(run) in self._watched:
                self._store.standby.renewed(watched.standby_number, sent_ms)

    def _give_up(self, run: Run) -> None:
        if not run.is_lost and not run.is_ended:
            self._observer.lease_lost(run)
        run.stop(is_lost=True)

    def _is_watched(self, run: Run) -> bool:
        # A run that ended while its beat was on the way is fenced by its own outcome.
        with self._changed:
            return id(run) in self._watched

    def _pause_ms(self) -> float:
        if not self._watched:
            return PROGRESS_PERIOD_MS
        next_ms = min(w.due_ms for w in self._watched.values()) - self._clock.monotonic_ms()
        return max(5, min(next_ms, PROGRESS_PERIOD_MS))
