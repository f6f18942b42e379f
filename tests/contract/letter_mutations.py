"""Small wrong edits of the scripts on dead letters, by file; `mutations.py` says what they are for."""

CUT = ""
LETTERS = (
    ("MAX_LETTERS = 400", "MAX_LETTERS = 399"),
    ("MAX_LETTERS_BYTES = 2097152", "MAX_LETTERS_BYTES = 2097153"),
    ("redis.call('HDEL', letters, id)", CUT),
    ("redis.call('ZREM', index, id)", CUT),
    ("redis.call('HINCRBY', counts, 'bytes', -length)", CUT),
    ("redis.call('HINCRBY', counts, 'bytes', #letter)", CUT),
    ("redis.call('HINCRBY', counts, 'removed', 1)", CUT),
    ("'-inf', now - keep", "'-inf', now"),
    ("'-inf', now - keep", "'-inf', '-inf'"),
    ("kept > MAX_LETTERS or", "kept >= MAX_LETTERS or"),
    ("length > MAX_LETTERS_BYTES and", "length >= MAX_LETTERS_BYTES and"),
    (" and kept > 1", CUT),
    ("redis.call('ZRANGE', index, 0, 0)", "redis.call('ZRANGE', index, -1, -1)"),
    ("take(record.owner)\n", "\n"),
    ("attempts, record.lost,", "attempts, 0,"),
    ("record.lost, record.created,", "record.lost, now,"),
    ("now, now + keep, #message", "now, now, #message"),
    ("#message)", "#outcome)"),
    ("redis.call('ZADD', index, now, record.owner)", CUT),
    ("  make_room(keep)\n  for", "  for"),
    ("redis.call('PEXPIRE', key, keep)", CUT),
    ("{letters, index, counts}", "{letters, index}"),
    ("keep > 0 and not record.cancelled", "keep > 0"),
    ("keep > 0 and not record.cancelled", "not record.cancelled"),
    ("message or '', outcome", "'', outcome"),
    ("record.retries + 1", "record.retries"),
)
BURY = (
    ("if keep > 0 then", "if true then"),
    ("created = ARGV[6]", "created = '0'"),
    ("ARGV[5], 0, keep", "ARGV[5], 1, keep"),
)
REVIVE = (
    ("if record and record.is_live then return answer('inflight', record) end", CUT),
    ("ARGV[6] ~= '1' and ", CUT),
    ("record.state ~= 'failed' or record.cached", "record.state ~= 'failed'"),
    ("record.state ~= 'failed' or record.cached", "true"),
    ("record.fingerprint ~= fingerprint and answer('conflict', record) or stored(record)", "stored(record)"),
    ("if redis.call('HEXISTS', letters, id) == 0 then return answer('fenced', record) end", CUT),
    ("answer('fenced', record)", "answer('fenced')"),
    ("'message', ARGV[5], ", CUT),
    ("'created', now", "'created', '0'"),
    ("if fingerprint ~= '' then", "if false then"),
    ("if record and record.token > 0 then", "if false then"),
    ("redis.call('DEL', result)", CUT),
    ("keep_until(now, 0, tonumber(ARGV[7]))", CUT),
    ("keep_until(now, 0,", "keep_until(now + 1, 0,"),
    ("take(id)", CUT),
)
DROP = (("take(ARGV[3]) and 'ok' or 'fenced'", "take(ARGV[3]) and 'ok' or 'ok'"),)
ON_LETTERS = {"letters": LETTERS, "bury": BURY, "revive": REVIVE, "drop": DROP}
