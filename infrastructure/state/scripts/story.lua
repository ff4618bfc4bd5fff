-- The list's last element is the change of that number.
local before = count(given.pipeline, 'changes') - call('LLEN', of(given.pipeline, 'story'))
return call('LRANGE', of(given.pipeline, 'story'), math.max(given.after - before, 0), -1)
