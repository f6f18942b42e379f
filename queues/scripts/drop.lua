-- drop: remove a dead letter.
--
-- ARGV[3]  message id
-- Returns  ok | fenced (there was none)

return answer(take(ARGV[3]) and 'ok' or 'fenced')
