"""Dead letters: work that was given up and messages that were refused, to be looked at, run again, or dropped."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from queues.asking import named
from queues.call import Call
from queues.dead_letter import DeadLetter, fresh, read
from queues.errors import DeadLetterNotFoundError, InvalidMessageError, InvalidOptionError
from queues.handle import Access, Decision, Handle
from queues.idempotency import machine
from queues.idempotency.burial import Drop
from queues.idempotency.letters import Letters, Totals
from queues.idempotency.state import Admit, Kind
from queues.replay import Plan, decided, planned, revival
from queues.task import AnyTask
from queues.tasks import Tasks

P = ParamSpec("P")
R = TypeVar("R")

PAGE = 100
Page = list[DeadLetter]
"""Named, because the class has a method of the name `list`."""


def _twin(
    method: "Callable[Concatenate[DeadLetters, P], R]",
) -> "Callable[Concatenate[DeadLetters, P], Coroutine[Any, Any, R]]":
    """The method for an event loop.

    It waits in a thread: letters are looked at by people, and a replay is several steps that must all be made.
    """

    async def twin(self: "DeadLetters", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self, *args, **kwargs)

    update_wrapper(twin, method)
    twin.__name__ = f"{method.__name__}_async"
    twin.__qualname__ = f"{method.__qualname__}_async"
    twin.__doc__ = (
        f"As `{method.__name__}`, without blocking the event loop; once begun it is carried out, whatever cancels its "
        "caller."
    )
    return twin


class DeadLetters:
    """The dead letters of a queue; every method raises StoreUnavailableError when the store does not answer.

    Args:
        tasks: needed to replay with other arguments only.
    """

    def __init__(self, letters: Letters, access: Access, tasks: Tasks) -> None:
        self._letters = letters
        self._access = access
        self._tasks = tasks

    def list(self, *, task: str | None = None, limit: int = 50, before: DeadLetter | None = None) -> Page:
        """At most `limit` letters, the newest first.

        Args:
            task: of this task only.
            before: the last one of the page before this one.
        """
        page: list[DeadLetter] = []
        for letter in self._every(before):
            if len(page) >= limit:
                break
            if task is None or letter.task == task:
                page.append(letter)
        return page

    def get(self, message_id: str) -> DeadLetter:
        """The letter of that message.

        Raises:
            DeadLetterNotFoundError: there is none, or it is forgotten.
        """
        letter = self._letters.get(message_id)
        if letter is None:
            raise DeadLetterNotFoundError(message_id)
        return read(letter)

    def totals(self) -> Totals:
        """How many are kept, and how many made room for newer ones."""
        return self._letters.totals()

    def replay(
        self,
        message_id: str,
        *,
        release_key: bool = False,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Handle:
        """Run the work again, with a full set of attempts; a worker that knows the task begins it within seconds.

        The letter is removed in the step that queues the work, so that it runs once however often it is replayed.
        Where nothing is queued the letter stays, and the handle's decision says why: JOINED, the same work is in
        progress; REPLAYED, its key has an outcome that answers.

        Args:
            release_key: an outcome that is stored under the key gives way.
            args, kwargs: in place of its own; the key is computed from them, and only then must the task be known.

        Raises:
            DeadLetterNotFoundError: there is no such letter any more.
            InvalidMessageError: what it holds cannot be run by this version.
            KeyConflictError: the key was used since then with other arguments, and has an outcome.
            TaskNotFoundError, InvalidArgumentsError, UnencodableError: the other arguments cannot be sent.
            InvalidOptionError: other arguments together with `release_key`.
        """
        letter = self.get(message_id)
        if args is not None or kwargs is not None:
            _check_released(release_key)
            return self._replay_edited(letter, args, kwargs)
        message = fresh(letter)
        answer = self._access.store.apply(letter.key, revival(message, is_released=release_key))
        decision = decided(answer, letter)
        if decision is None:
            raise DeadLetterNotFoundError(message_id)
        return Handle(self._access, answer.owner, letter.key, decision)

    def plan(
        self,
        message_id: str,
        *,
        release_key: bool = False,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Plan:
        """What `replay` would do now; nothing is changed.

        Raises:
            DeadLetterNotFoundError, TaskNotFoundError, InvalidArgumentsError, UnencodableError: as `replay`.
        """
        letter = self.get(message_id)
        now_ms = self._access.clock.now_ms()
        if args is not None or kwargs is not None:
            _check_released(release_key)
            task, call = self._edited(letter, args, kwargs)
            key, fingerprint = named(task, call, task.bind(call.args, call.kwargs))
            record = self._access.store.read(key)
            answer = machine.admit(record, Admit(fingerprint, "a replay", b"", 1, 1), now_ms)[1]
        else:
            key = letter.key
            try:
                message = fresh(letter)
            except InvalidMessageError as exc:
                return Plan(None, key, str(exc))
            record = self._access.store.read(key)
            answer = machine.revive(record, revival(message, is_released=release_key), now_ms)[1]
        return planned(key, record, answer)

    def drop(self, message_id: str) -> bool:
        """Remove a letter; False when there is none."""
        letter = self._letters.get(message_id)
        return letter is not None and self._access.store.apply(letter.digest, Drop(message_id)).kind is Kind.OK

    def purge(self, *, task: str | None = None, older_than: float = 0.0) -> int:
        """Remove letters; how many that were.

        Args:
            task: of this task only.
            older_than: seconds ago at least that their work failed.
        """
        newest_ms = self._access.clock.now_ms() - round(older_than * 1000)
        chosen = [
            (letter.key, Drop(letter.id))
            for letter in self._every()
            if (task is None or letter.task == task) and (not older_than or letter.failed_ms <= newest_ms)
        ]
        removed = 0
        for start in range(0, len(chosen), PAGE):
            answers = self._access.store.apply_many(chosen[start : start + PAGE])
            removed += sum(answer.kind is Kind.OK for answer in answers)
        return removed

    list_async = _twin(list)  # noqa: A003 - the method, not the type
    get_async = _twin(get)
    totals_async = _twin(totals)
    replay_async = _twin(replay)
    plan_async = _twin(plan)
    drop_async = _twin(drop)
    purge_async = _twin(purge)

    def _every(self, before: DeadLetter | None = None) -> Iterator[DeadLetter]:
        cursor = (before.failed_ms, before.id) if before is not None else None
        while page := self._letters.newest(PAGE, cursor):
            yield from map(read, page)
            cursor = page[-1].cursor

    def _edited(
        self, letter: DeadLetter, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
    ) -> tuple[AnyTask, Call]:
        task = self._tasks.get(letter.task or "")
        given = tuple(letter.args if args is None else args), dict(letter.kwargs if kwargs is None else kwargs)
        return task, Call(*given)

    def _replay_edited(
        self, letter: DeadLetter, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
    ) -> Handle:
        # Admitted first: a crash in between leaves the letter, and replayed again it joins its own work.
        handle = self._tasks.sender.send(*self._edited(letter, args, kwargs))
        if handle.decision in (Decision.EXECUTED, Decision.REPLACED, Decision.FOLLOWS):
            self._access.store.apply(letter.key, Drop(letter.id))
        return handle


def _check_released(is_released: bool) -> None:
    if is_released:
        msg = "release_key is for a letter's own key: other arguments make another one"
        raise InvalidOptionError(msg)
