"""Scripts for one server, a batch of which is made while it works on the one before."""

from collections import deque
from collections.abc import Callable

from queues.idempotency.in_turn import InTurn
from queues.idempotency.pipeline import Requests
from queues.idempotency.state import Answer, replicas_wanted
from queues.idempotency.store import Store
from queues.stores.bulk import Batch, Batches
from queues.stores.connection import translated
from queues.stores.running import completed, run_many
from queues.stores.scripts import Keys
from queues.stores.single_server import SingleServer
from queues.stores.single_server_flow import Flow


class RedisPipeline:
    """The pipeline of a single server.

    Args:
        store: takes what replicas must have, one batch after another.
    """

    def __init__(self, client: SingleServer, keys: Keys, now: Callable[[], int | None], store: Store) -> None:
        self._client = client
        self._batches = Batches(keys, now)
        self._flow = Flow(client)
        self._in_turn = InTurn(store)
        self._sent: deque[Batch | None] = deque()

    def send(self, requests: Requests) -> None:
        """Send a batch, or have it answered where replicas must have it."""
        if any(replicas_wanted(operation) for _, operation in requests):
            self._in_turn.send(requests)
            self._sent.append(None)
            return
        batch = self._batches.batch(requests)
        with translated():
            self._flow.send([call.command for call in batch.calls])
        self._sent.append(batch)

    def receive(self) -> list[Answer]:
        """The answers to the oldest batch."""
        batch = self._sent.popleft()
        if batch is None:
            return self._in_turn.receive()
        with translated():
            replies = completed(self._client, batch.calls, self._flow.receive())
            return self._batches.answered(batch.answers(run_many(self._client, batch.taken(replies))))

    def close(self) -> None:
        """Give up what has not been received."""
        self._flow.close()
