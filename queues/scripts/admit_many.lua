-- admit_many: reserve the work of many messages, and publish them where their queue is in this server. Only where nothing
-- is there yet: what there is to do about other work, admit.lua does, which is called for the places that are returned.
--
-- A call that does a tenth as much takes a fifth of this one's time for each message: the call itself, the clock and
-- the push are then for one alone. The keys lie in many hash slots, so that a cluster takes no such call.
--
-- KEYS[1..]    of each message: task_lock:{xx}:<digest>, task_result:{xx}:<digest>
-- then         of each message: task_leases:{xx}
-- then         list of the queue, and hash of the queue's messages, or absent, as in admit.lua
-- ARGV[1]      now in ms, for tests; empty takes the server's clock
-- ARGV[2]      how many messages
-- ARGV[3]      help_after_ms
-- ARGV[4]      ttl_ms
-- ARGV[5]      'L' or 'R': the end of the list to push at
-- ARGV[6]      how many of the arguments that follow are of each message
-- ARGV[7..]    of each: digest, message id, message, what is pushed, its payload
-- Returns      the places, from 1, of messages of whose work something is there; those before it in the call count

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local count, width = tonumber(ARGV[2]), tonumber(ARGV[6])
local queue, payloads_key = KEYS[3 * count + 1], KEYS[3 * count + 2]
local is_nothing_there = redis.call('EXISTS', unpack(KEYS, 1, 2 * count)) == 0
local new, left, pushed, payloads, seen = {}, {}, {}, {}, {}

for place = 1, count do
  local lock = KEYS[2 * place - 1]
  if seen[lock] or not is_nothing_there and redis.call('EXISTS', lock, KEYS[2 * place]) > 0 then
    left[#left + 1] = place
  else
    local at = 6 + width * (place - 1)
    seen[lock] = true
    new[#new + 1], pushed[#pushed + 1] = place, ARGV[at + 4]
    if payloads_key then payloads[#payloads + 1], payloads[#payloads + 2] = ARGV[at + 4], ARGV[at + 5] end
  end
end
if #new == 0 then return left end

-- First what may be refused: a queue's key of another type, a full server. Then nothing is done.
if payloads_key then redis.call('HSET', payloads_key, unpack(payloads)) end
if queue then redis.call(ARGV[5] == 'L' and 'LPUSH' or 'RPUSH', queue, unpack(pushed)) end
local kept, help_at = ARGV[3] + ARGV[4], now + ARGV[3]
for _, place in ipairs(new) do
  local at, lock = 6 + width * (place - 1), KEYS[2 * place - 1]
  redis.call('ZADD', KEYS[2 * count + place], help_at, ARGV[at + 1])
  redis.call('HSET', lock, 'state', 'queued', 'owner', ARGV[at + 2], 'message', ARGV[at + 3], 'created', now)
  redis.call('PEXPIRE', lock, kept)
end
return left
