-- begin: ask for the right to run.
--
-- ARGV[3]   fingerprint
-- ARGV[4]   message id
-- ARGV[5]   message
-- ARGV[6]   execution
-- ARGV[7]   retries
-- ARGV[8]   lease_ms
-- ARGV[9]   max_lost
-- ARGV[10]  ttl_ms
-- ARGV[11]  outcome of a task whose workers all died
-- ARGV[12]  outcome of a cancelled task
-- ARGV[13]  how long a dead letter is kept (ms); 0 keeps none
-- ARGV[14]  outcome of a task that had not begun in time
-- ARGV[15]  begin_by_ms: when the message expires unless it has begun; 0 for never
-- Returns   run | fenced (another run followed it) | busy | busy_self | held | replay | replay_error | dead | conflict

local fingerprint, id, execution, lease, ttl = ARGV[3], ARGV[4], ARGV[6], tonumber(ARGV[8]), tonumber(ARGV[10])

local late = ARGV[15] ~= '0' and tonumber(ARGV[15]) <= now and tonumber(ARGV[7]) == 0

local function expire(record)
  local ended = {owner = id, fingerprint = fingerprint, token = record and record.token + 1 or 0, retries = 0,
    created = now, next_owner = record and record.next_owner}
  redis.call('DEL', result)
  finish(ended, 'failed', ARGV[14], ttl)
  return stored(ended)
end

local function run(record)
  local token = math.max((record and record.token or 0) + 1, now_us)
  local created = record and record.created or now
  local retries, lost = record and record.retries or tonumber(ARGV[7]), record and record.lost or 0
  local replaced = record and record.replaced
  -- PEXPIRE, or DEL, first, as in keep_until: a full server lets a worker go on.
  local is_live = record and record.is_live
  if is_live then keep_until(now + lease, 0, ttl) else redis.call('DEL', result) end
  if is_live and (record.state == 'running' or record.helps > 0) then
    redis.call('HDEL', lock, 'helps', 'cancelled', 'progress')
  end
  if is_live and record.begin_by > 0 then redis.call('HDEL', lock, 'begin_by') end
  local message = replaced and redis.call('HGET', lock, 'message') or ARGV[5]
  redis.call('HSET', lock, 'state', 'running', 'owner', id, 'token', token, 'execution', execution,
    'until', now + lease, 'created', created, 'retries', retries, 'lost', lost, 'message', message,
    'fingerprint', replaced and record.fingerprint or fingerprint)
  if not is_live then keep_until(now + lease, 0, ttl) end
  return right_to_run({owner = id, state = 'running', token = token, retries = retries, lost = lost,
    replaced = replaced, created = created})
end

local function run_anew(record)
  if late then return expire(record) end
  record.retries, record.lost, record.created, record.replaced = tonumber(ARGV[7]), 0, now, false
  is_only_here = record.next_owner
  redis.call('HDEL', lock, 'replaced', 'follows')
  return run(record)
end

local function begin_running(record)
  if record.execution == execution then
    return right_to_run(record)
  end
  if record['until'] > now then
    return answer(record.owner == id and 'busy_self' or 'busy', record, {wait = record['until'] - now})
  end
  if record.cancelled and record.owner == id then
    record.token = record.token + 1
    finish(record, 'failed', ARGV[12], ttl)
    return stored(record)
  end
  if record.cancelled then return run_anew(record) end
  if record.lost >= tonumber(ARGV[9]) then
    finish_dead(record, 'dead', ARGV[11], ttl, false, tonumber(ARGV[13]))
    return stored(record)
  end
  record.lost = record.lost + 1
  return run(record)
end

local record = load()
if not record then return late and expire(nil) or run(nil) end
if makes_way(record, id) then return run_anew(record) end
if record.follows == id then return answer('fenced', record) end
if is_other(record, fingerprint, id) then return answer('conflict', record) end
if not record.is_live then return stored(record) end
if record.state == 'running' then return begin_running(record) end
local own = record.owner == id
-- Of a run that followed another, only its own message tells by when it must begin.
local over = late and not record.replaced and record.execution == ''
if own and (over or is_expired(record)) then
  finish(record, 'failed', ARGV[14], ttl)
  return stored(record)
end
local early = record['until'] > now and not (record.state == 'waiting' and own)
if is_held(record) and (early or not own) then
  return answer('held', record, {wait = math.max(0, record['until'] - now)})
end
if early then
  return answer(own and 'busy_self' or 'busy', record, {wait = record['until'] - now})
end
return run(record)
