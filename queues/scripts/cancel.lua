-- cancel: end work that has not begun; mark work that runs, or spare it; leave an outcome as it is.
--
-- ARGV[3]  outcome of a cancelled task
-- ARGV[4]  ttl_ms
-- ARGV[5]  '1' when work that runs is left as it is
-- Returns  ok | busy (it runs, and is spared) | fenced (nothing there) | replay | replay_error | dead

local record = load()
if not record then return answer('fenced') end
if not record.is_live then return stored(record) end
if record.state == 'running' and ARGV[5] == '1' then return answer('busy', record) end
if record.state == 'running' then
  redis.call('HDEL', lock, 'next', 'next_owner', 'next_fingerprint')
  redis.call('HSET', lock, 'cancelled', '1')
  return answer('ok', record)
end
record.next_owner = nil  -- what would have followed is cancelled with it
finish(record, 'failed', ARGV[3], tonumber(ARGV[4]))
return answer('ok', record)
