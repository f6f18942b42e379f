"""Whether the service works, part by part."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.api.context import Context
from app.api.deps import ContextDep
from app.api.encoding import json_response
from app.stores.errors import StoreError
from app.stores.redis import RedisUnavailableError, ping
from queues.errors import QueueError

CHECK_S = 2.0

router = APIRouter(tags=["health"])


@router.get(
    "/api/health",
    responses={
        200: {"description": "All parts work", "content": {"application/json": {}}},
        503: {"description": "`degraded`: a part does not work and says so", "content": {"application/json": {}}},
    },
)
async def health(context: ContextDep) -> Response:
    """The parts as they are now; asked in parallel, each for two seconds at most. Needs no key."""
    database, redis, broker, workers = await asyncio.gather(
        _works(context.stores.mongo.ping()),
        _works(ping(context.redis)),
        _works(context.queue.ping_async()),
        _count_workers(context),
    )
    settings = context.settings
    body: dict[str, Any] = {
        "status": "running" if database and redis and broker and workers else "degraded",
        "database": _word(database),
        "connection_pool": {
            "status": _word(database),
            "max_pool_size": settings.mongo_max_pool_size,
            "min_pool_size": min(settings.mongo_min_pool_size, settings.mongo_max_pool_size),
        },
        "scalability": {
            "concurrent_tasks_limit": settings.concurrent_tasks_limit,
            "rate_limit_per_minute": settings.rate_limit_per_minute,
        },
        "redis": _word(redis),
        "backend": {"name": context.queue.backend.name, "status": _word(broker)},
        # None: nobody could be asked.
        "workers": {"status": _word(bool(workers)), "count": workers},
    }
    is_running = body["status"] == "running"
    return json_response(body, 200 if is_running else 503)


async def _works(check: Awaitable[None]) -> bool:
    try:
        await asyncio.wait_for(check, CHECK_S)
    except (StoreError, RedisUnavailableError, QueueError, TimeoutError):
        return False
    return True


async def _count_workers(context: Context) -> int | None:
    try:
        return len(await asyncio.wait_for(context.queue.workers_async(), CHECK_S))
    except (QueueError, TimeoutError):
        return None


def _word(is_healthy: bool) -> str:
    return "healthy" if is_healthy else "unhealthy"
