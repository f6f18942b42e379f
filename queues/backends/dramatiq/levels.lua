-- Stands before Dramatiq's dispatch.lua: a queue is three lists, and what is in the first goes first.
--
-- KEYS[1]  namespace
-- ARGV     as dispatch.lua has them: command, timestamp, queue, worker, ..., [8] max_unpack_size, [9...] the command's own
--
-- $namespace:$queue:high, $namespace:$queue:low  lists of message ids; $namespace:$queue itself is the one between.
-- The messages of all three are in Dramatiq's own $namespace:$queue.msgs. No queue's name can hold a colon.
--
-- fetch       ARGV[9] how many at most, [10...] message ids: acknowledged first
-- ack_all     ARGV[9...] message ids
-- enqueue     ARGV[9] message id, [10] message, [11] 'high' or 'low', or absent: Dramatiq's own
-- requeue_at  ARGV[9] 'high' or 'low', [10...] message ids
-- purge       the two lists too

do
  local queue = KEYS[1] .. ':' .. ARGV[3]
  local messages = queue .. '.msgs'
  local unacked = KEYS[1] .. ':__acks__.' .. ARGV[4] .. '.' .. ARGV[3]
  local is_maintained = ARGV[7] == '1'

  local function acknowledge(first)
    local ended = {}
    for i = first, #ARGV do
      -- What was given back meanwhile is on its queue again, and stays there.
      if redis.call('SREM', unacked, ARGV[i]) > 0 then ended[#ended + 1] = ARGV[i] end
    end
    if #ended > 0 then redis.call('HDEL', messages, unpack(ended)) end
  end

  local function take(list, wanted, taken)
    local ids = wanted > 0 and redis.call('LRANGE', list, 0, wanted - 1) or {}
    if #ids > 0 then redis.call('LTRIM', list, #ids, -1) end
    for i = 1, #ids do taken[#taken + 1] = ids[i] end
  end

  if ARGV[1] == 'fetch' then
    acknowledge(10)
    if not is_maintained then
      -- As Dramatiq's own, which has a command for each message and each note of it.
      redis.call('ZADD', KEYS[1] .. ':__heartbeats__', ARGV[2], ARGV[4])
      local wanted, taken = math.min(ARGV[9], ARGV[8]), {}
      for _, level in ipairs({':high', '', ':low'}) do take(queue .. level, wanted - #taken, taken) end
      if #taken == 0 then return {} end
      redis.call('SADD', unacked, unpack(taken))
      return redis.call('HMGET', messages, unpack(taken))
    end
    -- What this fetch will take is put where Dramatiq takes it from, and no more.
    local wanted = math.min(ARGV[9], ARGV[8])
    local high = redis.call('LRANGE', queue .. ':high', 0, wanted - 1)
    if #high > 0 then
      redis.call('LTRIM', queue .. ':high', #high, -1)
      for i = #high, 1, -1 do redis.call('LPUSH', queue, high[i]) end
    end
    for _ = 1, wanted - redis.call('LLEN', queue) do
      local low = redis.call('LPOP', queue .. ':low')
      if not low then break end
      redis.call('RPUSH', queue, low)
    end
  elseif ARGV[1] == 'ack_all' then
    acknowledge(9)
  elseif ARGV[1] == 'enqueue' and ARGV[11] then
    redis.call('HSET', messages, ARGV[9], ARGV[10])
    redis.call('RPUSH', queue .. ':' .. ARGV[11], ARGV[9])
    return
  elseif ARGV[1] == 'requeue_at' then
    for i = 10, #ARGV do
      if redis.call('SREM', unacked, ARGV[i]) > 0 and redis.call('HEXISTS', messages, ARGV[i]) > 0 then
        redis.call('RPUSH', queue .. ':' .. ARGV[9], ARGV[i])
      end
    end
  elseif ARGV[1] == 'purge' then
    redis.call('DEL', queue .. ':high', queue .. ':low')
  end
end
