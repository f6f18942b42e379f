-- Stands before Dramatiq's dispatch.lua: priorities as Celery has them on Redis, and what many deliveries need at once.
--
-- KEYS[1]  namespace
-- ARGV     as dispatch.lua has them: command, timestamp, queue, worker, heartbeat_timeout, dead_message_ttl,
--          do_maintenance, [8] max_unpack_size, [9...] the command's own
--
-- $namespace:$queue            a list of message ids: priorities 0 to 2, the first to go, and those without one
-- $namespace:$queue:3, 6, 9    lists of the later ones. The messages of all are in Dramatiq's own $namespace:$queue.msgs
-- $namespace:$queue:bell       a list that idle consumers block on; a few entries, of no meaning
--
-- A message that was given back begins with a space, which JSON ignores: it is delivered again.
--
-- fetch       [9] how many at most
-- enqueue     [9] message id, [10] message, [11] '3', '6' or '9', or absent: the first list
-- ack_all     [9...] message ids
-- give_back   [9] '', '3', '6' or '9', [10...] message ids in the order in which they came: to the front again
-- purge       all lists; what is unacked stays, as it is being run. Returns how many messages there were

do
  local namespace, queue = KEYS[1], KEYS[1] .. ':' .. ARGV[3]
  local messages, bell = queue .. '.msgs', queue .. ':bell'
  local unacked = namespace .. ':__acks__.' .. ARGV[4] .. '.' .. ARGV[3]

  local function ring()
    if redis.call('LLEN', bell) < 32 then redis.call('RPUSH', bell, '') end
  end

  local function mark(id)
    local message = redis.call('HGET', messages, id)
    if message and string.byte(message) ~= 32 then redis.call('HSET', messages, id, ' ' .. message) end
    return message
  end

  if ARGV[7] == '1' then
    -- Dramatiq gives back what the dead held, further down.
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', namespace .. ':__heartbeats__', 0, ARGV[2] - ARGV[5])) do
      for _, id in ipairs(redis.call('SMEMBERS', namespace .. ':__acks__.' .. dead .. '.' .. ARGV[3])) do mark(id) end
    end
  end

  if ARGV[1] == 'fetch' then
    local wanted = math.min(ARGV[9], ARGV[8]) - redis.call('LLEN', queue)
    for _, level in ipairs({':3', ':6', ':9'}) do
      while wanted > 0 do
        local id = redis.call('LPOP', queue .. level)
        if not id then break end
        redis.call('RPUSH', queue, id)
        wanted = wanted - 1
      end
    end
  elseif ARGV[1] == 'enqueue' then
    local level = queue
    if ARGV[11] then level = queue .. ':' .. ARGV[11] end
    redis.call('HSET', messages, ARGV[9], ARGV[10])
    redis.call('RPUSH', level, ARGV[9])
    return ring()
  elseif ARGV[1] == 'ack_all' then
    for i = 9, #ARGV do
      if redis.call('SREM', unacked, ARGV[i]) > 0 then redis.call('HDEL', messages, ARGV[i]) end
    end
  elseif ARGV[1] == 'give_back' then
    local level = queue
    if ARGV[9] ~= '' then level = queue .. ':' .. ARGV[9] end
    for i = #ARGV, 10, -1 do
      if redis.call('SREM', unacked, ARGV[i]) > 0 and mark(ARGV[i]) then
        redis.call('LPUSH', level, ARGV[i])
        ring()
      end
    end
  elseif ARGV[1] == 'purge' then
    local count = 0
    for _, level in ipairs({'', ':3', ':6', ':9'}) do
      while true do
        local id = redis.call('LPOP', queue .. level)
        if not id then break end
        redis.call('HDEL', messages, id)
        count = count + 1
      end
    end
    return count
  end
end
