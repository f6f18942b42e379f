"""Submissions whose history could not be written: kept in Redis, so that their owner finds them meanwhile."""

from collections.abc import Mapping

import orjson

from app.stores.redis import Client, Script

KEPT_MS = 7 * 24 * 60 * 60 * 1000

# KEYS[1]: list of submissions. KEYS[2]: the one by its owner and id. ARGV: the submission, kept in ms.
_PUT = """
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return redis.call('RPUSH', KEYS[1], ARGV[1])
"""
# KEYS[1]: the one by its owner and id.
_GET = "return redis.call('GET', KEYS[1])"
# KEYS[1]: list of submissions.
_FIRST = "return redis.call('LINDEX', KEYS[1], 0)"
# KEYS[1]: list of submissions. ARGV: the submission.
_REMOVE = "return redis.call('LREM', KEYS[1], 1, ARGV[1])"

Submission = Mapping[str, str | dict[str, str] | None]


class HistoryBacklog:
    """What `TaskHistory` must still be told. Each method is one round trip.

    A submission names its `tenant` and `task_id`; the rest are the other arguments of `TaskHistory.add`.

    Raises:
        RedisUnavailableError: from every method, when Redis does not answer.
    """

    def __init__(self, client: Client, prefix: str = "") -> None:
        self._put = Script(client, _PUT)
        self._get = Script(client, _GET)
        self._first = Script(client, _FIRST)
        self._remove = Script(client, _REMOVE)
        # One hash slot for the list and its entries, for Redis Cluster.
        self._prefix = f"{prefix}{{task_history_backlog}}"

    async def put(self, submission: Submission) -> None:
        """Keep a submission until it is written; for a week its owner finds it here."""
        entry = orjson.dumps(dict(submission), option=orjson.OPT_SORT_KEYS)
        owned = self._owned(str(submission["tenant"]), str(submission["task_id"]))
        await self._put(keys=[self._prefix, owned], args=[entry, KEPT_MS])

    async def get(self, tenant: str, task_id: str) -> Submission | None:
        """The owner's submission, or None when it was never kept here."""
        entry = await self._get(keys=[self._owned(tenant, task_id)], args=[])
        return None if entry is None else _decode(entry)

    async def first(self) -> Submission | None:
        """The oldest that is still to be written, or None."""
        entry = await self._first(keys=[self._prefix], args=[])
        return None if entry is None else _decode(entry)

    async def remove(self, submission: Submission) -> None:
        """Take a submission off the list after it was written."""
        entry = orjson.dumps(dict(submission), option=orjson.OPT_SORT_KEYS)
        await self._remove(keys=[self._prefix], args=[entry])

    def _owned(self, tenant: str, task_id: str) -> str:
        return f"{self._prefix}:{len(tenant)}:{tenant}:{task_id}"


def _decode(entry: bytes) -> Submission:
    submission: Submission = orjson.loads(entry)
    return submission
