local queue = end_lease(given.pipeline, given.job, given.token)
if not queue then
  return progress(given.pipeline)
end
local freed = fail(given.pipeline, given.job, queue, given.error, given.delay, given.lost,
  given.events)
if queue == 'gpu' then
  return progress(given.pipeline, 0, freed)
end
return progress(given.pipeline, freed, 0)
