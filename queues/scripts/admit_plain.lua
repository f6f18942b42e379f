-- admit_plain: as admit, of a message that makes no wish, and whose work is named by all of its arguments. So are most.
--
-- A submission is hardly more than this call, and every argument and every part of the reply is some of its time.
--
-- KEYS      as of admit
-- ARGV[3]   message id
-- ARGV[4]   message
-- ARGV[5]   help_after_ms
-- ARGV[6]   ttl_ms
-- ARGV[7..] as ARGV[12..] of admit
-- Returns   the message id where nothing was there: it is admitted. Else what admit returns, which follows below.

if redis.call('HEXISTS', lock, 'state') == 0 and redis.call('HEXISTS', result, 'state') == 0 then
  -- First what may be refused: a queue's key of another type, a full server.
  if KEYS[5] then redis.call('HSET', KEYS[5], ARGV[8], ARGV[9]) end
  if KEYS[4] then redis.call(ARGV[7] == 'L' and 'LPUSH' or 'RPUSH', KEYS[4], ARGV[8]) end
  redis.call('HSET', lock, 'state', 'queued', 'owner', ARGV[3], 'message', ARGV[4], 'created', now)
  redis.call('PEXPIRE', lock, ARGV[5] + ARGV[6])
  redis.call('ZADD', leases, now + ARGV[5], digest)
  return ARGV[3]
end

local ARGV = {digest, ARGV[2], '', ARGV[3], ARGV[4], ARGV[5], ARGV[6], 'join', '0', '0', '0', ARGV[7], ARGV[8], ARGV[9]}

