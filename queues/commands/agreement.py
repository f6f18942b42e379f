"""How a change is agreed to: what will happen is shown first."""

from queues.commands.session import Exit, Session


def is_agreed(session: Session, lines: list[str], *, yes: bool) -> bool:
    """Whether the change may be made; it was told when it may not.

    Args:
        lines: what will happen.
        yes: it was agreed to on the command line.
    """
    terminal = session.terminal
    if not terminal.is_json:
        for line in lines:
            terminal.line(line)
    if yes or (terminal.is_interactive and not terminal.is_json and terminal.ask("Do it?")):
        return True
    tell(session, Exit.REFUSED, "refused", "Nothing was changed. --yes agrees to it.")
    return False


def tell(session: Session, code: Exit, outcome: str, text: str, **more: object) -> int:
    """Say what came of it, and `more` to a program; the exit status."""
    if session.terminal.is_json:
        session.terminal.document({"outcome": outcome, "message": text, **more})
    else:
        session.terminal.line(text)
    return code
