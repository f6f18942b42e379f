"""What the routes work with; one of these a process, made in `app.main`."""

import asyncio
from dataclasses import dataclass, field

from app.api.access import KeyRing
from app.api.cursors import CursorSigner
from app.api.history import History
from app.api.idempotency import Idempotency
from app.api.orders import Catalogue
from app.search import Search
from app.settings import Settings
from app.stores.http_idempotency import HttpIdempotencyStore
from app.stores.limits import RateLimit, TaskLimit
from app.stores.redis import Client
from app.stores.stores import Stores
from app.stores.uploads import Uploads
from queues import Queue


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that outlives a request.

    Attributes:
        closing: set when the server is about to stop, so that open event streams end.
        poll_s: seconds between two looks at a task that is watched, at the fastest.
        heartbeat_s: seconds of silence after which an event stream says that it lives.
    """

    settings: Settings
    redis: Client
    queue: Queue
    stores: Stores
    uploads: Uploads
    keys: KeyRing
    signer: CursorSigner
    rate: RateLimit
    places: TaskLimit
    idempotency_store: HttpIdempotencyStore
    idempotency: Idempotency
    history: History
    catalogue: Catalogue
    search: Search
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    poll_s: float = 0.1
    heartbeat_s: float = 15.0
