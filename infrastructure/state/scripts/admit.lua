local pipeline, record = given.pipeline, of(given.pipeline, 'p')
if not end_lease(pipeline, ADMISSION, given.token) then
  if field(pipeline, 'admitted_by') == whole(given.token) then
    return true
  end
  return false
end
call('ZREM', prefix .. 'in:queued', pipeline)
call('ZADD', prefix .. 'in:running', field(pipeline, 'submission'), pipeline)
call('HDEL', of(pipeline, 'troubles'), ADMISSION)
call('HSET', record, 'state', 'running', 'plan', given.plan, 'jobs', given.jobs,
  'needs:cpu', given.cpu_needs, 'needs:gpu', given.gpu_needs, 'started_at', moment(now),
  'admitted', call('INCR', prefix .. 'admissions'), 'admitted_by', whole(given.token))
if not given.keep_done then
  for _, what in ipairs({'done', 'told', 'keys', 'tokens'}) do
    call('DEL', of(pipeline, what))
  end
end
-- Made at its full length at once, a string takes no more than that.
for _, what in ipairs({'done', 'told', 'ready:cpu', 'ready:gpu'}) do
  call('SETBIT', of(pipeline, what), given.jobs, 0)
end
if call('EXISTS', of(pipeline, 'keys')) == 0 then
  call('SETRANGE', of(pipeline, 'keys'), given.cells * 32 - 1, '\0')
  call('SETRANGE', of(pipeline, 'tokens'), given.jobs * 8 - 1, '\0')
end
for _, ready in ipairs(given.ready) do
  make_ready(pipeline, ready[1], ready[2])
end
append(pipeline, given.events)
settle(pipeline)
return true
