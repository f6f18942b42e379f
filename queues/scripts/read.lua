-- read: the record as it stands; changes nothing.
--
-- Returns  now, fields of the lock, help_at, ms the lock has left, fields of the result, ms the result has left

return {now,
  redis.call('HMGET', lock, 'state', 'fingerprint', 'owner', 'token', 'execution', 'message', 'until', 'helps',
    'lost', 'retries', 'cancelled', 'progress', 'created', 'replaced', 'follows', 'next', 'next_owner',
    'next_fingerprint', 'begin_by'),
  redis.call('ZSCORE', leases, digest) or '0', redis.call('PTTL', lock),
  redis.call('HMGET', result, 'state', 'fingerprint', 'owner', 'token', 'retries', 'outcome', 'cached', 'created',
    'finished', 'replaced', 'follows', 'wait', 'ran'),
  redis.call('PTTL', result)}
