local queue = end_lease(given.pipeline, given.job, given.token)
if queue then
  if given.job == ADMISSION then
    release(given.pipeline)
  end
  make_ready(given.pipeline, given.job, queue)
  place(given.pipeline)
end
