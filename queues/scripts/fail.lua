-- fail: store the failure of the run that holds the token, and its dead letter.
--
-- ARGV[3]  token
-- ARGV[4]  outcome
-- ARGV[5]  '1' when the failure answers new submissions too
-- ARGV[6]  ttl_ms
-- ARGV[7]  how long the dead letter is kept (ms); 0 keeps none
-- Returns  ok | fenced

local record, token = live(), tonumber(ARGV[3])
if not holds(record, token) then return repeated('failed', token) end
finish_dead(record, 'failed', ARGV[4], tonumber(ARGV[6]), ARGV[5] == '1', tonumber(ARGV[7]))
return answer('ok', record, {message = record.following})
