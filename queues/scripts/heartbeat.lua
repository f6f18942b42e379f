-- heartbeat: renew the lease of the run that holds the token.
--
-- ARGV[3]  token
-- ARGV[4]  lease_ms
-- ARGV[5]  ttl_ms
-- ARGV[6]  progress; empty leaves the last one
-- Returns  ok | cancelled (renewed, but the task should stop) | fenced

local record = live()
if not holds(record, tonumber(ARGV[3])) then return answer('fenced') end
local ends = now + tonumber(ARGV[4])
keep_until(ends, 0, tonumber(ARGV[5]))
redis.call('HSET', lock, 'until', ends)
if ARGV[6] ~= '' then redis.call('HSET', lock, 'progress', ARGV[6]) end
return answer(record.cancelled and 'cancelled' or 'ok', record)
