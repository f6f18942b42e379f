-- admit: reserve the work for a message, and publish the message where its queue is in this server.
--
-- KEYS[4]   list of the queue, or absent
-- KEYS[5]   hash of the queue's messages, or absent
-- ARGV[3]   fingerprint
-- ARGV[4]   message id
-- ARGV[5]   message
-- ARGV[6]   help_after_ms
-- ARGV[7]   ttl_ms
-- ARGV[8]   what the message does to work that is there: join | replace | follow
-- ARGV[9]   quiet_ms
-- ARGV[10]  '1' when the message is held: not published before quiet_ms are over
-- ARGV[11]  begin_by_ms: when the work expires unless it has begun; 0 for never
-- ARGV[12]  'L' or 'R': the end of KEYS[4] to push at (only with KEYS[4])
-- ARGV[13]  what is pushed
-- ARGV[14]  payload, stored in KEYS[5] under ARGV[13] (only with KEYS[5])
-- Returns   admitted | replaced | follows | help | inflight | replay | replay_error | dead | conflict

local fingerprint, id, after, ttl = ARGV[3], ARGV[4], tonumber(ARGV[6]), tonumber(ARGV[7])
local duplicate, quiet = ARGV[8], tonumber(ARGV[9])
local published_by = now + quiet + (ARGV[10] == '1' and 0 or after)

local function reserve(record)
  local token = record and record.token or 0
  -- First what may be refused: a queue's key of another type, a full server.
  if KEYS[5] then redis.call('HSET', KEYS[5], ARGV[13], ARGV[14]) end
  if KEYS[4] then redis.call(ARGV[12] == 'L' and 'LPUSH' or 'RPUSH', KEYS[4], ARGV[13]) end
  if record and record.is_live then redis.call('DEL', lock) end
  is_only_here = false
  redis.call('HSET', lock, 'state', 'queued', 'owner', id, 'message', ARGV[5], 'created', now)
  if ARGV[11] ~= '0' then redis.call('HSET', lock, 'begin_by', ARGV[11]) end
  if fingerprint ~= '' then redis.call('HSET', lock, 'fingerprint', fingerprint) end
  if record and not makes_way(record, id) then redis.call('HSET', lock, 'follows', record.owner) end
  if token > 0 then redis.call('HSET', lock, 'token', token) end
  if quiet > 0 then redis.call('HSET', lock, 'until', now + quiet) end
  if record then redis.call('DEL', result) end
  keep_until(published_by, 0, ttl)
  return answer('admitted', {owner = id, state = 'queued'})
end

local function replace(record)
  local due = quiet > 0 and math.max(record['until'], now + quiet) or record['until']
  local help_at = is_held(record) and due or math.max(tonumber(redis.call('ZSCORE', leases, digest)), published_by)
  is_only_here = true
  redis.call('HDEL', lock, 'next', 'next_owner', 'next_fingerprint', 'begin_by')
  if ARGV[11] ~= '0' then redis.call('HSET', lock, 'begin_by', ARGV[11]) end
  redis.call('HSET', lock, 'message', ARGV[5], 'fingerprint', fingerprint, 'replaced', '1')
  if quiet > 0 then redis.call('HSET', lock, 'until', due) end
  keep_until(help_at, 0, ttl)
  return answer('replaced', record)
end

local record = load()
if not record or makes_way(record, id) then return reserve(record) end
local other = is_other(record, fingerprint, id)
if not record.is_live then
  if other and duplicate ~= 'join' then return reserve(record) end
  return other and answer('conflict', record) or stored(record)
end
if record.owner == id and not other then
  return answer(record.state == 'queued' and 'admitted' or 'inflight', record)
end
if record.state ~= 'running' and duplicate ~= 'join' then return replace(record) end
if duplicate == 'follow' then
  redis.call('PEXPIRE', lock, record['until'] - now + math.max(ttl, UNPUBLISHED_TTL_MS))
  redis.call('HSET', lock, 'next', ARGV[5], 'next_owner', id, 'next_fingerprint', fingerprint)
  return answer('follows', {owner = id, state = record.state})
end
if other then return answer('conflict', record) end
if is_overdue() then return help(record, after, ttl) end
return answer('inflight', record, {wait = math.max(0, record['until'] - now)})
