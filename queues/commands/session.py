"""What every command is given: where the records are, and where its answer goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

from queues.inspection import Inspector
from queues.redaction import without_password
from queues.stores.redis_listing import RedisListing
from queues.terminal import Terminal


class Exit(IntEnum):
    """What a command's exit status says."""

    DONE = 0
    """Done; of `doctor`: nothing found."""
    NOT_FOUND = 1
    """No such work, or nothing of it can be changed; of `doctor`: warnings; of `migrate`: something is left."""
    BROKEN = 2
    """Of `doctor` only: the guarantee does not hold."""
    NO_REDIS = 3
    """Redis or a broker does not answer, or refuses."""
    REFUSED = 4
    """A change that was not confirmed, or must not be made."""
    USAGE = 64
    """The command line, a URL or a module cannot be used."""
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command.

    Args:
        redis_url: of the records.
        prefix: before their keys.
    """

    redis_url: str
    prefix: str
    terminal: Terminal

    @property
    def place(self) -> str:
        """Where the records are, for a person; no password."""
        server = without_password(self.redis_url)
        return f"{server}, prefix {self.prefix!r}" if self.prefix else server

    @contextmanager
    def inspector(self) -> Iterator[Inspector]:
        """The views over the records."""
        listing = RedisListing(self.redis_url, prefix=self.prefix)
        try:
            yield Inspector(listing)
        finally:
            listing.close()
