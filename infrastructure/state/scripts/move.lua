-- The state that does not allow it, else nothing.
local pipeline, record = given.pipeline, of(given.pipeline, 'p')
local state = field(pipeline, 'state', 'unknown')
local allowed = false
for _, expected in ipairs(given.expected) do
  allowed = allowed or expected == state
end
if not allowed then
  return state
end
leave(pipeline, given.state, given.error)
if given.attempt > 0 then
  call('HSET', record, 'attempt', given.attempt)
end
if given.state == 'queued' then
  call('DEL', of(pipeline, 'troubles'), of(pipeline, 'stages'))
  call('HDEL', record, 'started_at', 'error')
  if given.error ~= '' then
    call('HSET', record, 'error', given.error)
  end
  enqueue(pipeline)
end
append(pipeline, given.events)
return false
