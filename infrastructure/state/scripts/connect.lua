-- Stands alone. ARGV: prefix. Sent on each new connection: a Redis that was restarted may have
-- forgotten its last second, so no number of this generation is given any more.
local counter, kept = ARGV[1] .. 'counter', ARGV[1] .. 'run'
local run = redis.call('INFO', 'server'):match('run_id:(%x+)')
local number = redis.call('GET', counter)
if number and redis.call('GET', kept) ~= run then
  local next_one = (math.floor(tonumber(number) / 2 ^ 32) + 1) * 2 ^ 32
  redis.call('DEL', kept) -- a write that frees memory first: a full Redis takes the others then
  redis.call('SET', counter, string.format('%.0f', next_one))
  redis.call('SET', kept, run)
end
return true
