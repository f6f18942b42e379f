"""`queues explain`: the story of one task."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from queues.commands.session import Exit, Session
from queues.explanation import NO_RECORD, ago, answer_of, delivery, duplicate, duration, limited, moment, story
from queues.idempotency.key import explicit_digest
from queues.idempotency.letters import Letter
from queues.idempotency.state import State
from queues.inspection import Inspector, Work, printable, progress
from queues.stores.redis_waits import RateWait, SlotWait

Limit = RateWait | SlotWait | None


def explain(arguments: argparse.Namespace, session: Session) -> int:
    """Print what the record of a key or an id tells."""
    text = arguments.work
    if arguments.task:
        text = explicit_digest(arguments.task, arguments.key_version, arguments.scope, arguments.work)
    with session.inspector() as inspector:
        digest, work = inspector.find(text)
        if work is None:
            return _unknown(arguments, session, digest, inspector)
        letters = _letters(inspector, [text, work.record.owner])
        limit = inspector.limit_of(work)
    has_args = not arguments.no_args
    if session.terminal.is_json:
        dead = [letter.id for letter in letters]
        session.terminal.document({**_document(work, text, limit, has_args=has_args), "dead_letters": dead})
    else:
        _print(work, text, limit, letters, session, has_args=has_args)
    return Exit.DONE


def _unknown(arguments: argparse.Namespace, session: Session, digest: str, inspector: Inspector) -> int:
    unfinished = sum(1 for _ in inspector.listing.live())
    letters = _letters(inspector, [arguments.work])
    if session.terminal.is_json:
        unknown = {"key": digest or None, "state": State.UNKNOWN.value, "unfinished": unfinished}
        dead = [letter.id for letter in letters]
        session.terminal.document({**unknown, "story": list(NO_RECORD), "dead_letters": dead})
        return Exit.NOT_FOUND
    terminal = session.terminal
    terminal.line(f"No record of {printable(arguments.work)} in {session.place}, which holds {unfinished} unfinished.")
    terminal.line()
    terminal.line("What that can mean")
    for sentence in [*map(_kept, letters), *NO_RECORD]:
        terminal.line(f"  - {sentence}")
    if inspector.listing.is_cut:
        terminal.line("  - Its outcome is among those that were not looked at: there are very many keys.")
    return Exit.NOT_FOUND


def _letters(inspector: Inspector, message_ids: Sequence[str]) -> list[Letter]:
    found = [inspector.letters.get(message_id) for message_id in dict.fromkeys(message_ids)]
    return [letter for letter in found if letter is not None]


def _kept(letter: Letter) -> str:
    when = f"it came to nothing {moment(letter.failed_ms)}, and is kept until {moment(letter.expires_ms)}"
    return f"There is a dead letter of it: {when}. `queues dead-letters show {letter.id}` tells more."


def _document(work: Work, text: str, limit: Limit, *, has_args: bool) -> dict[str, object]:
    if work.record.state is State.UNKNOWN:
        return {"key": work.digest, "state": State.UNKNOWN.value, "problem": work.problem}
    return {
        **work.as_json(has_args=has_args),
        "story": [*_other_owner(work, text), *story(work), *_limited(limit)],
        "limit": None if limit is None else {"kind": limit.kind, **asdict(limit)},
        "duplicate": asdict(duplicate(work.record, work.now_ms)),
        "delivery": asdict(delivery(work.record, work.now_ms)),
    }


def _print(work: Work, text: str, limit: Limit, letters: Sequence[Letter], session: Session, *, has_args: bool) -> None:
    terminal = session.terminal
    if work.record.state is State.UNKNOWN:
        terminal.line(f"What lies under the key {work.digest} cannot be read: {work.problem}")
        return
    verb = "has" if work.record.state is State.FAILED else "is"
    title = f"{printable(work.task or 'Work')} {verb} {work.record.state.value}"
    terminal.line(terminal.styled(title + (", and overdue" if work.is_overdue else ""), "strong"))
    terminal.line()
    terminal.fields(_facts(work, has_args=has_args))
    terminal.line()
    terminal.line("What happened")
    for sentence in [*_other_owner(work, text), *story(work), *_limited(limit), *map(_kept, letters)]:
        terminal.line(f"  - {sentence}")
    terminal.line()
    terminal.line("What would happen now")
    submitted, delivered = duplicate(work.record, work.now_ms), delivery(work.record, work.now_ms)
    terminal.line(f"  - Submitted: {submitted.decision}; {submitted.why}.")
    terminal.line(
        f"  - Delivered: {delivered.decision}; {delivered.why}{', when its limit allows it' * (limit is not None)}."
    )


def _facts(work: Work, *, has_args: bool) -> list[tuple[str, str]]:
    r, now_ms = work.record, work.now_ms
    said = progress(r)
    facts = [
        ("id", r.owner),
        ("key", work.digest),
        ("queue", printable(work.message.queue) if work.message is not None else ""),
        ("arguments", work.arguments() if has_args else ""),
        ("submitted", f"{moment(r.created_ms)}, {ago(now_ms, r.created_ms)}" if r.created_ms else ""),
        ("attempt", str(work.attempt) if r.token else "none yet"),
        ("token", str(r.token) if r.token else ""),
        ("takeovers", str(r.lost) if r.lost else ""),
        ("lease", f"until {moment(r.until_ms)}" if r.state is State.RUNNING else ""),
        ("retry due", moment(r.until_ms) if r.state is State.WAITING else ""),
        ("due", moment(r.until_ms) if r.state is State.QUEUED and r.until_ms else ""),
        ("begin by", f"{moment(r.begin_by_ms)}, or it expires" if r.begin_by_ms else ""),
        ("progress", _progress_text(said, has_args=has_args) if said is not None else ""),
        ("finished", f"{moment(r.finished_ms)}, {ago(now_ms, r.finished_ms)}" if r.finished_ms else ""),
        ("answer", answer_of(work, has_args=has_args)),
        ("recovery", _recovery_text(work)),
        ("forgotten", f"{moment(r.expires_ms)}, in {duration(r.expires_ms - now_ms)}"),
    ]
    return [(name, value) for name, value in facts if value]


def _recovery_text(work: Work) -> str:
    r = work.record
    if not r.state.is_live:
        return ""
    at = moment(r.help_at_ms)
    return f"publishes it at {at}" if r.is_held else f"publishes it again at {at}, unless it goes on"


def _progress_text(said: dict[str, object], *, has_args: bool) -> str:
    total = f" of {said['total']}" if said["total"] is not None else ""
    note = f": {said['note']}" if said["note"] and has_args else ""
    return printable(f"{said['done']}{total}{note}")


def _limited(limit: Limit) -> list[str]:
    return [] if limit is None else [limited(limit)]


def _other_owner(work: Work, text: str) -> list[str]:
    if "-" not in text or text == work.record.owner:
        return []
    return [f"{text} is not the message that stands for this work now: it joined it, or was followed by it."]
