"""Calls of scripts that are sent together, and sent again where the server did not know the script."""

from collections.abc import Sequence
from typing import Any

import redis.exceptions

from queues.stores.replication import load
from queues.stores.scripts import Call
from queues.stores.single_server import SingleServer


def run_many(client: Any, calls: Sequence[Call]) -> list[Any]:
    """The replies; in the place of one may stand the server's error."""
    return completed(client, calls, _pipelined(client, calls))


def completed(client: Any, calls: Sequence[Call], replies: list[Any]) -> list[Any]:
    """The replies, with those of calls whose scripts were not known when these replies were given."""
    missing = _missing(replies)
    if missing:
        load(client, [calls[at] for at in missing])
        replies = _merged(replies, missing, _pipelined(client, [calls[at] for at in missing]))
    for at in _missing(replies):
        replies[at] = client.execute_command(*calls[at].whole_command)
    return replies


def _pipelined(client: Any, calls: Sequence[Call]) -> list[Any]:
    if not calls:
        return []
    if isinstance(client, SingleServer):
        return client.replies([call.command for call in calls])
    pipe = client.pipeline(transaction=False)
    for call in calls:
        pipe.execute_command(*call.command)
    return list(pipe.execute(raise_on_error=False))


def _missing(replies: Sequence[Any]) -> list[int]:
    return [at for at, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]


def _merged(replies: Sequence[Any], places: Sequence[int], newer: Sequence[Any]) -> list[Any]:
    found = dict(zip(places, newer, strict=True))
    return [found.get(at, reply) for at, reply in enumerate(replies)]
