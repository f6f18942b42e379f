-- help: take the message of work that nobody looks after.
--
-- ARGV[3]  help_after_ms
-- ARGV[4]  ttl_ms
-- ARGV[5]  outcome of a task that had not begun in time
-- Returns  help (with the message) | ok (nothing to do)

local record = live()
if not record then
  redis.call('ZREM', leases, digest)
  return answer('ok')
end
if not is_overdue() then return answer('ok') end
if is_expired(record) then
  finish(record, 'failed', ARGV[5], tonumber(ARGV[4]))
  return answer('ok')
end
return help(record, tonumber(ARGV[3]), tonumber(ARGV[4]))
