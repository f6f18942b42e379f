-- wait: put the run that holds the token off until its next attempt.
--
-- ARGV[3]  token
-- ARGV[4]  message of the next attempt
-- ARGV[5]  retries
-- ARGV[6]  delay_ms
-- ARGV[7]  help_after_ms
-- ARGV[8]  ttl_ms
-- ARGV[9]  outcome of a cancelled task
-- ARGV[10] '1' when the message is held: not published before it is due
-- Returns  ok | cancelled (stored as failed) | fenced

local record, token = live(), tonumber(ARGV[3])
if not holds(record, token) then return repeated('waiting', token, ARGV[9]) end
if record.cancelled then
  finish(record, 'failed', ARGV[9], tonumber(ARGV[8]))
  return answer('cancelled', record, {message = record.following})
end
local due = now + tonumber(ARGV[6])
redis.call('HDEL', lock, 'helps', 'lost', 'progress')
redis.call('HSET', lock, 'state', 'waiting', 'message', ARGV[4], 'retries', ARGV[5], 'until', due)
keep_until(due + (ARGV[10] == '1' and 0 or tonumber(ARGV[7])), 0, tonumber(ARGV[8]))
record.state = 'waiting'
return answer('ok', record)
