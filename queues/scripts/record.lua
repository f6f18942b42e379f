-- The record of one key, read and written; after head.lua.

-- Whether the record is all there is of a message: newer arguments, or a run that follows.
local is_only_here = false

local function live()
  local f = redis.call('HMGET', lock, 'state', 'fingerprint', 'owner', 'token', 'execution', 'until', 'helps',
    'lost', 'retries', 'cancelled', 'created', 'replaced', 'follows', 'next_owner', 'begin_by')
  if not f[1] then return nil end
  is_only_here = f[12] == '1' or f[14]
  return {state = f[1], fingerprint = f[2] or '', owner = f[3], token = tonumber(f[4] or 0), execution = f[5] or '',
    ['until'] = tonumber(f[6] or 0), helps = tonumber(f[7] or 0), lost = tonumber(f[8] or 0),
    retries = tonumber(f[9] or 0), cancelled = f[10] == '1', created = f[11] or '0', replaced = f[12] == '1',
    follows = f[13], next_owner = f[14], begin_by = tonumber(f[15] or 0), is_live = true}
end

local function finished()
  local f = redis.call('HMGET', result, 'state', 'fingerprint', 'owner', 'token', 'retries', 'outcome', 'cached',
    'replaced', 'follows', 'ran')
  if not f[1] then return nil end
  return {state = f[1], fingerprint = f[2] or '', owner = f[10] and digest .. f[3] or f[3], token = tonumber(f[4] or 0),
    retries = tonumber(f[5] or 0), outcome = f[6] or NOTHING, cached = f[7] == '1', replaced = f[8] == '1',
    follows = f[9], lost = 0, ['until'] = 0}
end

local function load()
  return live() or finished()
end

local function answer(kind, record, more)
  local owner, state = record and record.owner or '', record and record.state or 'unknown'
  if not more then return {kind, owner, state} end
  return {kind, owner, state, more.token or 0, more.wait or 0, more.retries or 0, more.lost or 0, more.outcome or '',
    more.message or '', more.created or 0}
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

-- Queued work that never ran, so that it has no execution, and should have begun by now.
local function is_expired(record)
  return record.execution == '' and record.begin_by > 0 and record.begin_by <= now
end

-- Work that has expired will end as a failure that is spent; for others it has already.
local function makes_way(record, id)
  return is_spent(record, id) or is_expired(record) and record.owner ~= id
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
  redis.call('PEXPIRE', lock, math.max(help_at, last) - now + ttl)
  redis.call('ZADD', leases, help_at, digest)
end

-- The run that follows takes the place of the one that ended; what is published is left in record.following.
local function follow(record)
  local next = redis.call('HMGET', lock, 'next', 'next_owner', 'next_fingerprint')
  redis.call('DEL', lock)
  redis.call('HSET', lock, 'state', 'queued', 'message', next[1], 'owner', next[2], 'token', record.token,
    'follows', record.owner, 'created', now)
  if next[3] then redis.call('HSET', lock, 'fingerprint', next[3]) end
  keep_until(now + NEXT_WITHIN_MS, 0, 0)  -- which is in no queue yet
  record.following = next[1]
end

local function finish(record, state, outcome, ttl, cached)
  record.state, record.outcome = state, outcome
  if record.next_owner then return follow(record) end
  redis.call('DEL', lock)
  redis.call('ZREM', leases, digest)
  if state == 'completed' and can_be_short(record.owner) then
    store_short(record.owner, record.token, outcome, record.created)
  else
    redis.call('HSET', result, 'state', state, 'owner', record.owner, 'token', record.token, 'outcome', outcome,
      'created', record.created, 'finished', now)
  end
  if record.fingerprint ~= '' then redis.call('HSET', result, 'fingerprint', record.fingerprint) end
  if record.retries > 0 then redis.call('HSET', result, 'retries', record.retries) end
  if cached then redis.call('HSET', result, 'cached', '1') end
  if record.replaced then redis.call('HSET', result, 'replaced', '1') end
  if record.follows then redis.call('HSET', result, 'follows', record.follows) end
  redis.call('PEXPIRE', result, ttl)
end

local function help(record, after, ttl)
  local interval = math.min(after * 2 ^ math.min(record.helps, 16), math.max(after, MAX_HELP_INTERVAL_MS))
  keep_until(now + interval, record['until'], ttl)
  redis.call('HSET', lock, 'helps', record.helps + 1)
  return answer('help', record, {message = redis.call('HGET', lock, 'message')})
end

local function is_overdue()
  local score = redis.call('ZSCORE', leases, digest)
  return not score or tonumber(score) <= now
end
