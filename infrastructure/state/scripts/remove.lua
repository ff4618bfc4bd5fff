local pipeline = given.pipeline
local state = field(pipeline, 'state')
if state == 'running' then
  return false
end
if state then
  leave(pipeline, state, '')
  call('ZREM', ALL, pipeline)
  call('ZREM', prefix .. 'of:' .. field(pipeline, 'owner', ''), pipeline)
  call('ZREM', prefix .. 'in:' .. state, pipeline)
  forget_cells(pipeline)
  call('DEL', of(pipeline, 'p'), of(pipeline, 'story'))
end
return true
