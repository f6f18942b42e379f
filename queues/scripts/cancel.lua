-- cancel: end work that has not begun; mark work that runs; leave an outcome as it is.
--
-- ARGV[3]  outcome of a cancelled task
-- ARGV[4]  ttl_ms
-- Returns  ok | fenced (nothing there) | replay | replay_error | dead

local record = load()
if not record then return answer('fenced') end
if not record.is_live then return stored(record) end
if record.state == 'running' then
  redis.call('HDEL', lock, 'next', 'next_owner', 'next_fingerprint')
  redis.call('HSET', lock, 'cancelled', '1')
  return answer('ok', record)
end
record.next_owner = nil  -- what would have followed is cancelled with it
finish(record, 'failed', ARGV[3], tonumber(ARGV[4]))
return answer('ok', record)
