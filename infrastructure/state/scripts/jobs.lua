local pipeline = given.pipeline
local queued = call('ZSCORE', prefix .. 'queued:' .. field(pipeline, 'owner', ''), pipeline)
return {
  call('GET', of(pipeline, 'done')) or '',
  call('GET', of(pipeline, 'ready:cpu')) or '',
  call('GET', of(pipeline, 'ready:gpu')) or '',
  queued and 1 or 0,
  call('HGETALL', of(pipeline, 'leases')),
  call('HGETALL', of(pipeline, 'troubles')),
}
