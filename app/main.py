"""The API process: `python -m app.main`."""

import asyncio
import contextlib
import gc
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.api import openapi, uploads
from app.api.access import KeyRing, make_first_key
from app.api.boundary import Boundary, unexpected
from app.api.context import Context
from app.api.cursors import open_signer
from app.api.draining import Draining
from app.api.gate import Gate, Guards
from app.api.history import History
from app.api.idempotency import Idempotency
from app.api.orders import Catalogue
from app.api.routes import docs, health, metrics, sources, submissions, tasks
from app.api.translation import problem_of
from app.logs import use_json, uvicorn_config
from app.search import Search
from app.settings import Settings
from app.stores.errors import StoreError
from app.stores.history_backlog import HistoryBacklog
from app.stores.http_idempotency import HttpIdempotencyStore
from app.stores.limits import RateLimit, TaskLimit
from app.stores.mongo import Mongo
from app.stores.redis import RedisUnavailableError, close, connect
from app.stores.stores import Stores
from app.tasks.registry import build_tasks
from app.tasks.services import Services
from queues import Queue
from queues import connect as connect_queue
from queues.observers.metrics import PrometheusMetrics

VERSION = "1"
PREFIX = "/api/v1"
PREPARE_PAUSE_S = 1.0
PREPARE_WITHIN_S = 10.0
STOP_WITHIN_S = 5
GC_EVERY_OBJECTS = 5_000

_LOG = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    *,
    queue: Queue | None = None,
    mongo: Mongo | None = None,
    announce: Callable[[str], None] | None = None,
) -> FastAPI:
    """The API as an ASGI app; it connects when its lifespan begins, or with the first request.

    Args:
        settings: see `Settings`.
        queue: where tasks go; by default the backend that the settings choose.
        mongo: the database; by default the one in the settings.
        announce: gets the key that is made at the first start; by default it is printed on stdout.

    Raises:
        InvalidApiKeyError: `API_KEY` cannot be used.
    """
    app = FastAPI(
        title="onceq",
        version=VERSION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    context = _context(settings, queue, mongo)
    app.state.context = context
    app.state.owns_queue = queue is None
    app.state.guards = Guards(context.keys, context.rate)
    app.state.announce = announce or _print_key
    app.state.open_streams = set()
    app.add_middleware(Gate)
    # Added later, so further out: what the gate refuses goes through them too.
    app.add_middleware(Boundary)
    app.add_middleware(Draining)
    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer)
    _add_routes(app)
    return app


def _add_routes(app: FastAPI) -> None:
    for module in (submissions, tasks, sources):
        app.include_router(module.router, prefix=PREFIX)
    for module in (health, docs, metrics):
        app.include_router(module.router)
    openapi.install(app)


def _context(settings: Settings, queue: Queue | None, mongo: Mongo | None) -> Context:
    services = Services(settings)
    services.check()  # a channel that cannot work is told now, not with the first message
    stores = services.stores if mongo is None else Stores(mongo)
    if queue is None:
        queue = connect_queue(
            build_tasks(services),
            backend=settings.queues_backend,
            redis_url=settings.redis_url,
            broker_url=settings.broker_url,
            prefix=settings.queues_prefix,
            result_backend=settings.celery_result_backend,
            # Its own, and not those of the worker on the same machine, whatever QUEUES_METRICS_PORT says.
            observer=PrometheusMetrics(),
        )
    redis, prefix = connect(settings.redis_url), settings.queues_prefix
    idempotency_store = HttpIdempotencyStore(redis, prefix)
    return Context(
        settings=settings,
        redis=redis,
        queue=queue,
        stores=stores,
        uploads=services.uploads,
        keys=KeyRing(stores.api_keys, settings.api_key),
        signer=open_signer(settings),
        rate=RateLimit(redis, settings.rate_limit_per_minute, prefix),
        places=TaskLimit(redis, settings.concurrent_tasks_limit, queue.unfinished_async, prefix),
        idempotency_store=idempotency_store,
        idempotency=Idempotency(idempotency_store),
        history=History(HistoryBacklog(redis, prefix), stores.task_history),
        catalogue=Catalogue(queue.tasks, stores, services.uploads),
        search=Search(stores.sources, stores.chunks),
    )


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    preparing = asyncio.create_task(_prepare(context, app.state.announce))
    writing = asyncio.create_task(context.history.go_on_writing())
    # With its servers there, the service is ready before it listens. Without them it listens all the same, says
    # `degraded`, and gets ready when they come.
    await asyncio.wait([preparing], timeout=PREPARE_WITHIN_S)
    try:
        yield
    finally:
        context.closing.set()
        for task in (preparing, writing):
            task.cancel()
        await asyncio.gather(preparing, writing, return_exceptions=True)
        await context.history.close()
        await context.places.close()
        await close(context.redis)
        if app.state.owns_queue:
            await context.queue.close_async()
        await context.stores.close()


async def _prepare(context: Context, announce: Callable[[str], None]) -> None:
    """Make the indexes and the first key, and tidy up after a crash; tried until the servers answer."""
    while True:
        try:
            await asyncio.to_thread(uploads.sweep, context.uploads.root)
            await context.stores.prepare()
            if not context.keys.has_preset:
                await make_first_key(context.stores.api_keys, context.idempotency_store, announce)
        except (StoreError, RedisUnavailableError, OSError) as exc:
            _LOG.warning("not ready: %s", exc)
        else:
            return
        await asyncio.sleep(PREPARE_PAUSE_S)


async def _answer(_request: Request, error: Exception) -> Response:
    return (problem_of(error) or unexpected(error)).response()


def _print_key(key: str) -> None:
    # Not the log: logs are kept and read by others.
    sys.stdout.write(f"API key, shown only this once: {key}\n")
    sys.stdout.flush()


class _Server(uvicorn.Server):
    """The process's own: it ends the open event streams when it stops, instead of waiting for their clients."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and leave what that made out of the search for garbage: it stays, and cost a tenth of a request."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        # Requests leave few circles behind, and the usual 700 new objects are those of a few requests under way.
        gc.set_threshold(GC_EVERY_OBJECTS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: no new requests, open ones finish."""
        self._closing.set()
        await super().shutdown(sockets)


def main() -> None:
    """Serve the API as the environment says, until SIGTERM or SIGINT."""
    settings = Settings()
    serve(create_app(settings), settings)


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve the app at the settings' host and port, until SIGTERM or SIGINT."""
    # It warns of every malformed upload, and whoever sends those would write our log.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    use_json(settings)
    config = uvicorn.Config(
        app,
        log_config=uvicorn_config(settings),
        host=settings.host,
        port=settings.port,
        server_header=False,
        # Without it, a client may choose the address that is logged, and the scheme of our links.
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )
    _Server(config, app.state.context.closing).run()


if __name__ == "__main__":
    main()
