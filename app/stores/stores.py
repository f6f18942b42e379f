"""All stores of one database."""

from app.stores.api_keys import ApiKeys
from app.stores.chunks import Chunks
from app.stores.clock import Clock, utc_now
from app.stores.mongo import Mongo
from app.stores.notifications import Notifications
from app.stores.reports import Reports
from app.stores.source_runs import SourceRuns
from app.stores.sources import Sources
from app.stores.task_history import TaskHistory


class Stores:
    """The stores, built on one database; connects to nothing until one of them is used.

    Args of the constructor: the database, and the clock that stamps what is written.
    """

    def __init__(self, mongo: Mongo, clock: Clock = utc_now) -> None:
        self.mongo = mongo
        self.sources = Sources(mongo, clock)
        self.source_runs = SourceRuns(mongo, clock)
        self.chunks = Chunks(mongo, self.sources, clock)
        self.notifications = Notifications(mongo, clock)
        self.reports = Reports(mongo)
        self.task_history = TaskHistory(mongo)
        self.api_keys = ApiKeys(mongo, clock)

    async def prepare(self) -> None:
        """Make the indexes of every collection; safe to repeat, and from several processes at once.

        Raises:
            StoreUnavailableError: MongoDB cannot be reached.
        """
        await self.mongo.ensure_indexes()

    async def close(self) -> None:
        """Close this process's connections."""
        await self.mongo.close()
