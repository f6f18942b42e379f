-- look: what admit answers to every message that joins, where it changes nothing; a miss where it might.
--
-- ARGV[3]  fingerprint
-- ARGV[4]  '1' when only an outcome is asked for
-- Returns  inflight | replay | replay_error | dead | miss

local MISS = {'miss', '', 'unknown'}

local f = redis.call('HMGET', lock, 'state', 'fingerprint', 'owner', 'until', 'execution', 'begin_by')
if f[1] then
  local begin_by, help_at = tonumber(f[6] or 0), tonumber(redis.call('ZSCORE', leases, digest) or 0)
  local is_expired = (f[5] or '') == '' and begin_by > 0 and begin_by <= now
  if ARGV[4] == '1' or (f[2] or '') ~= ARGV[3] or is_expired or help_at <= now then return MISS end
  return {'inflight', f[3], f[1], 0, math.max(0, (f[4] or 0) - now), 0, 0, '', '', 0}
end

f = redis.call('HMGET', result, 'state', 'fingerprint', 'owner', 'token', 'outcome', 'cached', 'ran')
local kind = f[1] and ({completed = 'replay', dead = 'dead', failed = f[6] == '1' and 'replay_error'})[f[1]]
if not kind or (f[2] or '') ~= ARGV[3] then return MISS end
local owner = f[7] and digest .. f[3] or f[3]
return {kind, owner, f[1], tonumber(f[4] or 0), 0, 0, 0, f[5] or NOTHING, '', 0}
