-- Stands alone. ARGV: prefix, counter. Makes an empty store usable.
local run = redis.call('INFO', 'server'):match('run_id:(%x+)')
if redis.call('SET', ARGV[1] .. 'counter', ARGV[2], 'NX') then
  redis.call('SET', ARGV[1] .. 'run', run)
end
return true
