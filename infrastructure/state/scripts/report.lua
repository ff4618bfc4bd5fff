local held = call('HGET', of(given.pipeline, 'leases'), given.job)
if (held or ''):match('^%d+') == whole(given.token) then
  call('HSET', of(given.pipeline, 'frames'), given.job, given.frames)
end
