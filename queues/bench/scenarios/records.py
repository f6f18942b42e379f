"""What records cost: memory, and the time of a decision when there are many."""

import redis

from queues.bench.contenders import Contender
from queues.bench.measure import Sample
from queues.bench.party import Party
from queues.bench.scenarios.checking import Numbers, warm

US = 1e6


class Record:
    """Bytes of a completed record whose task returned nothing, as Redis counts its memory."""

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self._count = count
        self._numbers = Numbers()

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether it is there for that: the records of all backends are the same."""
        return self.name in contender.only

    def prepare(self, party: Party) -> None:
        """Start the worker."""
        warm(party, self._numbers, 2, "void")

    def measure(self, party: Party, round_number: int) -> Sample:
        """The memory of many copies of one, by their number; the sample's point is MEMORY USAGE of one."""
        with redis.Redis.from_url(party.redis_url) as client:
            # At once: what Valkey frees in its own time would count against the records that are made meanwhile.
            client.execute_command("FLUSHDB", "SYNC")
            party.ask(do="run", kind="void", number=self._numbers.take(1)[0])
            (key,) = client.scan_iter(match="*task_result:*", count=1000)
            alone = float(client.memory_usage(key) or 0)
            before = int(client.info("memory")["used_memory"])
            party.ask(do="fill", count=self._count)
            value = (int(client.info("memory")["used_memory"]) - before) / (self._count - 1)
            client.execute_command("FLUSHDB", "SYNC")
        points = ((1.0, alone), (float(self._count), value))
        return Sample(self.name, party.contender.name, round_number, value, self._count, unit="bytes", points=points)


class Decision:
    """Microseconds of one decision, new and repeated submissions by halves, beside the records that there are.

    The contenders differ in how many records there are (`BENCH_RECORDS`), so that their rounds are interleaved.
    """

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self._count = count
        self._numbers = Numbers()

    def suits(self, contender: Contender, offers: frozenset[str]) -> bool:
        """Whether it says how many records there are."""
        return "BENCH_RECORDS" in contender.settings

    def prepare(self, party: Party) -> None:
        """Make the records."""
        warm(party, self._numbers, 2)
        party.ask(do="run", kind="noop", number=self._numbers.take(1)[0])
        party.stop_workers()
        party.ask(do="fill", count=int(party.contender.settings["BENCH_RECORDS"]))
        party.ask(do="send", kind="noop", start=self._numbers.take(self._count).start, count=self._count)

    def measure(self, party: Party, round_number: int) -> Sample:
        """One round."""
        sent, before_s = self._numbers.take(self._count), party.server_cpu_s
        new = party.ask(do="send", kind="noop", start=sent.start, count=self._count)
        again = party.ask(do="repeat", kind="noop", number=sent.start, count=self._count)
        server_s = party.server_cpu_s - before_s
        seconds, client_s = (new[name] + again[name] for name in ("seconds", "cpu_s"))
        value, count = seconds * US / (2 * self._count), 2 * self._count
        return Sample(self.name, party.contender.name, round_number, value, count, client_s, 0.0, server_s, unit="us")
