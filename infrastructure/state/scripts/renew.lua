local held = call('HGET', of(given.pipeline, 'leases'), given.job)
if (held or ''):match('^%d+') ~= whole(given.token) then
  return 0
end
even_when_full()
call('ZADD', EXPIRY, moment(now + given.seconds), given.job .. ':' .. given.pipeline)
return 1
