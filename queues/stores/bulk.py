"""Operations as calls of scripts, where one call may admit many messages.

Most of what a call costs, in this process and in the server, is the same for one message and for fifty.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from queues.idempotency.pipeline import Requests
from queues.idempotency.state import Admit, Answer, Duplicate, Kind, State
from queues.stores import scripts
from queues.stores.scripts import Argument, Call, Keys

TOGETHER = 50
"""Messages of one call; for a quarter of a millisecond the server does nothing else."""
TOGETHER_BYTES = 64 * 1024
"""Nor does a call go on when its messages are so long."""
Admissions = Sequence[tuple[str, Admit]]


class Batch:
    """Several operations as calls, and what the replies say.

    Args:
        may_join: whether a call may be about the keys of several records, which a cluster refuses.
    """

    def __init__(self, keys: Keys, requests: Requests, now_ms: int | None, *, may_join: bool) -> None:
        self._keys = keys
        self._requests = requests
        self._now_ms = now_ms
        self._answers: list[Any] = []
        self._left: list[int] = []
        # What is left of an admission is asked for later, and so after what follows it: only others' admissions may.
        self._joining = [(d, o) for d, o in requests if type(o) is Admit and o.duplicate is Duplicate.JOIN]
        if may_join and len(self._joining) == len(requests):
            self._parts = [*_parts(self._joining)]
        else:
            self._parts = [range(at, at + 1) for at in range(len(requests))]
        self.calls = [self._call(part) for part in self._parts]

    def taken(self, replies: Sequence[Any]) -> list[Call]:
        """Take the replies to the calls; what is to be called yet.

        Messages of whose work something was there are asked for by themselves, and so are all of a call that the
        server refused: each is told its own error.
        """
        for part, reply in zip(self._parts, replies, strict=True):
            if len(part) == 1:
                self._answers.append(_answer(reply))
                continue
            self._left += part if isinstance(reply, Exception) else [part[place - 1] for place in reply]
            admitted = self._joining[part.start : part.stop]
            self._answers += [Answer(Kind.ADMITTED, operation.message_id, State.QUEUED) for _, operation in admitted]
        return [self._call(range(at, at + 1)) for at in self._left]

    def answers(self, replies: Sequence[Any]) -> list[Any]:
        """The answer to each operation; in the place of one may stand the server's error.

        Args:
            replies: to the calls that were to be made yet.
        """
        for at, reply in zip(self._left, replies, strict=True):
            self._answers[at] = _answer(reply)
        return self._answers

    def _call(self, part: range) -> Call:
        if len(part) == 1:
            return scripts.call(self._keys, *self._requests[part[0]], self._now_ms)
        return joined(self._keys, self._joining[part.start : part.stop], self._now_ms)


class Batches:
    """Makes the batches of a pipeline: of messages of whose work something is there, many are admitted in vain."""

    def __init__(self, keys: Keys, now: Callable[[], int | None]) -> None:
        self._keys = keys
        self._now = now
        self._are_most_new = True

    def batch(self, requests: Requests) -> Batch:
        """The next batch."""
        return Batch(self._keys, requests, self._now(), may_join=self._are_most_new)

    def answered(self, answers: list[Any]) -> list[Answer]:
        """The answers to a batch; the first error that stands in the place of one is raised."""
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        self._are_most_new = 2 * sum(answer.kind is Kind.ADMITTED for answer in answers) >= len(answers)
        return answers


def joined(keys: Keys, requests: Admissions, now_ms: int | None = None) -> Call:
    """The call that admits messages which are alike in all but their work."""
    locks, leases, arguments = list[str](), list[str](), list[Argument]()
    first = requests[0][1]
    publication = first.publication
    has_payload = publication is not None and bool(publication.hash_key)
    for digest, operation in requests:
        lock, result, index = keys.of(digest)
        locks += (lock, result)
        leases.append(index)
        arguments += (digest, operation.message_id, operation.message)
        if operation.publication is not None:
            arguments.append(operation.publication.entry)
            if has_payload:
                arguments.append(operation.publication.payload)
    names = [] if publication is None else [publication.list_key, *([publication.hash_key] if has_payload else [])]
    end = "L" if publication is not None and publication.is_left else "R"
    width = len(arguments) // len(requests)
    head = ("" if now_ms is None else now_ms, len(requests), first.help_after_ms, first.ttl_ms, end, width)
    return Call(scripts.script("admit_many"), (*locks, *leases, *names), (*head, *arguments))


def _parts(requests: Admissions) -> Iterator[range]:
    """The places of what one call admits, in order."""
    start, size, last = 0, 0, None
    for at, (_, operation) in enumerate(requests):
        way = _way(operation)
        if at > start and (way is None or way != last or at - start == TOGETHER or size >= TOGETHER_BYTES):
            yield range(start, at)
            start, size = at, 0
        last = way
        size += _bytes(operation)
    if requests:
        yield range(start, len(requests))


def _way(operation: Admit) -> tuple[object, ...] | None:
    """What messages that are admitted together have in common; None for one that is admitted by itself."""
    if operation.fingerprint or operation.quiet_ms or operation.is_held or operation.begin_by_ms:
        return None
    place = operation.publication
    where = () if place is None else (place.list_key, place.is_left, place.hash_key)
    return (operation.help_after_ms, operation.ttl_ms, where)


def _bytes(operation: Admit) -> int:
    place = operation.publication
    return len(operation.message) + (0 if place is None else len(place.entry) + len(place.payload))


def _answer(reply: Any) -> Any:
    return reply if isinstance(reply, Exception) else scripts.answer(reply)
