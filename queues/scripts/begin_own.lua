-- Before record.lua and begin.lua: the record is as this very message was admitted, and nothing has happened to it since.
-- (A record that follows another's, or has a run to follow it, has a token.)
--
-- As admit_again.lua, what most calls find comes before the functions for the rest.

do
  local f = redis.call('HMGET', lock, 'state', 'owner', 'fingerprint', 'created', 'until', 'helps', 'token', 'execution',
    'retries', 'lost', 'replaced', 'begin_by')
  local is_untouched = not (f[5] or f[6] or f[7] or f[8] or f[9] or f[10] or f[11] or f[12])
  if is_untouched and ARGV[15] == '0' and f[1] == 'queued' and f[2] == ARGV[4] and (f[3] or '') == ARGV[3] then
    local ends = now + ARGV[8]
    -- PEXPIRE first, as in keep_until: a full server lets a worker go on.
    redis.call('PEXPIRE', lock, ARGV[8] + ARGV[10])
    redis.call('ZADD', leases, ends, digest)
    -- The owner stands there already; with it, the server's log tells in one write who was given which lease.
    redis.call('HSET', lock, 'state', 'running', 'owner', ARGV[4], 'token', now_us, 'execution', ARGV[6], 'until', ends,
      'retries', '0', 'lost', '0', 'message', ARGV[5], 'fingerprint', ARGV[3])
    return {'run', ARGV[4], 'running', now_us, 0, 0, 0, '', '', f[4]}
  end
end

