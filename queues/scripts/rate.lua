-- rate: take a turn under a task's rate, or a place in its line; queues/limits/rate.py says how.
--
-- KEYS[1]  task_rate:{task}    hash, in microseconds: next (no start before), last and again (the places given last)
-- KEYS[2]  task_places:{task}  sorted set: message id -> its place
-- ARGV[1]  message id
-- ARGV[2]  now in ms, for tests; empty takes the server's clock
-- ARGV[3]  microseconds between two starts
-- ARGV[4]  microseconds for which a turn is waited for in the worker
-- ARGV[5]  microseconds for which the place of a message that did not come is remembered
-- Returns  1 and the ms after which it may start, or 0 and the ms after which to ask again

local rate, places, id = KEYS[1], KEYS[2], ARGV[1]
local interval, short, kept = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local now = tonumber(ARGV[2])
if now then
  now = now * 1000
else
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- Lua would write a large number as 1.7e+15.
local function int(number)
  return string.format('%.0f', number)
end

local found = redis.call('HMGET', rate, 'next', 'last', 'again')
local next, last, again = tonumber(found[1] or 0), tonumber(found[2] or 0), tonumber(found[3] or 0)
redis.call('ZREMRANGEBYSCORE', places, '-inf', int(now - kept))
local place = tonumber(redis.call('ZSCORE', places, id) or nil)

local function told(given, at)
  local ends = math.max(next, last, again, now)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, int((ends - now + kept) / 1000)) end
  return {given, math.max(0, math.ceil((at - now) / 1000))}
end

local has_waited = place and place <= now + short
local is_idle = next + interval + short <= now
local is_free = not place and (is_idle or math.max(last, again) <= now)
local start = math.max(now, next)
if (has_waited or is_free) and start <= now + short then
  redis.call('ZREM', places, id)
  next = start + interval
  redis.call('HSET', rate, 'next', int(next))
  return told(1, start)
end
if has_waited then
  again = math.max(again + interval, next)
  place = again
elseif not place then
  last = math.max(last + interval, again + interval, next)
  place = last
else
  return told(0, place)
end
redis.call('HSET', rate, 'last', int(last), 'again', int(again))
redis.call('ZADD', places, int(place), id)
return told(0, place)
