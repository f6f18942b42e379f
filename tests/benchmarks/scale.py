"""What servers carry: `python -m tests.benchmarks.scale` prints the processor time that a task costs each process.

A task is submitted, run once under the guard by a real worker, and its outcome stored; the servers keep an append-only
file, as in production. What counts is the main thread's time, in which a Redis does all its commands: where it spends
50 us on a task, it is full at 20,000 tasks a second, however fast the workers are. Processor time says the same on a
busy machine.
"""

import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from rich import box
from rich.console import Console
from rich.table import Table

from queues.bench.contenders import ONCEQ_CELERY, ONCEQ_DRAMATIQ, Contender
from queues.bench.party import Party
from queues.bench.programs import ledger
from queues.bench.rabbit import Rabbit
from queues.bench.scenarios.checking import WITHIN_S, Numbers, check
from queues.bench.scenarios.records import Record
from queues.errors import InvalidOptionError
from tests.cluster import ValkeyCluster
from tests.servers import ValkeyServer

ROUNDS, TASKS, WARM_UP = 5, 2_000, 500
SETTLES_S = 0.3
RECORDS = 100_000
US = 1e6
DAY_TASKS, BUSY, BILLION = 100_000_000, 5, 1_000_000_000
LOAD = 0.6
"""How much of a server is planned for: of its main thread, and of its memory."""
GIB, NODE_GIB = 2**30, 16


@dataclass(frozen=True, slots=True)
class Layout:
    """Which servers there are.

    Args:
        records, queues: their URLs.
        keepers: the servers with the records; those of a cluster are measured one by one.
        carrier: the Redis with the queues where it is another one.
    """

    name: str
    records: str
    queues: str
    keepers: Sequence[ValkeyServer]
    carrier: ValkeyServer | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of processor time, a task.

    Args:
        keepers_us, carrier_us: of the main thread of each server with records, and of the one with the queues.
        producer_us, worker_us: of what submits, and of the worker's processes; the task itself does nothing.
    """

    layout: str
    backend: str
    keepers_us: Sequence[float]
    carrier_us: float | None
    producer_us: float
    worker_us: float

    @property
    def full_at(self) -> float:
        """Tasks a second with which the busiest server is full."""
        return US / max(*self.keepers_us, self.carrier_us or 0.0)


def main() -> int:
    """Print a row for each layout and backend, and what follows for two plans."""
    costs, bytes_a_record = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        numbers = Numbers()  # the records outlive a backend: a number that comes again would only be answered
        for layout in _layouts(Path(folder)):
            for contender in (ONCEQ_CELERY, ONCEQ_DRAMATIQ):
                sys.stderr.write(f"{layout.name}, {contender.name}\n")
                with _party(layout, contender, Path(folder)) as party:
                    costs.append(_cost(layout, party, numbers))
                    bytes_a_record = bytes_a_record or _bytes_a_record(party)
    console = Console(width=110, highlight=False)
    console.print(_table(costs))
    for line in plans(costs, bytes_a_record):
        console.print(line, soft_wrap=True)
    return 0


def plans(costs: Sequence[Cost], bytes_a_record: float) -> Iterator[str]:
    """What a hundred million tasks a day, and a billion records, take."""
    millions = GIB / bytes_a_record / 1e6
    yield f"a completed record without its result: {bytes_a_record:.0f} bytes, {millions:.1f} million in a GiB"
    usual, busy = DAY_TASKS / 86_400, BUSY * DAY_TASKS / 86_400
    yield f"{DAY_TASKS / 1e6:.0f} million tasks a day: {usual:,.0f} a second, {busy:,.0f} in hours {BUSY} times as busy"
    for cost in costs:
        if cost.carrier_us is not None and len(cost.keepers_us) > 1:
            loads = (sum(cost.keepers_us), cost.carrier_us, cost.producer_us, cost.worker_us)
            nodes, queues, producers, workers = (math.ceil(busy * us / US / LOAD) for us in loads)
            yield (
                f"  on {cost.backend}, at most {LOAD:.0%} busy then: {nodes} nodes of a cluster for records, "
                f"{queues} for queues; cores: {producers} to submit, {workers} for workers, beside what the tasks do"
            )
    for hours in (1, 24):
        size = usual * 3_600 * hours * bytes_a_record / GIB
        yield f"  outcomes kept for {hours} h: {usual * 3_600 * hours / 1e6:.1f} million records, {size:.1f} GiB"
    size = BILLION * bytes_a_record / GIB
    yield (
        f"a billion records: {size:.0f} GiB, so {math.ceil(size / (NODE_GIB * LOAD))} nodes of {NODE_GIB} GiB, "
        f"at most {LOAD:.0%} full"
    )


def _table(costs: Sequence[Cost]) -> Table:
    table = Table(title="microseconds of processor time, a task", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("layout", "backend", "records", "busiest node", "queues", "full at", "producer", "worker"):
        table.add_column(column, justify="left" if column in ("layout", "backend") else "right")
    for cost in costs:
        figures = [f"{sum(cost.keepers_us):.0f}", f"{max(cost.keepers_us):.0f}"]
        carrier = "" if cost.carrier_us is None else f"{cost.carrier_us:.0f}"
        figures += [carrier, f"{cost.full_at:,.0f}/s", f"{cost.producer_us:.0f}", f"{cost.worker_us:.0f}"]
        table.add_row(cost.layout, cost.backend, *figures)
    return table


def _layouts(folder: Path) -> Iterator[Layout]:
    with ValkeyServer(folder / "one") as one, ValkeyServer(folder / "other") as other, ExitStack() as stack:
        yield Layout("one Redis", one.url, one.url, [one])
        yield Layout("two: records, queues", one.url, other.url, [one], other)
        with _rabbit() as rabbit:
            if rabbit is not None:
                yield Layout("records; RabbitMQ", one.url, rabbit.url, [one])
        nodes = stack.enter_context(ValkeyCluster(folder / "nodes"))
        yield Layout("cluster of three; queues", nodes.url, other.url, nodes.masters, other)


@contextmanager
def _rabbit() -> Iterator[Rabbit | None]:
    """A RabbitMQ; None where it is not installed."""
    try:
        rabbit = Rabbit()
    except InvalidOptionError as exc:
        sys.stderr.write(f"without RabbitMQ: {exc}\n")
        yield None
        return
    with rabbit:
        yield rabbit


@contextmanager
def _party(layout: Layout, contender: Contender, folder: Path) -> Iterator[Party]:
    place = Path(tempfile.mkdtemp(dir=folder))
    party = Party(contender, sys.executable, layout.records, layout.queues, place)
    try:
        party.start_worker(2)
        yield party
    finally:
        party.close()


def _cost(layout: Layout, party: Party, numbers: Numbers) -> Cost:
    servers = [*layout.keepers, *([layout.carrier] if layout.carrier is not None else [])]
    rounds = []
    _done(party, numbers, WARM_UP)
    for _ in range(ROUNDS):
        before = [*map(_main_thread_s, servers), party.worker_cpu_s]
        producer_s = _done(party, numbers, TASKS)
        after = [*map(_main_thread_s, servers), party.worker_cpu_s]
        spent = [producer_s, *(now - begun for now, begun in zip(after, before, strict=True))]
        rounds.append([US * seconds / TASKS for seconds in spent])
    producer, *kept, worker = (statistics.median(column) for column in zip(*rounds, strict=True))
    carrier = kept.pop() if layout.carrier is not None else None
    return Cost(layout.name, party.contender.settings["BENCH_BACKEND"], kept, carrier, producer, worker)


def _bytes_a_record(party: Party) -> float:
    """Of a task that returned nothing; empties the server."""
    return Record("memory of a record", RECORDS).measure(party, 0).value


def _done(party: Party, numbers: Numbers, count: int) -> float:
    """Submit tasks one by one, and wait until all are done; the seconds that submitting computed."""
    done, sent = ledger.count(party.ledger), numbers.take(count)
    told = party.ask(do="send", kind="noop", start=sent.start, count=count)
    party.wait_for(done + count, WITHIN_S)
    time.sleep(SETTLES_S)  # the last completions and acknowledgements
    check(party, sent, ledger.effects(party.ledger, done))
    return float(told["cpu_s"])


def _main_thread_s(server: ValkeyServer) -> float:
    with redis.Redis(port=server.port) as client:
        told = client.info("cpu")
    return float(told["used_cpu_user_main_thread"]) + float(told["used_cpu_sys_main_thread"])


if __name__ == "__main__":
    sys.exit(main())
