-- What every script on dead letters begins with, after record.lua.
--
-- KEYS[4]  task_dead:{xx}         hash: message id -> letter: a line of numbers, the message, the outcome
-- KEYS[5]  task_dead_index:{xx}   sorted set: message id -> when its work failed (ms)
-- KEYS[6]  task_dead_counts:{xx}  hash: bytes (of the letters), removed (letters that made room for newer ones)
--
-- The specification is queues/idempotency/letters.py.

local letters, index, counts = KEYS[4], KEYS[5], KEYS[6]
local MAX_LETTERS = 400
local MAX_LETTERS_BYTES = 2097152

local function take(id)
  local length = redis.call('HSTRLEN', letters, id)
  if length == 0 then return false end
  redis.call('HDEL', letters, id)
  redis.call('ZREM', index, id)
  redis.call('HINCRBY', counts, 'bytes', -length)
  return true
end

local function make_room(keep)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now - keep)) do take(id) end
  local kept, length = redis.call('ZCARD', index), tonumber(redis.call('HGET', counts, 'bytes'))
  while kept > MAX_LETTERS or (length > MAX_LETTERS_BYTES and kept > 1) do
    take(redis.call('ZRANGE', index, 0, 0)[1])
    redis.call('HINCRBY', counts, 'removed', 1)
    kept, length = kept - 1, tonumber(redis.call('HGET', counts, 'bytes'))
  end
end

local function put(record, state, message, outcome, attempts, keep)
  take(record.owner)
  local letter = string.format('1 %s %s %d %d %s %.0f %.0f %d\n', state, digest, attempts, record.lost, record.created,
    now, now + keep, #message) .. message .. outcome
  redis.call('HSET', letters, record.owner, letter)
  redis.call('ZADD', index, now, record.owner)
  redis.call('HINCRBY', counts, 'bytes', #letter)
  make_room(keep)
  for _, key in ipairs({letters, index, counts}) do redis.call('PEXPIRE', key, keep) end
end

-- The outcome first: a full server takes the rest of a script that began by giving room.
local function finish_dead(record, state, outcome, ttl, cached, keep)
  local kept = keep > 0 and not record.cancelled
  local message = kept and redis.call('HGET', lock, 'message')
  finish(record, state, outcome, ttl, cached)
  if kept then put(record, state, message or '', outcome, record.retries + 1, keep) end
end
