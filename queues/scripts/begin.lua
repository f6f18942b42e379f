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
-- Returns   run | fenced (another run followed it) | busy | busy_self | held | replay | replay_error | dead | conflict

local fingerprint, id, execution, lease, ttl = ARGV[3], ARGV[4], ARGV[6], tonumber(ARGV[8]), tonumber(ARGV[10])

local function run(record)
  local token = math.max((record and record.token or 0) + 1, now_us)
  local created = record and record.created or int(now)
  local retries, lost = record and record.retries or tonumber(ARGV[7]), record and record.lost or 0
  local replaced = record and record.replaced
  redis.call('DEL', result)
  redis.call('HDEL', lock, 'helps', 'cancelled', 'progress')
  redis.call('HSET', lock, 'state', 'running', 'owner', id, 'token', int(token), 'execution', execution,
    'until', int(now + lease), 'created', created, 'retries', int(retries), 'lost', int(lost))
  if not replaced then
    redis.call('HDEL', lock, 'replaced')
    if record and not record.follows then redis.call('HDEL', lock, 'follows') end
    redis.call('HSET', lock, 'message', ARGV[5], 'fingerprint', fingerprint)
  end
  keep_until(now + lease, 0, ttl)
  return right_to_run({owner = id, state = 'running', token = token, retries = retries, lost = lost,
    replaced = replaced, created = created})
end

local function run_anew(record)
  record.retries, record.lost, record.created, record.replaced = tonumber(ARGV[7]), 0, int(now), false
  record.follows, is_only_here = nil, record.next_owner
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
if not record then return run(nil) end
if is_spent(record, id) then return run_anew(record) end
if record.follows == id then return answer('fenced', record) end
if is_other(record, fingerprint, id) then return answer('conflict', record) end
if not record.is_live then return stored(record) end
if record.state == 'running' then return begin_running(record) end
local own = record.owner == id
local early = record['until'] > now and not (record.state == 'waiting' and own)
if is_held(record) and (early or not own) then
  return answer('held', record, {wait = math.max(0, record['until'] - now)})
end
if early then
  return answer(own and 'busy_self' or 'busy', record, {wait = record['until'] - now})
end
return run(record)
