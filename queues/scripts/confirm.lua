-- confirm: the admitted message is on its queue and may wait there.
--
-- ARGV[3]  message id
-- ARGV[4]  help_after_ms
-- ARGV[5]  ttl_ms
-- Returns  ok

local record = live()
if not record or record.state ~= 'queued' or record.owner ~= ARGV[3] then return answer('ok') end
keep_until(math.max(record['until'], now + tonumber(ARGV[4])), 0, tonumber(ARGV[5]))
return answer('ok', record)
