even_when_full()
local workers, abilities = prefix .. 'workers', prefix .. 'abilities'
for _, gone in ipairs(call('ZRANGEBYSCORE', workers, '-inf', moment(now - given.life))) do
  call('ZREM', workers, gone)
  call('HDEL', abilities, gone)
end
call('ZADD', workers, moment(now), given.worker)
call('HSET', abilities, given.worker, given.record)
