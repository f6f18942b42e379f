-- fail: store the failure of the run that holds the token.
--
-- ARGV[3]  token
-- ARGV[4]  outcome
-- ARGV[5]  '1' when the failure answers new submissions too
-- ARGV[6]  ttl_ms
-- Returns  ok | fenced

local record, token = live(), tonumber(ARGV[3])
if not holds(record, token) then return repeated('failed', token) end
finish(record, 'failed', ARGV[4], tonumber(ARGV[6]), ARGV[5] == '1')
return answer('ok', record, {message = record.following})
