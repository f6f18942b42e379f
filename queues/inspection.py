"""Read-only views over the records, for the command line: which work there is, and what each record says."""

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from queues import codec
from queues.errors import Failure, InvalidIdError, QueueError
from queues.idempotency import envelope
from queues.idempotency.key import DIGEST_HEX, digest_of
from queues.idempotency.state import Record, State
from queues.idempotency.store import WorkerInfo
from queues.message import MANUAL, Message
from queues.stores.redis_listing import BATCH, Found, RedisListing
from queues.stores.redis_waits import RateWait, SlotWait

MAX_VALUE_CHARS = 120
MAX_ARGUMENTS_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Work:
    """One record, and what the message or the outcome in it says.

    Args:
        message: of unfinished work; None for an outcome, which keeps none, and where `problem` says why.
        result: the text of the stored result; None when there is none.
        failure: what was stored of a failure.
        problem: why the message or the outcome cannot be read; empty when they can.
    """

    digest: str
    record: Record
    now_ms: int
    outcome_bytes: int = 0
    message: Message | None = None
    result: str | None = None
    failure: Failure | None = None
    problem: str = ""

    @property
    def task(self) -> str | None:
        """The task's name; None when the record does not tell it."""
        return self.message.task if self.message is not None else None

    @property
    def attempt(self) -> int:
        """The number of the current or last attempt; 0 before the first."""
        if not self.record.token:
            return 0
        # Waiting work counts the retry that is still to come.
        return max(1, self.record.retries + (self.record.state is not State.WAITING))

    @property
    def begun_ms(self) -> int | None:
        """About when the last run began: a token is that moment in microseconds, or one above the last token."""
        return self.record.token // 1000 if self.record.token else None

    @property
    def is_overdue(self) -> bool:
        """Whether anyone may publish its message again: its publisher, worker or retry did not come in time."""
        return self.record.state.is_live and self.record.help_at_ms <= self.now_ms

    @property
    def has_live_lease(self) -> bool:
        """Whether a worker may be running it at this moment."""
        return self.record.state is State.RUNNING and self.record.until_ms > self.now_ms

    @property
    def is_manual(self) -> bool:
        """Whether a program took the lock itself, so that no message asks for the work again."""
        return self.message is not None and MANUAL in self.message.options

    def arguments(self) -> str:
        """The call's arguments as text, at most `MAX_ARGUMENTS_CHARS` long."""
        if self.message is None:
            return ""
        parts = [shortened(value) for value in self.message.args]
        parts += [f"{name}={shortened(value)}" for name, value in self.message.kwargs.items()]
        return cut(", ".join(parts), MAX_ARGUMENTS_CHARS)

    def as_json(self, *, has_args: bool = True) -> dict[str, Any]:
        """The view as plain JSON; moments in ms since the Unix epoch, on the server's clock.

        Args:
            has_args: whether the arguments, the result and the note of the progress are told.
        """
        r = self.record
        error = None
        if self.failure is not None:
            error = {"type": self.failure.type, "code": self.failure.code}
            error |= {"message": self.failure.message} if has_args else {}
        content = {
            "id": r.owner,
            "key": self.digest,
            "state": r.state.value,
            "task": self.task,
            "queue": self.message.queue if self.message is not None else None,
            "attempt": self.attempt,
            "token": r.token,
            "execution": r.execution or None,
            "lost": r.lost,
            "helps": r.helps,
            "is_overdue": self.is_overdue,
            "is_cancel_asked": r.is_cancelled,
            "lease_ends_ms": r.until_ms if r.state is State.RUNNING else None,
            "retry_due_ms": r.until_ms if r.state is State.WAITING else None,
            "due_ms": r.until_ms or None if r.state is State.QUEUED else None,
            "begin_by_ms": r.begin_by_ms or None,
            "help_at_ms": r.help_at_ms if r.state.is_live else None,
            "created_ms": r.created_ms,
            "begun_ms": self.begun_ms,
            "finished_ms": r.finished_ms or None,
            "expires_ms": r.expires_ms,
            "now_ms": self.now_ms,
            "error": error,
            "result_bytes": self.outcome_bytes or None,
            "problem": self.problem or None,
        }
        if has_args:
            content |= {"arguments": self.arguments() or None, "result": self.result, "progress": progress(r)}
        return content


def work_of(found: Found) -> Work:
    """What a record says; one that cannot be read is told as a problem, never raised."""
    record = found.record
    message, result, failure, problem = None, None, None, found.problem
    try:
        if record.message:
            message = Message.decoded(record.message)
        if record.outcome:
            value, failure = envelope.opened(record.outcome)
            result = None if failure is not None else shortened(value)
        elif found.outcome_bytes:
            problem = f"the outcome is {found.outcome_bytes} bytes long, too long to be shown"
    except (QueueError, ValueError, RecursionError) as exc:
        problem = f"cannot be read: {cut(str(exc), MAX_VALUE_CHARS)}"
    return Work(found.digest, record, found.now_ms, found.outcome_bytes, message, result, failure, problem)


@dataclass(slots=True)
class Counts:
    """How many records there are.

    Args:
        is_cut: there are more outcomes than were looked at.
    """

    states: Counter[str] = field(default_factory=Counter)
    overdue: int = 0
    is_cut: bool = False


class Inspector:
    """Finds and lists work; every method raises StoreUnavailableError when Redis does not answer."""

    def __init__(self, listing: RedisListing) -> None:
        self.listing = listing
        self.letters = listing.letters

    def find(self, text: str) -> tuple[str, Work | None]:
        """The key that a key or an id names, and its work; None when there is no record.

        An id of Celery's or Dramatiq's own making carries no key: it is looked for in every record.

        Raises:
            InvalidIdError: the text is neither an id nor a key.
        """
        digest = key_of(text)
        if digest is not None:
            found = self.listing.read(digest)
            return digest, None if found is None else work_of(found)
        if len(text) < 8 or len(text) > 255 or not text.isprintable() or " " in text:
            raise InvalidIdError(text)
        for batch in batches(self._every(dict(self.listing.live())), 5 * BATCH):
            owners = self.listing.field("owner", batch)
            owned = [digest for digest, owner in zip(batch, owners, strict=True) if owner == text]
            for found in self.listing.read_many(owned):
                return found.digest, work_of(found)
        return "", None

    def live(
        self,
        *,
        is_wanted: Callable[[Work], bool] = lambda _: True,
        states: Container[str] | None = None,
        overdue_only: bool = False,
    ) -> Iterator[Work]:
        """Unfinished work that is wanted, and in one of the states."""
        now_ms = self.listing.now_ms() if overdue_only else 0
        digests = (digest for digest, help_at_ms in self.listing.live() if not overdue_only or help_at_ms <= now_ms)
        # The index may hold what has expired, or what has an outcome by now.
        works = self._read(self._in_states(digests, states))
        return (work for work in works if (work.record.state.is_live or work.problem) and is_wanted(work))

    def held(self) -> int:
        """How many are due in a long time, and on no queue until then."""
        return sum(work.record.is_held for work in self._read(self._dated()))

    def outcomes(self, *, states: Container[str] | None = None) -> Iterator[Work]:
        """Outcomes in one of the states, in no order."""
        works = self._read(self._in_states(self.listing.finished(), states))
        return (work for work in works if not work.record.state.is_live)

    def counts(self) -> Counts:
        """How many records there are, by state."""
        counts, now_ms = Counts(), self.listing.now_ms()
        live: dict[str, int] = dict(self.listing.live())
        for batch in batches(self._every(live), 5 * BATCH):
            counts.states.update(filter(None, self.listing.field("state", batch)))
        counts.overdue = sum(help_at_ms <= now_ms for help_at_ms in live.values())
        counts.is_cut = self.listing.is_cut
        return counts

    def limit_of(self, work: Work) -> RateWait | SlotWait | None:
        """The limit of its task that queued work waits for; None when it waits for none."""
        if work.message is None or work.record.state is not State.QUEUED or not work.record.token:
            return None  # only a worker that began it knows of a limit
        waits, task = self.listing.waits, work.message.task
        return waits.rate(task, work.record.owner, work.now_ms) or waits.slot(task, work.digest)

    def workers(self) -> list[WorkerInfo]:
        """The workers that were seen lately."""
        return self.listing.workers()

    def _every(self, live: Mapping[str, int]) -> Iterator[str]:
        yield from live
        # An outcome of work that runs anew, or ended in between, is counted once.
        yield from (digest for digest in self.listing.finished() if digest not in live)

    def _dated(self) -> Iterator[str]:
        # Most of what is queued has no time, and is not read.
        for batch in batches((digest for digest, _ in self.listing.live()), BATCH):
            untils = self.listing.field("until", batch)
            yield from (digest for digest, until in zip(batch, untils, strict=True) if until not in {"", "0"})

    def _in_states(self, digests: Iterable[str], states: Container[str] | None) -> Iterator[str]:
        if states is None:
            yield from digests
            return
        for batch in batches(digests, 5 * BATCH):
            found = self.listing.field("state", batch)
            yield from (digest for digest, state in zip(batch, found, strict=True) if state in states)

    def _read(self, digests: Iterable[str]) -> Iterator[Work]:
        for batch in batches(digests, BATCH):
            yield from map(work_of, self.listing.read_many(batch))


def key_of(text: str) -> str | None:
    """The digest that a key or an id carries; None when it carries none."""
    if len(text) == DIGEST_HEX and all(character in "0123456789abcdef" for character in text):
        return text
    try:
        return digest_of(text)
    except InvalidIdError:
        return None


def batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """The items in lists of at most `size`."""
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def progress(record: Record) -> dict[str, Any] | None:
    """What the running task last said of itself; None when it said nothing that can be read."""
    try:
        done, total, note = json.loads(record.progress)
    except (ValueError, TypeError):
        return None
    return {"done": done, "total": total, "note": note}


def shortened(value: Any) -> str:
    """A value as one printable line of at most `MAX_VALUE_CHARS` characters."""
    try:
        text = json.dumps(codec.plain(value), ensure_ascii=False)
    except (QueueError, ValueError):
        text = f"<{type(value).__name__}>"
    return cut(printable(text), MAX_VALUE_CHARS)


def cut(text: str, max_chars: int) -> str:
    """The text, or its beginning and three dots."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 3]}..."


def printable(text: str) -> str:
    """The text with every character escaped that a terminal might obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
