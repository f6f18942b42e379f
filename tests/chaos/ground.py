"""The servers, the links before them, the workers and the producers of one run."""

import os
import struct
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from queues.stores.redis import RedisStore
from tests.chaos.ledger import mono_ms
from tests.chaos.options import Options
from tests.chaos.proxy import Link, Proxy
from tests.chaos.rabbit_node import RabbitNode
from tests.servers import ValkeyServer
from tests.workers import PROGRAMS, Worker, has_logged, worker_command

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(__file__).parent / "site"
VALKEY_OPTIONS = ("--auto-aof-rewrite-percentage", "0")
"""The whole history stays in the append-only file: the judge reads it."""

CONCURRENCY = 4
"""Of each worker: twice of what the work needs, so that a recovery waits for a lease and not for a free worker."""


@dataclass(slots=True)
class Party:
    """A worker or a producer: a process group with links and a clock of its own.

    Args:
        is_producer: else a worker.
        start_at_s: when it is to be started again, by the monotonic clock; 0 while it runs.
        pids: every process that was ever seen in its group.
    """

    name: str
    worker: Worker
    links: list[Link]
    clock: Path
    is_producer: bool
    start_at_s: float = 0.0
    is_paused: bool = False
    pids: set[int] = field(default_factory=set)

    def step_clock(self, offset_s: float) -> None:
        """Set how far the party's wall clock is off."""
        with self.clock.open("r+b") as file:
            file.write(struct.pack("d", offset_s))

    def members(self) -> list[int]:
        """The processes of its group that exist now, the command itself first; none while it is down."""
        if not self.worker.is_alive:
            return []
        found = group_members(self.worker.pid)
        self.pids.update(found)
        return sorted(found, key=lambda pid: pid != self.worker.pid)


class Ground:
    """Everything that runs; a context manager that ends all of it.

    Args:
        folder: for data, logs and ledgers; its own for each run.
    """

    def __init__(self, options: Options, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.ledgers = folder / "ledgers"
        self.valkey = ValkeyServer(folder / "valkey", fsync="always", options=VALKEY_OPTIONS)
        self.rabbit = RabbitNode(folder / "rabbit") if options.broker == "rabbitmq" else None
        self.parties: list[Party] = []
        self.start_ms = 0.0
        self._proxy = Proxy()
        self._stack = ExitStack()

    @property
    def workers(self) -> list[Party]:
        """The workers."""
        return [party for party in self.parties if not party.is_producer]

    @property
    def producers(self) -> list[Party]:
        """The producers."""
        return [party for party in self.parties if party.is_producer]

    @property
    def links(self) -> list[Link]:
        """Every link of every party."""
        return [link for party in self.parties for link in party.links]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._proxy)
            stack.enter_context(self.valkey)
            if self.rabbit is not None:
                stack.enter_context(self.rabbit)
            self.ledgers.mkdir(parents=True, exist_ok=True)
            self.start_ms = mono_ms()
            for number in range(self.options.workers):
                self._add(f"worker {number + 1}", number, is_producer=False)
            for party in self.workers:
                stack.callback(party.worker.kill)
                party.worker.launch()
            for party in self.workers:
                party.worker.wait_until_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start_producers(self) -> None:
        """Begin to submit."""
        self.start_ms = mono_ms()
        for number in range(self.options.producers):
            party = self._add(f"producer {number + 1}", number, is_producer=True)
            self._stack.callback(party.worker.kill)
            party.worker.launch()

    def store(self) -> RedisStore:
        """The records, by a connection that no fault touches."""
        return RedisStore(self.valkey.url)

    def ledger_of(self, pid: int) -> Path:
        """Where a process writes its lines, if it runs tasks."""
        return self.ledgers / f"ledger-{pid}.jsonl"

    def _add(self, name: str, number: int, *, is_producer: bool) -> Party:
        slug = name.replace(" ", "-")
        clock = self.folder / f"{slug}.clock"
        clock.write_bytes(struct.pack("d", 0.0))
        seed = hash((self.options.seed, number, is_producer))
        links = [self._proxy.link(self.valkey.port, seed)]
        broker_url = store_url = f"redis://127.0.0.1:{links[0].port}/0"
        if self.rabbit is not None:
            links.append(self._proxy.link(self.rabbit.port, seed + 1))
            broker_url = self.rabbit.url_at(links[1].port)
        environment = {
            **self._environment(broker_url, store_url),
            "CHAOS_CLOCK": str(clock),
            **(self._of_producer(number) if is_producer else {}),
        }
        command = ["chaos_producer"] if is_producer else self._worker_command(slug)
        worker = Worker(command, environment, self.folder / f"{slug}.log", has_logged)
        party = Party(name, worker, links, clock, is_producer)
        self.parties.append(party)
        return party

    def _worker_command(self, slug: str) -> list[str]:
        if self.options.backend == "celery":
            # Two of one name lock each other out of RabbitMQ.
            return [*worker_command("celery", "chaos_celery", concurrency=CONCURRENCY), "--hostname", f"{slug}@chaos"]
        return [*worker_command("dramatiq", "chaos_dramatiq", concurrency=CONCURRENCY), "--processes", "2"]

    def _environment(self, broker_url: str, store_url: str) -> dict[str, str]:
        return {
            "PYTHONPATH": os.pathsep.join(str(path) for path in (PROGRAMS, ROOT, SITE)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "QUEUES_BACKEND": self.options.backend,
            "REDIS_URL": store_url,
            f"{self.options.backend.upper()}_BROKER_URL": broker_url,
            "CHAOS_FOLDER": str(self.ledgers),
            "CHAOS_LEASE_S": str(self.options.lease_s),
            "CHAOS_CONTROL": self.options.control,
        }

    def _of_producer(self, number: int) -> dict[str, str]:
        return {
            "CHAOS_SEED": str(self.options.seed),
            "CHAOS_PRODUCER": str(number),
            "CHAOS_PRODUCERS": str(self.options.producers),
            "CHAOS_RATE": str(self.options.per_second),
            "CHAOS_START_MS": str(self.start_ms),
            # The last producer is the one that dies: the others keep the work coming.
            "CHAOS_DIES": str(self.options.dies if number == self.options.producers - 1 else 0),
        }


def group_members(pgid: int) -> set[int]:
    """The processes of a group, from the kernel's list; without those that have ended and wait to be reaped."""
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = (Path(entry.path) / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended while we looked
            if int(fields[2]) == pgid and fields[0] != "Z":
                found.add(int(entry.name))
    return found
