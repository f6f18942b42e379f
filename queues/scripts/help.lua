-- help: take the message of work that nobody looks after.
--
-- ARGV[3]  help_after_ms
-- ARGV[4]  ttl_ms
-- Returns  help (with the message) | ok (nothing to do)

local record = live()
if not record then
  redis.call('ZREM', leases, digest)
  return answer('ok')
end
if not is_overdue() then return answer('ok') end
return help(record, tonumber(ARGV[3]), tonumber(ARGV[4]))
