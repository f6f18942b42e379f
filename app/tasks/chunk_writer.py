"""The chunks of one run, written a batch at a time."""

import logging

from app.stores.chunks import Chunks, NewChunk
from app.stores.errors import StoreUnavailableError
from app.tasks.source_run import SourceRun
from queues import current

logger = logging.getLogger(__name__)

# About 64,000 characters a write: few round trips, and little to hold.
BATCH_CHUNKS = 64


class ChunkWriter:
    """Writes chunks under the run's token, and counts them. Holds one batch.

    Args of the constructor: the store, and the run, which has begun.
    """

    def __init__(self, store: Chunks, run: SourceRun) -> None:
        self._store = store
        self._run = run
        self._batch: list[NewChunk] = []
        self.chunks = 0
        self.characters = 0

    async def add(self, chunk: NewChunk) -> None:
        """Take a chunk; written when the batch is full.

        Raises:
            LeaseLostError, TaskCancelledError: the run must stop; looked at before each write.
        """
        self._batch.append(chunk)
        self.chunks += 1
        self.characters += len(chunk.text)
        if len(self._batch) >= BATCH_CHUNKS:
            await self.flush()

    async def flush(self) -> None:
        """Write what is held; call it once more at the end."""
        current.check()
        await self._store.write(self._run.source, self._run.token, self._batch)
        self._batch.clear()


async def remove_older(store: Chunks, source_id: str, token: int) -> None:
    """Remove the chunks of older runs, which nobody sees any more; what is left, cleanup removes."""
    try:
        await store.remove_older(source_id, token)
    except StoreUnavailableError as exc:
        # The new chunks are already what readers see: to run the whole task again for this would be worse.
        logger.warning("older chunks of %s are left for cleanup: %s", source_id, exc)
