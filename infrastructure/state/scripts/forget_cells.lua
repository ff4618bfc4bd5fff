local state = field(given.pipeline, 'state', 'running')
if state ~= 'running' and state ~= 'queued' then
  forget_cells(given.pipeline)
end
