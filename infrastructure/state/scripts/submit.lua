local pipeline, record = given.pipeline, of(given.pipeline, 'p')
if call('EXISTS', record) == 0 then
  local submission = call('INCR', prefix .. 'submissions')
  call('HSET', record, 'state', given.state, 'submission', submission, unpack(given.fields))
  if count(pipeline, 'submitted_at') == 0 then
    call('HSET', record, 'submitted_at', moment(now))
  end
  call('ZADD', ALL, submission, pipeline)
  call('ZADD', prefix .. 'of:' .. field(pipeline, 'owner', ''), submission, pipeline)
  call('ZADD', prefix .. 'in:' .. given.state, submission, pipeline)
  append(pipeline, given.events)
  if given.state == 'queued' then
    enqueue(pipeline)
  end
end
return call('HGETALL', record)
