-- take_slot: take a slot of a concurrency limit; queues/limits/concurrency.py says how.
--
-- KEYS[1]  task_slots:{name}          sorted set: run -> when its slot ends (ms)
-- KEYS[2]  task_slots_waiting:{name}  sorted set: digest -> until when it is counted among the waiting (ms)
-- ARGV[1]  run
-- ARGV[2]  now in ms, for tests; empty takes the server's clock
-- ARGV[3]  digest
-- ARGV[4]  limit
-- ARGV[5]  lease_ms
-- ARGV[6]  shortest, ARGV[7] longest wait in ms; ARGV[8] ms of it a waiting work; ARGV[9] overdue after so many ms
-- ARGV[10] and on: runs whose slots had ended, each followed by when its lease ends (ms); 0 for none
-- Returns  0 when the run has the slot; else the ms after which to ask again, now, and the runs whose slots have ended

local slots, waiting, run, digest = KEYS[1], KEYS[2], ARGV[1], ARGV[3]
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

for i = 10, #ARGV, 2 do
  local ends, lease_ends = tonumber(redis.call('ZSCORE', slots, ARGV[i]) or nil), tonumber(ARGV[i + 1])
  if ends and ends <= now then
    if lease_ends > now then redis.call('ZADD', slots, int(lease_ends), ARGV[i]) else redis.call('ZREM', slots, ARGV[i]) end
  end
end
redis.call('ZREMRANGEBYSCORE', waiting, '-inf', int(now))
if redis.call('ZSCORE', slots, run) or redis.call('ZCARD', slots) < limit then
  redis.call('ZADD', slots, int(now + lease), run)
  redis.call('ZREM', waiting, digest)
  -- Of two runs' leases, the longer one keeps the set.
  redis.call('PEXPIRE', slots, int(tonumber(redis.call('ZRANGE', slots, -1, -1, 'WITHSCORES')[2]) - now + overdue))
  return {0}
end
local others = redis.call('ZCARD', waiting) - (redis.call('ZSCORE', waiting, digest) and 1 or 0)
local wait = math.min(math.max(shortest, (others + 1) * each), longest)
redis.call('ZADD', waiting, int(now + wait + overdue), digest)
redis.call('PEXPIRE', waiting, int(longest + overdue))
local reply = {wait, int(now)}
for _, ended in ipairs(redis.call('ZRANGEBYSCORE', slots, '-inf', int(now))) do reply[#reply + 1] = ended end
return reply
