-- A completed record in few bytes, for there are millions of them; after head.lua.
--
-- Where the owner's id begins with the digest, as those that this library makes do, owner is the rest of the id; wait and
-- ran stand for created and finished: ms before and after the last run's begin, which its token tells; and the outcome of
-- a task that returned nothing is left out. `ran` tells such a record from one with all its fields, which an older
-- version wrote.

local function can_be_short(owner)
  return string.find(owner, digest, 1, true) == 1
end

-- In one command: the server's log tells an outcome in one write.
local function store_short(owner, token, outcome, created)
  local rest, begun = string.sub(owner, #digest + 1), math.floor(token / 1000)
  local wait, ran = begun - created, now - begun
  if outcome == NOTHING then
    redis.call('HSET', result, 'state', 'completed', 'owner', rest, 'token', token, 'wait', wait, 'ran', ran)
  else
    redis.call('HSET', result, 'state', 'completed', 'owner', rest, 'token', token, 'wait', wait, 'ran', ran, 'outcome',
      outcome)
  end
end

