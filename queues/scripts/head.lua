-- What every script begins with: the keys of one record, and the time.
--
-- KEYS[1]  task_lock:{xx}:<digest>    hash, while the work is queued, running or waiting:
--            state fingerprint owner token execution message until helps lost retries cancelled progress created
--            replaced follows next next_owner next_fingerprint begin_by
-- KEYS[2]  task_result:{xx}:<digest>  hash, once there is an outcome:
--            state fingerprint owner token retries outcome cached created finished replaced follows
--            or, of completed work, short: state fingerprint owner token retries outcome wait ran replaced follows
-- KEYS[3]  task_leases:{xx}           sorted set: digest -> when others may publish its message again (ms)
-- ARGV[1]  digest
-- ARGV[2]  now in ms, for tests; empty takes the server's clock
--
-- Every script returns: kind, owner, state, and, where there is more to say: token, wait_ms, retries, lost, outcome,
-- message, created.
-- A field left at its default is not stored. Redis writes a number that a script gives to a command in full; Lua itself
-- would write a large one as 1.7e+15. The transitions are those of queues/idempotency/machine.py.

local lock, result, leases, digest = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local MAX_HELP_INTERVAL_MS = 600000
local NEXT_WITHIN_MS = 10000
local UNPUBLISHED_TTL_MS = 2592000000
local NOTHING = '{"ok":null}'

local now, now_us = tonumber(ARGV[2])
if now then
  now_us = now * 1000
else
  local time = redis.call('TIME')
  now, now_us = time[1] * 1000 + math.floor(time[2] / 1000), time[1] * 1000000 + time[2]
end

