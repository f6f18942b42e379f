-- keep_slot: renew a slot of a concurrency limit; queues/limits/concurrency.py says how.
--
-- KEYS[1]  task_slots:{name}  sorted set: run -> when its slot ends (ms)
-- ARGV[1]  run
-- ARGV[2]  now in ms, for tests; empty takes the server's clock
-- ARGV[3]  limit
-- ARGV[4]  lease_ms
-- Returns  1, or 0 when another run may have the slot

local slots, run, limit, lease = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local ends = tonumber(redis.call('ZSCORE', slots, run) or nil)
if not ends then return 0 end
-- An ended slot is not among those that are counted.
local others = redis.call('ZCOUNT', slots, '(' .. string.format('%.0f', now), '+inf') - (ends > now and 1 or 0)
if others >= limit then return 0 end
-- Lua would write a large number as 1.7e+15.
redis.call('ZADD', slots, string.format('%.0f', now + lease), run)
if redis.call('PTTL', slots) < lease then redis.call('PEXPIRE', slots, string.format('%.0f', lease + 60000)) end
return 1
