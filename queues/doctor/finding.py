"""What a check tells."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters, the worst first."""

    BROKEN = "broken"
    """The guarantee does not hold here, or will not when something dies."""
    WARNING = "warning"
    """Work is late, repeated or refused under circumstances that happen."""
    NOTE = "note"
    """Declared or harmless; worth to know."""
    UNSEEN = "unseen"
    """The server does not show it."""
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of the doctor.

    Args:
        check: its name; the same in every version.
        seen: what is so.
        means: what follows from it.
        mend: what to do.
        see: the section of the README about it.
    """

    check: str
    severity: Severity
    seen: str
    means: str = ""
    mend: str = ""
    see: str = "Running in production"


def good(check: str, seen: str) -> Finding:
    """Nothing is wrong there."""
    return Finding(check, Severity.GOOD, seen)


def unseen(check: str, what: str) -> Finding:
    """The server does not show it."""
    return Finding(
        check, Severity.UNSEEN, f"{what} cannot be seen: the server does not show it to this user", mend="ask its owner"
    )
