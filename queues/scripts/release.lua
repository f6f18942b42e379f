-- release: put the run that holds the token back among the queued.
--
-- ARGV[3]  token
-- ARGV[4]  help_after_ms
-- ARGV[5]  ttl_ms
-- ARGV[6]  outcome of a cancelled task
-- ARGV[7]  '1' when there is no message: the record is removed
-- Returns  ok | cancelled (stored as failed) | fenced

local record, token = live(), tonumber(ARGV[3])
if not holds(record, token) then return repeated('queued', token, ARGV[6]) end
if record.cancelled then
  finish(record, 'failed', ARGV[6], tonumber(ARGV[5]))
  return answer('cancelled', record, {message = record.following})
end
if ARGV[7] == '1' and record.next_owner then
  follow(record)
  return answer('ok', nil, {message = record.following})
end
if ARGV[7] == '1' then
  redis.call('DEL', lock)
  redis.call('ZREM', leases, digest)
  return answer('ok')
end
redis.call('HDEL', lock, 'helps', 'progress', 'until')
redis.call('HSET', lock, 'state', 'queued')
keep_until(now + tonumber(ARGV[4]), 0, tonumber(ARGV[5]))
record.state = 'queued'
return answer('ok', record)
