-- take_slot: take a slot of a concurrency limit; queues/limits/concurrency.py says how.
--
-- KEYS[1]  task_slots:{name}          sorted set: run -> when its slot ends (ms)
-- KEYS[2]  task_slots_waiting:{name}  sorted set: message id -> until when it is counted among the waiting (ms)
-- ARGV[1]  run
-- ARGV[2]  now in ms, for tests; empty takes the server's clock
-- ARGV[3]  message id
-- ARGV[4]  limit
-- ARGV[5]  lease_ms
-- ARGV[6]  shortest, ARGV[7] longest wait in ms; ARGV[8] ms of it a waiting message; ARGV[9] overdue after so many ms
-- Returns  0 when the run has the slot, else the ms after which to ask again

local slots, waiting, run, id = KEYS[1], KEYS[2], ARGV[1], ARGV[3]
local limit, lease = tonumber(ARGV[4]), tonumber(ARGV[5])
local shortest, longest, each, overdue = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua would write a large number as 1.7e+15.
local function int(number)
  return string.format('%.0f', number)
end

redis.call('ZREMRANGEBYSCORE', slots, '-inf', int(now))
redis.call('ZREMRANGEBYSCORE', waiting, '-inf', int(now))
if redis.call('ZSCORE', slots, run) or redis.call('ZCARD', slots) < limit then
  redis.call('ZADD', slots, int(now + lease), run)
  redis.call('ZREM', waiting, id)
  -- Of two runs' leases, the longer one keeps the set.
  redis.call('PEXPIRE', slots, int(tonumber(redis.call('ZRANGE', slots, -1, -1, 'WITHSCORES')[2]) - now + overdue))
  return 0
end
local others = redis.call('ZCARD', waiting) - (redis.call('ZSCORE', waiting, id) and 1 or 0)
local wait = math.min(math.max(shortest, (others + 1) * each), longest)
redis.call('ZADD', waiting, int(now + wait + overdue), id)
redis.call('PEXPIRE', waiting, int(longest + overdue))
return wait
