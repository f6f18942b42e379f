-- Before record.lua and admit.lua: nothing is there and the message makes no wish, or the work has completed. So it is
-- with most.
--
-- A server that has much else to do takes a third longer when it must make the functions for every case first. What
-- this does not answer goes on below.

if redis.call('HEXISTS', lock, 'state') == 0 then
  local f = redis.call('HMGET', result, 'state', 'owner', 'fingerprint', 'token', 'outcome', 'ran')
  if f[1] == 'completed' and (f[3] or '') == ARGV[3] then
    local owner = f[6] and digest .. f[2] or f[2]
    return {'replay', owner, 'completed', tonumber(f[4]), 0, 0, 0, f[5] or NOTHING, '', 0}
  end
  if not f[1] and ARGV[3] == '' and ARGV[9] == '0' and ARGV[10] == '0' and ARGV[11] == '0' then
    -- First what may be refused: a queue's key of another type, a full server.
    if KEYS[5] then redis.call('HSET', KEYS[5], ARGV[13], ARGV[14]) end
    if KEYS[4] then redis.call(ARGV[12] == 'L' and 'LPUSH' or 'RPUSH', KEYS[4], ARGV[13]) end
    redis.call('HSET', lock, 'state', 'queued', 'owner', ARGV[4], 'message', ARGV[5], 'created', now)
    redis.call('PEXPIRE', lock, ARGV[6] + ARGV[7])
    redis.call('ZADD', leases, now + ARGV[6], digest)
    return {'admitted', ARGV[4], 'queued'}
  end
end

