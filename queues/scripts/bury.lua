-- bury: keep a dead letter of a message that has no record.
--
-- ARGV[3]  message id
-- ARGV[4]  message
-- ARGV[5]  outcome
-- ARGV[6]  created_ms
-- ARGV[7]  how long it is kept (ms); 0 keeps none
-- Returns  ok

local keep = tonumber(ARGV[7])
if keep > 0 then
  put({owner = ARGV[3], lost = 0, created = ARGV[6]}, 'failed', ARGV[4], ARGV[5], 0, keep)
end
return answer('ok')
