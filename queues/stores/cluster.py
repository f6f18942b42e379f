"""A cluster's client whose pipelines are cut at the nodes, so that one node that is away costs only its own part."""

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis
import redis.exceptions
from redis.cluster import PRIMARY, ClusterNode, RedisCluster
from redis.commands import CoreCommands
from redis.event import EventDispatcher

TRIES = 4
"""Of what was not answered for a reason that passes: after a restart, every pooled connection is broken once, and a
slot that is on its way to another node takes no script."""
PAUSE_S = 0.05
KEY_AT = {"EVALSHA": 3, "EVAL": 3}
"""Which word is the key, where it is not the one after the command."""
AWAY = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
Command = tuple[tuple[Any, ...], dict[str, Any]]


class Cluster(RedisCluster):
    """redis-py's client of a cluster.

    Its pipelines are replaced: redis-py's asks for each command of a node that is away again, one after another and
    each as often as it may, so that a pipeline of heartbeats would wait for minutes.
    """

    def pipeline(self, transaction: bool | None = None, shard_hint: Any = None) -> Any:
        """Commands that are sent together to each node; each of them names its key first, or names none."""
        return NodePipeline(self)

    def get_node(self, host: Any = None, port: Any = None, node_name: str | None = None) -> Any:
        """As redis-py's; a node that holds no slot yet is known, too: a slot on its way to it is asked for there."""
        found = super().get_node(host, port, node_name)  # type: ignore[no-untyped-call] # redis-py
        if found is None and node_name is not None:
            host, _, port = node_name.rpartition(":")
            found = ClusterNode(host, int(port), PRIMARY)  # type: ignore[no-untyped-call] # redis-py
            self.nodes_manager.nodes_cache[node_name] = found
        return found

    def node_of(self, key: Any) -> redis.Redis:
        """A client of the node that holds the key's slot."""
        return self.get_redis_connection(self.get_node_from_key(key))  # type: ignore[no-untyped-call] # redis-py

    def masters(self) -> list[redis.Redis]:
        """A client of each node that takes writes."""
        return [self.get_redis_connection(node) for node in self.get_primaries()]  # type: ignore[no-untyped-call] # redis-py

    def any_node(self) -> redis.Redis:
        """A client of some node, for what names no key."""
        return self.get_redis_connection(self.get_default_node())  # type: ignore[no-untyped-call] # redis-py

    def look_around(self) -> None:
        """Ask the nodes again who holds what; nothing changes when none of them answers."""
        with suppress(redis.exceptions.RedisError, redis.exceptions.RedisClusterException):
            self.nodes_manager.initialize()


class NodePipeline(CoreCommands):
    """Collects commands, and sends them to their nodes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._event_dispatcher = EventDispatcher()
        self._commands: list[Command] = []

    def execute_command(self, *words: Any, **options: Any) -> Any:
        """Take one command."""
        self._commands.append((words, options))
        return self

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The replies, in order.

        Args:
            raise_on_error: else an error stands in the place of its reply.
        """
        commands, self._commands = self._commands, []
        replies: dict[int, Any] = {}
        left = [*range(len(commands))]
        for _ in range(TRIES):
            self._send(commands, left, replies)
            for at in left:
                if isinstance(replies[at], redis.exceptions.AskError):  # or MovedError
                    replies[at] = self._alone(*commands[at])
            left = [at for at in left if _passes(replies[at])]
            if not left:
                break
            time.sleep(PAUSE_S)
            self._cluster.look_around()
        ordered = [replies[at] for at in range(len(commands))]
        if raise_on_error:
            for reply in ordered:
                if isinstance(reply, Exception):
                    raise reply
        return ordered

    def _send(self, commands: Sequence[Command], places: Sequence[int], replies: dict[int, Any]) -> None:
        parts: defaultdict[redis.Redis, list[int]] = defaultdict(list)
        for at in places:
            try:
                parts[self._server(commands[at][0])].append(at)
            except redis.exceptions.SlotNotCoveredError as exc:
                replies[at] = exc
        for server, part in parts.items():
            pipe: Any = server.pipeline(transaction=False)
            for at in part:
                words, options = commands[at]
                pipe.execute_command(*words, **options)
            try:
                replies.update(zip(part, pipe.execute(raise_on_error=False), strict=True))
            except AWAY as exc:
                replies.update(dict.fromkeys(part, exc))

    def _server(self, words: tuple[Any, ...]) -> redis.Redis:
        at = KEY_AT.get(str(words[0]).upper(), 1)
        return self._cluster.node_of(words[at]) if at < len(words) else self._cluster.any_node()

    def _alone(self, words: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            return self._cluster.execute_command(*words, **options)  # type: ignore[no-untyped-call] # redis-py
        except (redis.exceptions.RedisError, redis.exceptions.RedisClusterException) as exc:
            return exc


def _passes(reply: Any) -> bool:
    is_refusal = isinstance(reply, (redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError))
    passing = (redis.exceptions.ConnectionError, redis.exceptions.TryAgainError)
    return isinstance(reply, passing) and not is_refusal
