-- Before record.lua and admit.lua: the work has completed. So it is with most that is repeated.
--
-- A server that has much else to do takes a third longer when it must make the functions for every case first. What
-- this does not answer goes on below. (A key has a lock or a result, never both.)

do
  local f = redis.call('HMGET', result, 'state', 'owner', 'fingerprint', 'token', 'outcome', 'ran')
  if f[1] == 'completed' and (f[3] or '') == ARGV[3] then
    local owner = f[6] and digest .. f[2] or f[2]
    return {'replay', owner, 'completed', tonumber(f[4]), 0, 0, 0, f[5] or NOTHING, '', 0}
  end
end

