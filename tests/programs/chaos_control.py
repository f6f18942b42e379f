"""Ways to break the library on purpose: a run under each shows that the judge sees what it is there to see."""

import hashlib

from queues.idempotency.recovery import Recovery
from queues.stores import scripts

LIVE_LEASE_IS_BUSY = "if record['until'] > now then"


def skip() -> None:
    """Nobody looks for work that was left; with a lossy task this is the scheme of SET NX and skip."""
    Recovery.look = lambda self: 0  # type: ignore[method-assign] # the point of it


def two_leases() -> None:
    """A lease is given although another is live."""
    original = scripts.script

    def broken(name: str) -> scripts.Script:
        script = original(name)
        if name != "begin":
            return script
        source = script.source.replace(LIVE_LEASE_IS_BUSY, "if false then")
        if source == script.source:
            msg = f"begin.lua does not hold {LIVE_LEASE_IS_BUSY!r} any more"
            raise RuntimeError(msg)
        return scripts.Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

    scripts.script = broken  # type: ignore[assignment] # the point of it


CONTROLS = {"skip": skip, "two-leases": two_leases}
