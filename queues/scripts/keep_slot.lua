-- keep_slot: renew a slot of a concurrency limit; queues/limits/concurrency.py says how.
--
-- KEYS[1]  task_slots:{name}  sorted set: run -> when its slot ends (ms)
-- ARGV[1]  run
-- ARGV[2]  now in ms, for tests; empty takes the server's clock
-- ARGV[3]  lease_ms
-- ARGV[4]  ms for which the set outlives its last slot
-- Returns  1, or 0 when the run has no slot any more

local slots, run, lease, kept = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

if not redis.call('ZSCORE', slots, run) then return 0 end
-- Lua would write a large number as 1.7e+15.
redis.call('ZADD', slots, string.format('%.0f', now + lease), run)
if redis.call('PTTL', slots) < lease + kept then redis.call('PEXPIRE', slots, string.format('%.0f', lease + kept)) end
return 1
