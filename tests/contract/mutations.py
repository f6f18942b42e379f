"""Small wrong edits of the Lua scripts; the tests must notice each one.

The text on the left must stand exactly once in its file. A mutant with a reason changes nothing that anyone can
see, and must go unnoticed.
"""

from dataclasses import dataclass

from tests.contract.letter_mutations import CUT, ON_LETTERS


@dataclass(frozen=True, slots=True)
class Mutation:
    """One edit of `file`.

    Args:
        why_unseen: the reason why the edit has no effect; empty where it has one.
    """

    file: str
    old: str
    new: str
    why_unseen: str = ""

    @property
    def name(self) -> str:
        return f"{self.file}: {' '.join(self.old.split())[:60]} -> {' '.join(self.new.split())[:50] or 'cut'}"


RECORD = (
    ("now_us = now * 1000", "now_us = now"),
    ("time[1] * 1000000 + time[2]", "time[1] * 1000 + time[2]"),
    ("MAX_HELP_INTERVAL_MS = 600000", "MAX_HELP_INTERVAL_MS = 60000"),
    (" + math.floor(time[2] / 1000)", CUT),
    ("time[1] * 1000 +", "(time[1] + 1) * 1000 +"),
    ("'%.0f'", "'%.14g'"),
    ("fingerprint = f[2] or '', owner = f[3], token = tonumber(f[4] or 0), execution", "fingerprint = '', execution"),
    ("execution = f[5] or ''", "execution = ''"),
    ("['until'] = tonumber(f[6] or 0)", "['until'] = 0"),
    ("helps = tonumber(f[7] or 0)", "helps = 0"),
    ("lost = tonumber(f[8] or 0)", "lost = 0"),
    ("retries = tonumber(f[9] or 0)", "retries = 0"),
    ("cancelled = f[10] == '1'", "cancelled = false"),
    ("created = f[11] or '0'", "created = '0'"),
    ("outcome = f[6]", "outcome = ''"),
    ("cached = f[7] == '1'", "cached = false"),
    ("cached = f[7] == '1'", "cached = true"),
    ("failed = 'replay_error'", "failed = 'replay'"),
    ("dead = 'dead'", "dead = 'replay_error'"),
    ("{token = record.token, outcome", "{outcome"),
    ("outcome = record.outcome, message = record.following}", "message = record.following}"),
    ("{token = record.token, outcome = record.outcome, message", "{outcome = record.outcome, message"),
    ("record.state == 'failed' and not record.cached", "record.state == 'failed'"),
    ("record.state == 'failed' and not record.cached", "not record.is_live and not record.cached"),
    ("record.state == 'running' and record.token == token\nend", "record.token == token\nend"),
    ("record.state == 'running' and record.token == token\nend", "record.state == 'running'\nend"),
    ("'running' and record.token == token\nend", "'running' and record.token >= token\nend"),
    ("'running' and record.token == token\nend", "'running' and record.token <= token\nend"),
    ("record.state == state and record.token == token", "record.state == state"),
    ("record.state == state and record.token == token", "record.token == token"),
    ("return answer('fenced', record)", "return answer('fenced')"),
    ("redis.call('ZADD', leases, int(help_at), digest)", CUT),
    ("math.max(help_at, last)", "help_at"),
    ("is_only_here = f[12] == '1' or f[14]", CUT),
    ("is_only_here = f[12] == '1' or f[14]", "is_only_here = f[12] == '1'"),
    ("is_only_here = f[12] == '1' or f[14]", "is_only_here = f[14]"),
    (
        "if is_only_here then ttl = math.max(ttl, UNPUBLISHED_TTL_MS) end",
        "if is_only_here then ttl = UNPUBLISHED_TTL_MS end",
    ),
    (" - now + ttl))", " - now))"),
    (" - now + ttl))", " + ttl))"),
    ("redis.call('DEL', lock)\n  redis.call('ZREM'", "redis.call('ZREM'"),
    ("redis.call('ZREM', leases, digest)", CUT),
    ("redis.call('DEL', lock)\n  redis.call('HSET'", "redis.call('HSET'"),
    ("if record.next_owner then return follow(record) end", CUT),
    ("'token', int(record.token),\n    'follows', record.owner", "'follows', record.owner"),
    ("'follows', record.owner, ", CUT),
    ("if record.follows then put('follows', record.follows) end", CUT),
    ("if next[3] then", "if false then"),
    ("keep_until(now + NEXT_WITHIN_MS, 0,", "keep_until(now, 0,"),
    ("UNPUBLISHED_TTL_MS = 2592000000", "UNPUBLISHED_TTL_MS = 259200000"),
    ("record.following = next[1]", CUT),
    ("record.follows and record.token == token then", "false then"),
    ("record.follows and record.token == token then", "record.follows then"),
    ("message = record.replaced and redis.call('HGET', lock, 'message'), ", CUT),
    (" and not (record.replaced and record.owner == id)", CUT),
    ("(record.replaced and record.owner == id)", "record.replaced"),
    ("if record.replaced then put", "if false then put"),
    (", message = record.following})", "})"),
    ("'finished', int(now)}", "'finished', '0'}"),
    ("'created',\n    record.created, ", CUT),
    ("if record.fingerprint ~= '' then put", "if false then put"),
    ("if record.retries > 0 then", "if false then"),
    ("if cached then", "if false then"),
    ("redis.call('PEXPIRE', result, int(ttl))", CUT),
    ("record.state, record.outcome = state, outcome", CUT),
    ("after * 2 ^", "after * 3 ^"),
    ("math.min(record.helps, 16)", "math.min(record.helps, 15)"),
    ("math.min(record.helps, 16)", "record.helps"),
    ("math.max(after, MAX_HELP_INTERVAL_MS)", "MAX_HELP_INTERVAL_MS"),
    ("int(record.helps + 1)", "int(record.helps)"),
    ("keep_until(now + interval, record['until'], ttl)", "keep_until(now + interval, 0, ttl)"),
    ("answer('help', record, {message = redis.call('HGET', lock, 'message')})", "answer('help', record)"),
    ("not score or tonumber(score) <= now", "not score or tonumber(score) < now"),
    ("not score or tonumber(score) <= now", "score and tonumber(score) <= now"),
)
ADMIT = (
    ("not record or is_spent(record, id)", "not record"),
    ("record and record.token or 0", "0"),
    ("redis.call('DEL', result)", CUT),
    ("'message', ARGV[5], 'created'", "'message', ARGV[4], 'created'"),
    ("'message', ARGV[5], 'fingerprint'", "'message', ARGV[4], 'fingerprint'"),
    ("'fingerprint', fingerprint, 'replaced'", "'replaced'"),
    (", 'replaced', '1')", ")"),
    ("math.max(tonumber(redis.call('ZSCORE', leases, digest)), now + quiet + after)", "now + quiet + after"),
    ("math.max(record['until'], now + quiet)", "now + quiet"),
    ("keep_until(help_at, 0, ttl)", CUT),
    ("if quiet > 0 then redis.call('HSET', lock, 'until', int(now + quiet)) end", CUT),
    ("if other and duplicate ~= 'join' then", "if other then"),
    ("if other and duplicate ~= 'join' then", "if false then"),
    ("if record.state ~= 'running' and duplicate ~= 'join' then", "if duplicate == 'replace' then"),
    ("if duplicate == 'follow' then", "if duplicate ~= 'join' then"),
    ("is_only_here = true", CUT),
    ("redis.call('PEXPIRE', lock, int(record['until'] - now + math.max(ttl, UNPUBLISHED_TTL_MS)))", CUT),
    ("int(record['until'] - now + math.max", "int(math.max"),
    ("math.max(ttl, UNPUBLISHED_TTL_MS)", "UNPUBLISHED_TTL_MS"),
    ("if duplicate == 'follow' then", "if false then"),
    ("'next', ARGV[5], ", "'next', '', "),
    ("'next_owner', id, ", "'next_owner', record.owner, "),
    ("'next_fingerprint', fingerprint)", "'next_fingerprint', '')"),
    ("'created', int(now)", "'created', '0'"),
    ("if fingerprint ~= '' then", "if false then"),
    ("if token > 0 then", "if false then"),
    ("keep_until(now + quiet + after, 0, ttl)", "keep_until(now, 0, ttl)"),
    ("if KEYS[5] then", "if false then"),
    ("if KEYS[4] then", "if false then"),
    ("ARGV[10] == 'L'", "ARGV[10] == 'R'"),
    ("if other then return answer('conflict', record) end", CUT),
    ("if not record.is_live then", "if record.state == 'completed' then"),
    ("if record.owner == id and not other then", "if not other then"),
    ("if record.owner == id and not other then", "if record.owner == id then"),
    ("if record.owner == id and not other then", "if false then"),
    ("record.state == 'queued' and 'admitted' or 'inflight'", "'admitted'"),
    ("record.state == 'queued' and 'admitted' or 'inflight'", "'inflight'"),
    ("if record and not is_spent(record, id) then redis", "if false then redis"),
    ("if record and not is_spent(record, id) then redis", "if record then redis"),
    ("redis.call('HDEL', lock, 'next', 'next_owner', 'next_fingerprint')", CUT),
    ("if is_overdue() then", "if false then"),
    ("math.max(0, record['until'] - now)", "record['until'] - now"),
    ("math.max(0, record['until'] - now)", "0"),
)
BEGIN = (
    ("record.token = record.token + 1\n", "\n"),
    ("or 0) + 1, now_us)", "or 0), now_us)"),
    ("or 0) + 1, now_us)", "or 0) + 1, now)"),
    ("math.max((record", "math.min((record"),
    ("record and record.created or int(now)", "int(now)"),
    ("record and record.retries or tonumber(ARGV[7])", "tonumber(ARGV[7])"),
    ("record and record.lost or 0", "0"),
    ("redis.call('DEL', result)", CUT),
    ("'helps', 'cancelled', 'progress'", "'cancelled', 'progress'"),
    ("'helps', 'cancelled', 'progress'", "'helps', 'cancelled'"),
    ("'helps', 'cancelled', 'progress'", "'helps', 'progress'"),
    ("'owner', id, 'token'", "'token'"),
    ("'message', ARGV[5], ", CUT),
    ("if record.follows == id then return answer('fenced', record) end", CUT),
    ("if record and not record.follows then redis.call('HDEL', lock, 'follows') end", CUT),
    ("record.follows, is_only_here = nil, record.next_owner", "is_only_here = record.next_owner"),
    ("record.follows, is_only_here = nil, record.next_owner", "record.follows = nil"),
    ("record and record.replaced", "false"),
    ("redis.call('HDEL', lock, 'replaced')", CUT),
    ("if not replaced then", "if true then"),
    ("replaced = replaced, ", CUT),
    (", false\n", ", record.replaced\n"),
    ("int(now + lease), 'created'", "int(now), 'created'"),
    (", 'fingerprint', fingerprint)", ")"),
    ("keep_until(now + lease, 0, ttl)", "keep_until(now, 0, ttl)"),
    ("if record.execution == execution then", "if false then"),
    ("if record.execution == execution then", "if record.execution == execution and record['until'] > now then"),
    ("if record.execution == execution then", "if record.owner == id then"),
    ("record.owner == id and 'busy_self' or 'busy'", "'busy'"),
    ("if record['until'] > now then", "if record['until'] >= now then"),
    ("if record['until'] > now then", "if false then"),
    ("if record.cancelled then", "if false then"),
    ("record.lost >= tonumber", "record.lost > tonumber"),
    ("if record.lost >= tonumber(ARGV[9]) then", "if false then"),
    ("record.lost + 1", "record.lost"),
    ("if is_spent(record, id) then", "if record.state == 'failed' and not record.cached then"),
    ("if is_spent(record, id) then", "if false then"),
    ("if record.cancelled and record.owner == id then", "if record.cancelled then"),
    ("if record.cancelled then return run_anew(record) end", CUT),
    ("tonumber(ARGV[7]), 0, int(now), false", "record.retries, 0, int(now), false"),
    ("tonumber(ARGV[7]), 0, int(now), false", "tonumber(ARGV[7]), record.lost, int(now), false"),
    ("tonumber(ARGV[7]), 0, int(now), false", "tonumber(ARGV[7]), 0, record.created, false"),
    ("if is_other(record, fingerprint, id) then", "if false then"),
    ("if not record.is_live then", "if record.state == 'completed' then"),
    ("if record.state == 'running' then", "if false then"),
    ("not (record.state == 'waiting' and own)", "not own"),
    ("not (record.state == 'waiting' and own)", "record.state ~= 'waiting'"),
    ("not (record.state == 'waiting' and own)", "true"),
    ("if record['until'] > now and not", "if not"),
    ("if record['until'] > now and not", "if record['until'] >= now and not"),
    ("own and 'busy_self' or 'busy'", "'busy'"),
)
HEARTBEAT = (
    ("not holds(record, tonumber(ARGV[3]))", "not record"),
    ("redis.call('HSET', lock, 'until', int(ends))", CUT),
    ("now + tonumber(ARGV[4])", "math.max(now, record['until']) + tonumber(ARGV[4])"),
    ("if ARGV[6] ~= '' then", "if true then"),
    ("redis.call('HSET', lock, 'progress', ARGV[6])", CUT),
    ("keep_until(ends, 0, tonumber(ARGV[5]))", CUT),
    ("record.cancelled and 'cancelled' or 'ok'", "'ok'"),
)
COMPLETE = (
    ("not holds(record, token)", "not record"),
    ("not holds(record, token)", "not holds(record, token) or record.cancelled"),
    ("not holds(record, token)", "not holds(record, token) or record['until'] <= now"),
    ("repeated('completed', token)", "answer('fenced', load())"),
    ("tonumber(ARGV[5]))", "tonumber(ARGV[5]), true)"),
    ("finish(record, 'completed', ARGV[4], tonumber(ARGV[5]))", CUT),
    (", {message = record.following}", CUT),
)
WAIT = (
    ("not holds(record, token)", "not record"),
    ("repeated('waiting', token, ARGV[9])", "repeated('running', token, ARGV[9])"),
    ("repeated('waiting', token, ARGV[9])", "repeated('waiting', token)"),
    ("if record.cancelled then", "if false then"),
    ("now + tonumber(ARGV[6])", "now"),
    ("'helps', 'lost', 'progress'", "'lost', 'progress'"),
    ("'helps', 'lost', 'progress'", "'helps', 'progress'"),
    ("'helps', 'lost', 'progress'", "'helps', 'lost'"),
    ("'message', ARGV[4], ", CUT),
    ("'retries', ARGV[5], ", CUT),
    ("due + tonumber(ARGV[7])", "now + tonumber(ARGV[7])"),
    ("record.state = 'waiting'\n", "\n"),
)
FAIL = (
    ("not holds(record, token)", "not record"),
    ("repeated('failed', token)", "answer('fenced', load())"),
    ("ARGV[5] == '1'", "true"),
    ("ARGV[5] == '1'", "false"),
)
RELEASE = (
    ("not holds(record, token)", "not record"),
    ("repeated('queued', token, ARGV[6])", "answer('fenced', load())"),
    ("repeated('queued', token, ARGV[6])", "repeated('queued', token)"),
    ("if record.cancelled then", "if false then"),
    ("'helps', 'progress', 'until'", "'progress', 'until'"),
    ("'helps', 'progress', 'until'", "'helps', 'until'"),
    ("'helps', 'progress', 'until'", "'helps', 'progress'"),
    ("redis.call('HSET', lock, 'state', 'queued')", CUT),
    ("keep_until(now + tonumber(ARGV[4]), 0, tonumber(ARGV[5]))", CUT),
    ("record.state = 'queued'\n", "\n"),
    ("if ARGV[7] == '1' and record.next_owner then", "if false then"),
    ("  redis.call('DEL', lock)\n", "\n"),
    ("  redis.call('ZREM', leases, digest)\n", "\n"),
)
CANCEL = (
    ("if record.state == 'running' and ARGV[5] == '1' then", "if false then"),
    ("if record.state == 'running' and ARGV[5] == '1' then", "if record.state == 'running' then"),
    ("if record.state == 'running' and ARGV[5] == '1' then", "if ARGV[5] == '1' then"),
    ("record.next_owner = nil", CUT),
    ("redis.call('HDEL', lock, 'next', 'next_owner', 'next_fingerprint')", CUT),
    ("if not record then return answer('fenced') end", "if not record then return answer('ok') end"),
    ("if not record.is_live then", "if record.state == 'completed' then"),
    ("if record.state == 'running' then", "if record.state ~= 'queued' then"),
    ("if record.state == 'running' then", "if false then"),
    ("redis.call('HSET', lock, 'cancelled', '1')", CUT),
    ("tonumber(ARGV[4]))", "tonumber(ARGV[4]), true)"),
)
CONFIRM = (
    ("record.state ~= 'queued' or ", CUT),
    (" or record.owner ~= ARGV[3]", CUT),
    ("now + tonumber(ARGV[4])", "now"),
    ("keep_until(now + tonumber(ARGV[4]), 0, tonumber(ARGV[5]))", CUT),
)
HELP = (
    ("redis.call('ZREM', leases, digest)", CUT),
    ("if not is_overdue() then return answer('ok') end", CUT),
    ("if not is_overdue() then", "if true then"),
)
UNSEEN = (
    Mutation("record", "live() or finished()", "finished() or live()", "a key has a lock or a result, never both"),
    Mutation(
        "record",
        "retries = tonumber(f[5] or 0)",
        "retries = 0",
        "no answer and no transition uses the retries of an outcome",
    ),
)
MUTATIONS = (
    *(
        Mutation(file, old, new)
        for file, edits in {
            "record": RECORD,
            "admit": ADMIT,
            "begin": BEGIN,
            "heartbeat": HEARTBEAT,
            "complete": COMPLETE,
            "wait": WAIT,
            "fail": FAIL,
            "release": RELEASE,
            "cancel": CANCEL,
            "confirm": CONFIRM,
            "help": HELP,
            **ON_LETTERS,
        }.items()
        for old, new in edits
    ),
    *UNSEEN,
)
