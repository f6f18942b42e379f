"""Submissions on their way into the history: a stream in Redis, from which many are written to MongoDB together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from app.stores.redis import Call, Client, Script, new_name

KEPT_MS = 7 * 24 * 60 * 60 * 1000
MAX_TOGETHER = 500
TURN_MS = 2_000
_SEQUENCE_BITS = 20

# KEYS[1]: stream of submissions. KEYS[2]: the one by its owner and id. ARGV: the submission, kept in ms.
# A second call with the same, because the reply to the first was lost, does nothing.
_PUT = """
local kept = redis.call('GET', KEYS[2])
if kept and string.sub(kept, -#ARGV[1]) == ARGV[1] then return 0 end
local id = redis.call('XADD', KEYS[1], '*', 's', ARGV[1])
redis.call('SET', KEYS[2], id .. ' ' .. ARGV[1], 'PX', ARGV[2])
return 1
"""
# KEYS[1]: the one by its owner and id.
_GET = "return redis.call('GET', KEYS[1])"
# KEYS[1]: stream of submissions. KEYS[2]: whose turn it is to write them. ARGV: how many, who asks, turn in ms.
# Returns nothing when it is another's turn; "" as who asks waits for no turn.
_READ = """
if ARGV[2] ~= '' then
  local turn = redis.call('GET', KEYS[2])
  if turn and turn ~= ARGV[2] then return {} end
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
end
return redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])
"""
# KEYS[1]: stream of submissions. KEYS[2...]: each by its owner and id. ARGV: their ids in the stream.
_REMOVE = """
redis.call('DEL', unpack(KEYS, 2))
return redis.call('XDEL', KEYS[1], unpack(ARGV))
"""


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission of a task, new or not; the attributes are those of `TaskRecord`."""

    tenant: str
    task_id: str
    name: str
    key: str
    decision: str
    chatbot_id: str | None
    source_id: str | None
    arguments: dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A submission, and its place in the stream: `<ms since the Unix epoch by Redis's clock>-<number in it>`."""

    place: str
    submission: Submission

    @property
    def number(self) -> int:
        """Rises from each entry to the next; fits into 64 bits."""
        at_ms, _, sequence = self.place.partition("-")
        return (int(at_ms) << _SEQUENCE_BITS) + int(sequence)

    @property
    def at(self) -> datetime:
        """When it was submitted."""
        return datetime.fromtimestamp(int(self.place.partition("-")[0]) / 1000, UTC)


class HistoryBacklog:
    """What `TaskHistory` must still be told, oldest first. Each method is one round trip.

    Raises:
        RedisUnavailableError: from every method, when Redis does not answer.
    """

    def __init__(self, client: Client, prefix: str = "") -> None:
        self._put = Script(client, _PUT)
        self._get = Script(client, _GET)
        self._read = Script(client, _READ)
        self._remove = Script(client, _REMOVE)
        # One hash slot for the stream and its entries, for Redis Cluster.
        self._prefix = f"{prefix}{{task_history_backlog}}"
        self._stream, self._turn = f"{self._prefix}:stream", f"{self._prefix}:turn"
        self._name = new_name()

    def putting(self, submission: Submission) -> Call:
        """The call that keeps a submission until it is written; by its owner and id it is found for a week at most."""
        owned = self._owned(submission.tenant, submission.task_id)
        return self._put.call((self._stream, owned), (orjson.dumps((new_name(), submission)), KEPT_MS))

    async def get(self, tenant: str, task_id: str) -> Entry | None:
        """The owner's newest submission that is not written; None when there is none."""
        found = await self._get(keys=[self._owned(tenant, task_id)], args=[])
        if found is None:
            return None
        place, _, submission = found.partition(b" ")
        return _decoded(place, submission)

    async def read(self, *, in_turn: bool = False) -> list[Entry]:
        """The oldest entries, `MAX_TOGETHER` at most; in turn, none while another process writes them."""
        arguments = (MAX_TOGETHER, self._name if in_turn else "", TURN_MS)
        found = await self._read(keys=[self._stream, self._turn], args=arguments)
        return [_decoded(place, fields[1]) for place, fields in found]

    async def remove(self, entries: Sequence[Entry]) -> None:
        """Forget entries that were written."""
        owned = {self._owned(entry.submission.tenant, entry.submission.task_id) for entry in entries}
        await self._remove(keys=[self._stream, *owned], args=[entry.place for entry in entries])

    def _owned(self, tenant: str, task_id: str) -> str:
        return f"{self._prefix}:{len(tenant)}:{tenant}:{task_id}"


def _decoded(place: bytes, submission: bytes) -> Entry:
    _, fields = orjson.loads(submission)
    return Entry(place.decode(), Submission(**fields))
