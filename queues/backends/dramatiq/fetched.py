"""What Dramatiq's workers have fetched from Redis and not acknowledged.

Dramatiq gives the messages of a worker that it has not heard of for a minute back in one of a thousand of its
commands: where little is going on, after a quarter of an hour. Here it is told to look when recovery does.
"""

import redis.exceptions
from dramatiq.brokers.redis import MAINTENANCE_SCALE, RedisBroker

from queues.errors import BrokerUnavailableError


class FetchedFromRedis:
    """The fetched messages of a broker's queues."""

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker

    def keep(self) -> None:
        """Nothing: each of Dramatiq's own commands says that the worker lives."""

    def give_back(self, silent_ms: int) -> int:
        """Have Dramatiq put back what workers held that said nothing for so long; how much, it does not say."""
        janitor = RedisBroker(  # type: ignore[no-untyped-call] # dramatiq
            client=self._broker.client,
            middleware=[],
            namespace=self._broker.namespace,
            maintenance_chance=MAINTENANCE_SCALE,
            heartbeat_timeout=silent_ms,
            dead_message_ttl=self._broker.dead_message_ttl,
        )
        janitor.broker_id = self._broker.broker_id
        try:
            for queue in [*self._broker.get_declared_queues(), *self._broker.get_declared_delay_queues()]:
                janitor.do_qsize(queue)
        except (redis.exceptions.RedisError, OSError) as exc:
            msg = f"nothing was given back: {type(exc).__name__}: {exc}"
            raise BrokerUnavailableError(msg) from exc
        return 0
