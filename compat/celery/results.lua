-- Store the first thing that is known of a task, and tell who waits: as Celery does in a GET and a transaction.
--
-- KEYS[1]  the result's key, which is its channel too
-- ARGV     [1] the result, [2] seconds for which it is kept, 0 for ever
--
-- Returns what was there, and then changes nothing; nil where the result was stored.

local current = redis.call('GET', KEYS[1])
if current then return current end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SETEX', KEYS[1], ARGV[2], ARGV[1])
end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return nil
