"""`queues dead-letters`: what came to nothing; look at it, run it again, or drop it."""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from queues import codec
from queues.client import Queue
from queues.clock import SystemClock
from queues.commands.agreement import is_agreed, tell
from queues.commands.session import Exit, Session
from queues.dead_letter import DeadLetter
from queues.dead_letters import DeadLetters
from queues.doctor.application import queue_of
from queues.errors import DeadLetterNotFoundError, InvalidMessageError, InvalidOptionError, KeyConflictError
from queues.explanation import ago, duration, moment
from queues.handle import Access, Decision
from queues.idempotency.recovery import LONGEST_PERIOD_MS
from queues.inspection import cut, printable, shortened
from queues.stores.redis import RedisStore
from queues.stores.redis_async import async_redis_store
from queues.tasks import Tasks

ERROR_CHARS = 60
CONTENT_CHARS = 4_000


def list_(arguments: argparse.Namespace, session: Session) -> int:
    """List dead letters, the newest first."""
    with _letters(arguments, session) as letters:
        before = letters.get(arguments.before) if arguments.before else None
        found = letters.list(task=arguments.task, limit=arguments.limit + 1, before=before)
        totals = letters.totals()
    page, has_more, has_args = found[: arguments.limit], len(found) > arguments.limit, not arguments.no_args
    if session.terminal.is_json:
        rows = [_document(letter, has_args=has_args) for letter in page]
        counts = {"kept": totals.kept, "made_room": totals.removed}
        session.terminal.document({"dead_letters": rows, "has_more": has_more, **counts})
        return Exit.DONE
    if not page:
        session.terminal.line(f"No dead letters of that kind in {session.place}.")
        return Exit.DONE
    columns = ("FAILED", "TASK", "ID", "ATTEMPTS", "LOST", "ERROR")
    now_ms = SystemClock().now_ms()
    session.terminal.table(columns, [_row(letter, now_ms, has_args=has_args) for letter in page])
    if has_more:
        session.terminal.line(f"There are more than these {len(page)}: see --limit, and --before {page[-1].id}")
    if totals.removed:
        session.terminal.line(f"{totals.removed} older ones made room for newer ones: see the README on dead letters.")
    return Exit.DONE


def show(arguments: argparse.Namespace, session: Session) -> int:
    """Print one dead letter, with its message and traceback."""
    with _letters(arguments, session) as letters:
        letter = _found(arguments, session, letters)
    if letter is None:
        return Exit.NOT_FOUND
    has_args = not arguments.no_args
    if session.terminal.is_json:
        session.terminal.document(_document(letter, has_args=has_args) | _details(letter, has_args=has_args))
        return Exit.DONE
    terminal = session.terminal
    title = f"{printable(letter.task or 'A message')} {'is dead' if letter.is_dead else 'failed'}"
    terminal.line(terminal.styled(title, "strong"))
    terminal.line()
    terminal.fields(_facts(letter, has_args=has_args))
    if has_args and letter.problem:
        terminal.line()
        terminal.line("What was on the queue")
        terminal.line(f"  {cut(_text(letter.content), CONTENT_CHARS)}")
    if has_args and letter.error.traceback:
        terminal.line()
        terminal.line("Traceback")
        for line in letter.error.traceback.splitlines():
            terminal.line(f"  {line}")
    return Exit.DONE


def replay(arguments: argparse.Namespace, session: Session) -> int:
    """Run the work of a dead letter again."""
    changes = {"args": _json(arguments.args, list), "kwargs": _json(arguments.kwargs, dict)}
    if any(value is not None for value in changes.values()) and not arguments.app:
        msg = "other arguments make another key, which the task computes: name the application, --app MODULE:QUEUE"
        raise InvalidOptionError(msg)
    asked: dict[str, Any] = {"release_key": arguments.release_key, **changes}
    with _letters(arguments, session) as letters:
        letter = _found(arguments, session, letters)
        if letter is None:
            return Exit.NOT_FOUND
        plan = letters.plan(letter.id, **asked)
        text = f"{'Refused' if plan.decision is None else plan.decision.value.capitalize()}: {plan.why}."
        if arguments.dry_run:
            decision = plan.decision.value if plan.decision is not None else None
            return tell(session, Exit.DONE, "dry_run", text, decision=decision, key=plan.key)
        if plan.decision is None:
            return tell(session, Exit.REFUSED, "refused", text)
        if not is_agreed(session, [_title(letter), text], yes=arguments.yes):
            return Exit.REFUSED
        try:
            handle = letters.replay(letter.id, **asked)
        except (DeadLetterNotFoundError, KeyConflictError, InvalidMessageError) as exc:
            return tell(session, Exit.NOT_FOUND, "unchanged", f"Not replayed, it changed meanwhile: {exc}.")
    if handle.decision in (Decision.JOINED, Decision.REPLAYED, Decision.SKIPPED):
        text = f"Nothing was queued, and the letter stays: {handle.id} answers ({handle.decision.value})."
        return tell(session, Exit.NOT_FOUND, "unchanged", text, decision=handle.decision.value, id=handle.id)
    within = duration(LONGEST_PERIOD_MS)
    text = f"Queued as {handle.id}: a worker that knows the task takes it within {within}."
    return tell(session, Exit.DONE, "replayed", text, decision=handle.decision.value, id=handle.id)


def drop(arguments: argparse.Namespace, session: Session) -> int:
    """Remove a dead letter."""
    with _letters(arguments, session) as letters:
        letter = _found(arguments, session, letters)
        if letter is None:
            return Exit.NOT_FOUND
        if not is_agreed(session, [_title(letter), "It would be removed, and its message with it."], yes=arguments.yes):
            return Exit.REFUSED
        if not letters.drop(letter.id):
            return tell(session, Exit.NOT_FOUND, "unchanged", "It was replayed or dropped meanwhile.")
    return tell(session, Exit.DONE, "dropped", "Dropped.")


def purge(arguments: argparse.Namespace, session: Session) -> int:
    """Remove many dead letters."""
    of_task = f" of {printable(arguments.task)}" if arguments.task else ""
    age = f" older than {duration(round(arguments.older_than * 1000))}" if arguments.older_than else ""
    plan = f"Every dead letter{of_task}{age} in {session.place} would be removed, and its message with it."
    if not is_agreed(session, [plan], yes=arguments.yes):
        return Exit.REFUSED
    with _letters(arguments, session) as letters:
        removed = letters.purge(task=arguments.task, older_than=arguments.older_than)
    return tell(session, Exit.DONE, "purged", f"{removed} removed.", removed=removed)


@contextmanager
def _letters(arguments: argparse.Namespace, session: Session) -> Iterator[DeadLetters]:
    application = getattr(arguments, "app", None)
    if application:
        queue: Queue = queue_of(application)
        yield queue.dead_letters
        return
    store = RedisStore(session.redis_url, prefix=session.prefix)
    async_store = async_redis_store(session.redis_url, prefix=session.prefix)
    access = Access(store, async_store, SystemClock(), lambda ms: time.sleep(ms / 1000))
    try:
        yield DeadLetters(store.letters, access, Tasks())
    finally:
        store.close()


def _found(arguments: argparse.Namespace, session: Session, letters: DeadLetters) -> DeadLetter | None:
    try:
        return letters.get(arguments.letter)
    except DeadLetterNotFoundError:
        text = f"No dead letter of {printable(arguments.letter)} in {session.place}."
        tell(session, Exit.NOT_FOUND, "unknown", text)
        return None


def _title(letter: DeadLetter) -> str:
    return f"{printable(letter.task or 'message')} {printable(letter.id)}"


def _json(text: str | None, kind: type) -> Any:
    if text is None:
        return None
    try:
        value = codec.loads(text.encode())
    except InvalidMessageError as exc:
        msg = f"{text[:80]!r}: {exc}"
        raise InvalidOptionError(msg) from exc
    if not isinstance(value, kind):
        msg = f"{text[:80]!r}: --args takes a JSON list, --kwargs a JSON object"
        raise InvalidOptionError(msg)
    return value


def _row(letter: DeadLetter, now_ms: int, *, has_args: bool) -> tuple[str, ...]:
    error = letter.error
    said = f"{error.type}: {error.message}" if has_args and error.message else error.type
    return (
        ago(now_ms, letter.failed_ms),
        printable(letter.task or "?"),
        printable(letter.id),
        str(letter.attempts or "-"),
        str(letter.lost or "-"),
        cut(printable(said), ERROR_CHARS),
    )


def _facts(letter: DeadLetter, *, has_args: bool) -> list[tuple[str, str]]:
    error = letter.error
    facts = [
        ("id", printable(letter.id)),
        ("key", letter.key),
        ("queue", printable(letter.queue or "")),
        ("arguments", cut(_arguments(letter), CONTENT_CHARS) if has_args else ""),
        ("submitted", moment(letter.created_ms) if letter.created_ms else ""),
        ("failed", moment(letter.failed_ms)),
        ("attempts", str(letter.attempts) if letter.attempts else "none: it was refused"),
        ("takeovers", str(letter.lost) if letter.lost else ""),
        ("error", printable(error.type)),
        ("code", printable(error.code or "")),
        ("message", printable(error.message) if has_args else ""),
        ("problem", printable(letter.problem) if has_args else "cannot be run by this version" * bool(letter.problem)),
        ("forgotten", moment(letter.expires_ms)),
    ]
    return [(name, value) for name, value in facts if value]


def _arguments(letter: DeadLetter) -> str:
    return ", ".join(
        [*map(shortened, letter.args), *(f"{name}={shortened(value)}" for name, value in letter.kwargs.items())]
    )


def _document(letter: DeadLetter, *, has_args: bool) -> dict[str, Any]:
    error = {"type": letter.error.type, "code": letter.error.code}
    if has_args:
        error |= {"message": letter.error.message}
    return {
        "id": letter.id,
        "key": letter.key,
        "task": letter.task,
        "queue": letter.queue,
        "state": "dead" if letter.is_dead else "failed",
        "attempts": letter.attempts,
        "lost": letter.lost,
        "created_ms": letter.created_ms or None,
        "failed_ms": letter.failed_ms,
        "expires_ms": letter.expires_ms,
        "error": error,
        "is_runnable": not letter.problem,
    }


def _details(letter: DeadLetter, *, has_args: bool) -> dict[str, Any]:
    if not has_args:
        return {}
    arguments = {"args": json.loads(codec.dumps(letter.args)), "kwargs": json.loads(codec.dumps(letter.kwargs))}
    said = {"traceback": letter.error.traceback, "problem": letter.problem or None}
    return {**arguments, **said, "content": _text(letter.content)}


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")
