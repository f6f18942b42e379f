-- What every script begins with: the record of one key, read and written.
--
-- KEYS[1]  task_lock:{xx}:<digest>    hash, while the work is queued, running or waiting:
--            state fingerprint owner token execution message until helps lost retries cancelled progress created
--            replaced follows next next_owner next_fingerprint
-- KEYS[2]  task_result:{xx}:<digest>  hash, once there is an outcome:
--            state fingerprint owner token retries outcome cached created finished replaced follows
-- KEYS[3]  task_leases:{xx}           sorted set: digest -> when others may publish its message again (ms)
-- ARGV[1]  digest
-- ARGV[2]  now in ms, for tests; empty takes the server's clock
--
-- Every script returns: kind, owner, state, token, wait_ms, retries, lost, outcome, message, created.
-- A field left at its default is not stored. The transitions are those of queues/idempotency/machine.py.

local lock, result, leases, digest = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local MAX_HELP_INTERVAL_MS = 600000
local NEXT_WITHIN_MS = 10000
local UNPUBLISHED_TTL_MS = 2592000000

local now, now_us = tonumber(ARGV[2])
if now then
  now_us = now * 1000
else
  local time = redis.call('TIME')
  now, now_us = time[1] * 1000 + math.floor(time[2] / 1000), time[1] * 1000000 + time[2]
end

-- Lua would write a large number as 1.7e+15.
local function int(number)
  return string.format('%.0f', number)
end

-- Whether the record is all there is of a message: newer arguments, or a run that follows.
local is_only_here = false

local function live()
  local f = redis.call('HMGET', lock, 'state', 'fingerprint', 'owner', 'token', 'execution', 'until', 'helps',
    'lost', 'retries', 'cancelled', 'created', 'replaced', 'follows', 'next_owner')
  if not f[1] then return nil end
  is_only_here = f[12] == '1' or f[14]
  return {state = f[1], fingerprint = f[2] or '', owner = f[3], token = tonumber(f[4] or 0), execution = f[5] or '',
    ['until'] = tonumber(f[6] or 0), helps = tonumber(f[7] or 0), lost = tonumber(f[8] or 0),
    retries = tonumber(f[9] or 0), cancelled = f[10] == '1', created = f[11] or '0', replaced = f[12] == '1',
    follows = f[13], next_owner = f[14], is_live = true}
end

local function finished()
  local f = redis.call('HMGET', result, 'state', 'fingerprint', 'owner', 'token', 'retries', 'outcome', 'cached',
    'created', 'replaced', 'follows')
  if not f[1] then return nil end
  return {state = f[1], fingerprint = f[2] or '', owner = f[3], token = tonumber(f[4] or 0),
    retries = tonumber(f[5] or 0), outcome = f[6], cached = f[7] == '1', created = f[8] or '0',
    replaced = f[9] == '1', follows = f[10], lost = 0, ['until'] = 0}
end

local function load()
  return live() or finished()
end

local function answer(kind, record, more)
  record, more = record or {}, more or {}
  return {kind, record.owner or '', record.state or 'unknown', int(more.token or 0), int(more.wait or 0),
    int(more.retries or 0), int(more.lost or 0), more.outcome or '', more.message or '', more.created or '0'}
end

local KIND_OF_OUTCOME = {completed = 'replay', failed = 'replay_error', dead = 'dead'}

local function stored(record)
  return answer(KIND_OF_OUTCOME[record.state], record,
    {token = record.token, outcome = record.outcome, message = record.following})
end

-- Its own message may be older than the record: the arguments of queued work can be replaced.
local function is_other(record, fingerprint, id)
  return record.fingerprint ~= fingerprint and not (record.replaced and record.owner == id)
end

-- Of queued or waiting work: its message is on no queue until it is due.
local function is_held(record)
  local score = record['until'] > 0 and redis.call('ZSCORE', leases, digest)
  return score and tonumber(score) <= record['until']
end

-- A failure that is not cached answers its own message only.
local function is_spent(record, id)
  return record.state == 'failed' and not record.cached and record.owner ~= id
end

local function right_to_run(record)
  return answer('run', record, {token = record.token, retries = record.retries, lost = record.lost,
    message = record.replaced and redis.call('HGET', lock, 'message'), created = record.created})
end

local function holds(record, token)
  return record and record.state == 'running' and record.token == token
end

-- What a repeated write is told: its first effect stands, or it never had the right.
local function repeated(state, token, cancelled_outcome)
  local record = load()
  if record and record.state == 'queued' and record.follows and record.token == token then
    return answer('ok', record, {message = redis.call('HGET', lock, 'message')})
  end
  if record and cancelled_outcome and record.token == token and record.outcome == cancelled_outcome then
    return answer('cancelled', record)
  end
  if record and record.state == state and record.token == token then
    return answer('ok', record)
  end
  return answer('fenced', record)
end

-- PEXPIRE first: a full server refuses a script whose first write needs memory, and lets the rest of it through.
local function keep_until(help_at, last, ttl)
  if is_only_here then ttl = math.max(ttl, UNPUBLISHED_TTL_MS) end
  redis.call('PEXPIRE', lock, int(math.max(help_at, last) - now + ttl))
  redis.call('ZADD', leases, int(help_at), digest)
end

-- The run that follows takes the place of the one that ended; what is published is left in record.following.
local function follow(record)
  local next = redis.call('HMGET', lock, 'next', 'next_owner', 'next_fingerprint')
  redis.call('DEL', lock)
  redis.call('HSET', lock, 'state', 'queued', 'message', next[1], 'owner', next[2], 'token', int(record.token),
    'follows', record.owner, 'created', int(now))
  if next[3] then redis.call('HSET', lock, 'fingerprint', next[3]) end
  keep_until(now + NEXT_WITHIN_MS, 0, 0)  -- which is in no queue yet
  record.following = next[1]
end

local function finish(record, state, outcome, ttl, cached)
  record.state, record.outcome = state, outcome
  if record.next_owner then return follow(record) end
  redis.call('DEL', lock)
  redis.call('ZREM', leases, digest)
  local fields = {'state', state, 'owner', record.owner, 'token', int(record.token), 'outcome', outcome, 'created',
    record.created, 'finished', int(now)}
  local function put(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if record.fingerprint ~= '' then put('fingerprint', record.fingerprint) end
  if record.retries > 0 then put('retries', int(record.retries)) end
  if cached then put('cached', '1') end
  if record.replaced then put('replaced', '1') end
  if record.follows then put('follows', record.follows) end
  redis.call('HSET', result, unpack(fields))
  redis.call('PEXPIRE', result, int(ttl))
end

local function help(record, after, ttl)
  local interval = math.min(after * 2 ^ math.min(record.helps, 16), math.max(after, MAX_HELP_INTERVAL_MS))
  keep_until(now + interval, record['until'], ttl)
  redis.call('HSET', lock, 'helps', int(record.helps + 1))
  return answer('help', record, {message = redis.call('HGET', lock, 'message')})
end

local function is_overdue()
  local score = redis.call('ZSCORE', leases, digest)
  return not score or tonumber(score) <= now
end
