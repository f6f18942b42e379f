"""An outcome, read by one plain command.

Of work that has ended, it answers what `look.lua` does. The result's key stands only while the lock's does not, so
that one look at it is a look at the whole record. Measured on a server, it costs what a GET does; the script, a fifth
more.
"""

from collections.abc import Sequence

from queues.idempotency.state import Answer, Kind, Look, State
from queues.stores.scripts import NOTHING, Argument, Keys

FIELDS = ("state", "fingerprint", "owner", "token", "outcome", "cached", "ran")
KINDS = {
    b"completed": (Kind.REPLAY, State.COMPLETED),
    b"failed": (Kind.REPLAY_ERROR, State.FAILED),
    b"dead": (Kind.DEAD, State.DEAD),
}
MISS = Answer(Kind.MISS)


def command(keys: Keys, digest: str) -> tuple[Argument, ...]:
    """What reads the outcome of a key."""
    return ("HMGET", keys.result(digest), *FIELDS)


def answer(digest: str, reply: Sequence[bytes | None], request: Look) -> Answer:
    """What the reply says to a look for an outcome."""
    state, fingerprint, owner, token, outcome, cached, ran = reply
    # A failure that is not cached answers its own message only.
    if state is None or owner is None or (state == b"failed" and cached != b"1"):
        return MISS
    if (fingerprint or b"").decode() != request.fingerprint:
        return MISS
    kind, ended = KINDS[state]
    if ran is not None:  # it is stored short
        owner, outcome = digest.encode() + owner, outcome or NOTHING
    return Answer(kind, owner.decode(), ended, int(token or 0), outcome=outcome or b"")
