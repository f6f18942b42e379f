"""Which queues a message reaches: what a broker's bindings would say, from the queues that the application knows."""

import logging
import re
from typing import Any

logger = logging.getLogger(__name__)


def destinations(app: Any, exchange: str, routing_key: str, declare: Any = None) -> list[str]:
    """The names of the queues that `exchange` passes the routing key on to.

    Args:
        exchange: empty for AMQP's default exchange, in which a routing key is a queue's name.
        declare: the entities that Celery would declare before publishing; queues among them count as known.
    """
    if not exchange:
        return [routing_key]
    known = {queue.name: queue for queue in app.amqp.queues.values()}
    known |= {entity.name: entity for entity in declare or () if hasattr(entity, "bindings") and entity.name}
    found = [name for name, queue in known.items() if _is_bound(queue, exchange, routing_key)]
    if not found:
        logger.error(
            "No queue is bound to %r for %r: the message is dropped, as a broker would.", exchange, routing_key
        )
    return found


def _is_bound(queue: Any, exchange: str, routing_key: str) -> bool:
    bindings = [(queue.exchange, queue.routing_key)] + [(b.exchange, b.routing_key) for b in queue.bindings or ()]
    for source, key in bindings:
        if source is None or source.name != exchange:
            continue
        if key == routing_key:
            return True
        if source.type == "topic" and _matches(key or "", routing_key):
            return True
    return False


def _matches(pattern: str, routing_key: str) -> bool:
    """AMQP's topics: `*` is one word, `#` any number of them, with their dots."""
    words = [{"*": "[^.]+", "#": ".*"}.get(word, re.escape(word)) for word in pattern.split(".")]
    expression = r"\.".join(words).replace(r"\..*", r"(?:\..*)?").replace(r".*\.", r"(?:.*\.)?")
    return re.fullmatch(expression, routing_key) is not None
