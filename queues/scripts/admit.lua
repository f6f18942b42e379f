-- admit: reserve the work for a message, and publish the message where its queue is in this server.
--
-- KEYS[4]   list of the queue, or absent
-- KEYS[5]   hash of the queue's messages, or absent
-- ARGV[3]   fingerprint
-- ARGV[4]   message id
-- ARGV[5]   message
-- ARGV[6]   help_after_ms
-- ARGV[7]   ttl_ms
-- ARGV[8]   'L' or 'R': the end of KEYS[4] to push at (only with KEYS[4])
-- ARGV[9]   what is pushed
-- ARGV[10]  payload, stored in KEYS[5] under ARGV[9] (only with KEYS[5])
-- Returns   admitted | help | inflight | replay | replay_error | dead | conflict

local fingerprint, id, after, ttl = ARGV[3], ARGV[4], tonumber(ARGV[6]), tonumber(ARGV[7])

local record = load()
if not record or is_spent(record, id) then
  local token = record and record.token or 0
  -- First what may be refused: a queue's key of another type, a full server.
  if KEYS[5] then redis.call('HSET', KEYS[5], ARGV[9], ARGV[10]) end
  if KEYS[4] then redis.call(ARGV[8] == 'L' and 'LPUSH' or 'RPUSH', KEYS[4], ARGV[9]) end
  redis.call('HSET', lock, 'state', 'queued', 'owner', id, 'message', ARGV[5], 'created', int(now))
  if fingerprint ~= '' then redis.call('HSET', lock, 'fingerprint', fingerprint) end
  if token > 0 then redis.call('HSET', lock, 'token', int(token)) end
  redis.call('DEL', result)
  keep_until(now + after, 0, ttl)
  return answer('admitted', {owner = id, state = 'queued'})
end
if record.fingerprint ~= fingerprint then return answer('conflict', record) end
if not record.is_live then return stored(record) end
if record.state == 'queued' and record.owner == id then return answer('admitted', record) end
if is_overdue() then return help(record, after, ttl) end
return answer('inflight', record, {wait = math.max(0, record['until'] - now)})
