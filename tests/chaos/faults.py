"""Injects the planned faults, and undoes those that have a length."""

import contextlib
import heapq
import itertools
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.chaos.ground import Ground, Party
from tests.chaos.ledger import is_busy, mono_ms
from tests.chaos.outages import Outages
from tests.chaos.schedule import Kind, Planned
from tests.tether import kill_group

T = TypeVar("T")
RESTART_AFTER_S = 0.3
LONGEST_STEP_S = 600.0


@dataclass(slots=True)
class Fault:
    """A fault that was injected.

    Args:
        pids: the processes that were killed or paused.
        end_ms: by the monotonic clock; the same as `at_ms` for what has no length.
    """

    kind: Kind
    target: str
    at_ms: float
    end_ms: float
    pids: list[int] = field(default_factory=list)


class Injector:
    """Carries out a plan on a ground; `step` is called again and again by the one thread that runs the chaos."""

    def __init__(self, ground: Ground, planned: list[Planned]) -> None:
        self.faults: list[Fault] = []
        self.outages = Outages(ground)
        self._ground = ground
        self._planned = planned
        self._next = 0
        self._start = time.monotonic()
        self._undoes: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._is_store_down = False

    @property
    def is_over(self) -> bool:
        """Whether the whole plan was carried out."""
        return self._next == len(self._planned)

    def step(self) -> None:
        """Do what is due now."""
        now = time.monotonic()
        while self._undoes and self._undoes[0][0] <= now:
            heapq.heappop(self._undoes)[2]()
        while not self.is_over and self._start + self._planned[self._next].at_s <= now:
            self._inject(self._planned[self._next])
            self._next += 1
        self.restart_parties()

    def restart_parties(self) -> None:
        """Start each worker and producer again that has ended, a little later, as a supervisor would."""
        now = time.monotonic()
        for party in self._ground.parties:
            if party.worker.is_alive:
                party.members()
            elif not party.start_at_s:
                party.worker.kill()
                party.start_at_s = now + RESTART_AFTER_S
            elif now >= party.start_at_s:
                party.start_at_s = 0.0
                party.is_paused = False
                party.worker.launch()
        self.outages.look(is_store_up=not self._is_store_down)

    def heal(self) -> None:
        """Undo everything, and see to it that everything runs."""
        while self._undoes:
            heapq.heappop(self._undoes)[2]()
        for link in self._ground.links:
            link.heal()
        for party in self._ground.parties:
            party.step_clock(0.0)
            party.start_at_s = min(party.start_at_s, time.monotonic())
        if self._ground.rabbit is not None:
            self._ground.rabbit.wait_until_up()
        self.restart_parties()

    def _inject(self, planned: Planned) -> None:
        match planned.kind:
            case Kind.CHILD_KILLED | Kind.WORKER_KILLED | Kind.PRODUCER_KILLED:
                self._kill(planned)
            case Kind.CHILD_PAUSED | Kind.WORKER_PAUSED:
                self._pause(planned)
            case Kind.STORE_KILLED | Kind.STORE_RESTARTED:
                self._break_store(planned)
            case Kind.BROKER_KILLED | Kind.BROKER_RESTARTED:
                self._break_rabbit(planned)
            case Kind.CLOCK_STEPPED:
                party = self._ground.parties[int(planned.choice * len(self._ground.parties))]
                # Hours would be fair too, but a message with an eta is held so long by the task systems themselves.
                party.step_clock((planned.size * 2 - 1) * LONGEST_STEP_S)
                self._note(planned, party.name)
            case _:
                self._break_link(planned)

    def _kill(self, planned: Planned) -> None:
        party, pids = self._target(planned)
        if party is None:
            return
        fault = self._note(planned, party.name, pids)
        if planned.kind is Kind.CHILD_KILLED:
            _signal(pids, signal.SIGKILL)
        else:
            kill_group(party.worker.pid)
            party.worker.kill()
            party.start_at_s = time.monotonic() + planned.seconds
            fault.end_ms += planned.seconds * 1000

    def _pause(self, planned: Planned) -> None:
        party, pids = self._target(planned)
        if party is None:
            return
        fault = self._note(planned, party.name, pids)
        _signal(pids, signal.SIGSTOP)
        party.is_paused = True

        def go_on() -> None:
            # Before the signal: the judge lets a paused process do nothing, and must not let it do too little.
            fault.end_ms = mono_ms()
            _signal(pids, signal.SIGCONT)
            party.is_paused = False

        self._later(planned.seconds, go_on)

    def _target(self, planned: Planned) -> tuple[Party | None, list[int]]:
        parties = self._ground.producers if planned.kind is Kind.PRODUCER_KILLED else self._ground.workers
        party = _chosen([p for p in parties if p.worker.is_alive and not p.is_paused], planned.choice)
        if party is None:
            return None, []
        pids = party.members()
        if planned.kind not in (Kind.CHILD_KILLED, Kind.CHILD_PAUSED):
            return party, pids
        # Only a process that runs tasks has a ledger; one that is in the middle of a task is the better target.
        children = [p for p in pids if self._ground.ledger_of(p).exists()]
        busy = [p for p in children if is_busy(self._ground.ledger_of(p))]
        child = _chosen(busy or children, planned.size)
        return (party, [child]) if child is not None else (None, [])

    def _break_store(self, planned: Planned) -> None:
        valkey = self._ground.valkey
        if self._is_store_down:
            return
        fault = self._note(planned, "Valkey")
        self._is_store_down = True
        if planned.kind is Kind.STORE_KILLED:
            valkey.kill()
        else:
            valkey.stop()

        def start() -> None:
            valkey.start()
            self._is_store_down = False
            fault.end_ms = mono_ms()

        self._later(planned.seconds, start)

    def _break_rabbit(self, planned: Planned) -> None:
        rabbit = self._ground.rabbit
        if rabbit is None or not rabbit.is_up:
            return
        rabbit.wait_until_up()
        fault = self._note(planned, "RabbitMQ")
        rabbit.kill(is_gentle=planned.kind is Kind.BROKER_RESTARTED)
        rabbit.start_behind()
        fault.end_ms = mono_ms() + 10_000

    def _break_link(self, planned: Planned) -> None:
        party = self._ground.parties[int(planned.choice * len(self._ground.parties))]
        link = (
            party.links[int(planned.seconds * 1000) % len(party.links)]
            if planned.seconds
            else party.links[int(planned.at_s * 1000) % len(party.links)]
        )
        match planned.kind:
            case Kind.DROPPED:
                link.drop()
            case Kind.REFUSED:
                link.refuse(planned.seconds)
            case Kind.SLOW:
                link.slow(planned.seconds, 0.02 + planned.size * 0.6)
            case Kind.HELD:
                link.hold(planned.seconds)
            case Kind.HALF_CLOSED:
                link.half_close(is_client_told=planned.size < 0.5)
            case Kind.REPLY_LOST:
                link.lose_replies(1 + round(planned.size * 3))
        self._note(planned, party.name)

    def _note(self, planned: Planned, target: str, pids: list[int] | None = None) -> Fault:
        now_ms = mono_ms()
        fault = Fault(planned.kind, target, now_ms, now_ms + planned.seconds * 1000, pids or [])
        self.faults.append(fault)
        return fault

    def _later(self, seconds: float, undo: Callable[[], None]) -> None:
        heapq.heappush(self._undoes, (time.monotonic() + seconds, next(self._order), undo))


def _chosen(candidates: Sequence[T], choice: float) -> T | None:
    return candidates[int(choice * len(candidates))] if candidates else None


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
