-- Before record.lua and complete.lua: the run holds the token, had no trouble, and nothing follows it; its message has an
-- id of this library's making.
--
-- As admit_again.lua, what most calls find comes before the functions for the rest.

do
  local f = redis.call('HMGET', lock, 'state', 'token', 'owner', 'created', 'fingerprint', 'retries', 'replaced', 'follows',
    'next_owner')
  local is_plain = f[5] == '' and f[6] == '0' and not (f[7] or f[8] or f[9])
  if is_plain and can_be_short(f[3]) and f[1] == 'running' and f[2] == ARGV[3] then
    redis.call('DEL', lock)
    redis.call('ZREM', leases, digest)
    store_short(f[3], f[2], ARGV[4], f[4])
    redis.call('PEXPIRE', result, ARGV[5])
    return {'ok', f[3], 'completed'}
  end
end

