-- complete: store the outcome of the run that holds the token.
--
-- ARGV[3]  token
-- ARGV[4]  outcome
-- ARGV[5]  ttl_ms
-- Returns  ok | fenced

local record, token = live(), tonumber(ARGV[3])
if not holds(record, token) then return repeated('completed', token) end
finish(record, 'completed', ARGV[4], tonumber(ARGV[5]))
return answer('ok', record, {message = record.following})
