"""Scripts and the servers that hold their keys: made known to them, and waited for until replicas have the effect."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import redis.exceptions

from queues.errors import NotReplicatedError
from queues.stores import scripts
from queues.stores.cluster import AWAY, Cluster
from queues.stores.connection import Client, holder
from queues.stores.scripts import Call, Keys

REPLICATED_WITHIN_MS = 1_000
"""How long replicas may take to say that they have it."""
TRIES = 3
MARK_MS = 1_000


def load(client: Client, calls: Sequence[Call]) -> None:
    """Make every script known to the servers that hold the keys of these calls.

    All of them: a server that knew only some would carry out a pipeline in another order.
    """
    for server in dict.fromkeys(holder(client, call.keys[0]) for call in calls):
        for source in scripts.sources():
            server.script_load(source)


def run_replicated(client: Client, keys: Keys, calls: Sequence[Call], wanted: int) -> list[Any]:
    """The replies, or errors, of calls whose effect `wanted` replicas have; one round trip for each server.

    In the place of a reply stands a NotReplicatedError where fewer replicas said so in `REPLICATED_WITHIN_MS`.
    """
    replies: list[Any] = [None] * len(calls)
    left = [*range(len(calls))]
    for _ in range(TRIES):
        parts: defaultdict[Any, list[int]] = defaultdict(list)
        for at in left:
            parts[holder(client, calls[at].keys[0])].append(at)
        for server, part in parts.items():
            for at, reply in zip(part, _replies(server, keys, [calls[at] for at in part], wanted), strict=True):
                replies[at] = reply
        missing = [at for at in left if isinstance(replies[at], redis.exceptions.NoScriptError)]
        load(client, [calls[at] for at in missing])
        moved = [at for at in left if isinstance(replies[at], redis.exceptions.MovedError)]
        if moved and isinstance(client, Cluster):
            client.look_around()
        left = sorted([*missing, *moved])
        if not left:
            break
    return replies


def _replies(server: Any, keys: Keys, calls: Sequence[Call], wanted: int) -> list[Any]:
    pipe = server.pipeline(transaction=False)
    for call in calls:
        pipe.execute_command(*call.command)
    # WAIT counts from the last write of its own connection, and a call that finds its work done has written nothing.
    pipe.set(keys.mark(str(calls[0].arguments[0])), "", px=MARK_MS)
    pipe.execute_command("WAIT", wanted, REPLICATED_WITHIN_MS)
    try:
        replies: list[Any]
        *replies, marked, replicas = pipe.execute(raise_on_error=False)
    except AWAY as exc:
        return [exc] * len(calls)
    for problem in (marked, replicas):
        if isinstance(problem, Exception):
            return [reply if isinstance(reply, Exception) else problem for reply in replies]
    if replicas >= wanted:
        return replies
    return [r if isinstance(r, Exception) else NotReplicatedError(replicas, wanted) for r in replies]
