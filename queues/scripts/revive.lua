-- revive: queue the work of a dead letter again, overdue at once, and remove the letter.
--
-- ARGV[3]  message id
-- ARGV[4]  fingerprint
-- ARGV[5]  message
-- ARGV[6]  '1' when a stored outcome gives way
-- ARGV[7]  ttl_ms
-- Returns  admitted | inflight | replay | replay_error | dead | conflict | fenced (there is no such letter)

local id, fingerprint = ARGV[3], ARGV[4]
local record = load()
if record and record.is_live then return answer('inflight', record) end
if record and ARGV[6] ~= '1' and (record.state ~= 'failed' or record.cached) then
  return record.fingerprint ~= fingerprint and answer('conflict', record) or stored(record)
end
if redis.call('HEXISTS', letters, id) == 0 then return answer('fenced', record) end
redis.call('HSET', lock, 'state', 'queued', 'owner', id, 'message', ARGV[5], 'created', now)
if fingerprint ~= '' then redis.call('HSET', lock, 'fingerprint', fingerprint) end
if record and record.token > 0 then redis.call('HSET', lock, 'token', record.token) end
redis.call('DEL', result)
keep_until(now, 0, tonumber(ARGV[7]))
take(id)
return answer('admitted', {owner = id, state = 'queued'})
