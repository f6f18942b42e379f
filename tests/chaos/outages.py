"""When nobody could have taken work over: a server was down, or no worker was up, running and connected."""

from tests.chaos.ground import Ground, Party
from tests.chaos.ledger import mono_ms
from tests.workers import has_logged

Span = tuple[float, float]


class Outages:
    """Looks at a ground now and then; what it says is as exact as it is asked often."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._ready: dict[str, int] = {}
        self._ended: list[Span] = []
        self._since_ms: float | None = None

    @property
    def spans(self) -> list[Span]:
        """From when to when, by the monotonic clock; one that goes on ends now."""
        return [*self._ended, (self._since_ms, mono_ms())] if self._since_ms is not None else [*self._ended]

    def look(self, *, is_store_up: bool) -> None:
        """Take in how it is now."""
        rabbit = self._ground.rabbit
        are_servers_up = is_store_up and (rabbit is None or rabbit.is_up)
        is_able = any(self._is_able(party) for party in self._ground.workers) and are_servers_up
        if is_able and self._since_ms is not None:
            self._ended.append((self._since_ms, mono_ms()))
            self._since_ms = None
        elif not is_able and self._since_ms is None:
            self._since_ms = mono_ms()

    def _is_able(self, party: Party) -> bool:
        if not party.worker.is_alive or party.is_paused or any(link.is_blocked for link in party.links):
            return False
        if self._ready.get(party.name) != party.worker.pid and has_logged(party.worker):
            self._ready[party.name] = party.worker.pid
        return self._ready.get(party.name) == party.worker.pid
