"""What Celery's workers have fetched from Redis and not acknowledged.

kombu keeps such messages in a hash, and in an index with the time at which each was fetched; a message that is older
than the visibility timeout, an hour by default, is delivered again, whether its worker lives or not. Here each worker
renews that time for what it holds, so that an old entry is that of a dead worker, and can be given back soon.

Only messages of guarded tasks are touched: those of others keep Celery's timeout.
"""

import json
from typing import TYPE_CHECKING, Any

from kombu.transport.redis import Channel

from queues.backends.celery.messages import HEADER
from queues.backends.celery.publisher import BROKER_ERRORS
from queues.errors import BrokerUnavailableError
from queues.tasks import Tasks

if TYPE_CHECKING:
    from celery.worker import WorkController

BATCH = 500


class FetchedFromRedis:
    """The fetched messages of one worker's broker; nothing where that is no Redis."""

    def __init__(self, worker: "WorkController", tasks: Tasks) -> None:
        self._worker = worker
        self._tasks = tasks

    def keep(self) -> None:
        """Renew the time of what this worker holds."""
        channel = self._channel
        if channel is None:
            return
        try:
            held = [tag for tag, message in channel.qos._delivered.copy().items() if self._is_guarded(message.headers)]
            if held:
                with channel.conn_or_acquire() as client:
                    now_s = _now_s(client)
                    # XX: what was acknowledged meanwhile is not put back.
                    client.zadd(channel.unacked_index_key, dict.fromkeys(held, now_s), xx=True)
        except (RuntimeError, *BROKER_ERRORS) as exc:
            # RuntimeError: the worker's own thread changed what it holds while it was copied.
            msg = f"what is held was not renewed: {type(exc).__name__}: {exc}"
            raise BrokerUnavailableError(msg) from exc

    def give_back(self, silent_ms: int) -> int:
        """Put back what no worker has renewed for so long."""
        channel = self._channel
        if channel is None:
            return 0
        try:
            with channel.conn_or_acquire() as client:
                now_s = _now_s(client)
                # kombu writes the time of the worker's clock: what was fetched in the future is as old as now.
                if early := self._guarded(channel, client, now_s + 1, "+inf"):
                    client.zadd(channel.unacked_index_key, dict.fromkeys(early, now_s), xx=True)
                left = self._guarded(channel, client, 0, now_s - silent_ms / 1000)
                for tag in left:
                    channel.qos.restore_by_tag(tag, client)
        except BROKER_ERRORS as exc:
            msg = f"nothing was given back: {type(exc).__name__}: {exc}"
            raise BrokerUnavailableError(msg) from exc
        return len(left)

    def _guarded(self, channel: Any, client: Any, since_s: float, until_s: float | str) -> list[bytes]:
        """Tags of what was fetched in that time."""
        tags = client.zrange(channel.unacked_index_key, since_s, until_s, byscore=True, offset=0, num=BATCH)
        return [tag for tag in tags if self._is_guarded(_headers(client.hget(channel.unacked_key, tag)))]

    @property
    def _channel(self) -> Any:
        consumer = getattr(self._worker.consumer, "task_consumer", None)
        channel = getattr(consumer, "channel", None)
        # A connection that was lost is closed before there is another: until then kombu can make no client of it.
        is_open = getattr(getattr(channel, "connection", None), "client", None) is not None
        return channel if isinstance(channel, Channel) and is_open else None

    def _is_guarded(self, headers: Any) -> bool:
        return isinstance(headers, dict) and HEADER in headers and headers.get("task") in self._tasks


def _now_s(client: Any) -> float:
    # The server's clock: a worker whose own is wrong would give back what others hold.
    seconds, microseconds = client.time()
    return int(seconds) + int(microseconds) / 1e6


def _headers(entry: bytes | None) -> Any:
    try:
        return json.loads(entry or b"null")[0]["headers"]
    except (ValueError, TypeError, LookupError):
        return None
