local queue = end_lease(given.pipeline, given.job, given.token)
if queue then
  if call('SETBIT', of(given.pipeline, 'done'), given.lost, 0) == 1 then
    make_ready(given.pipeline, given.lost, given.queue)
  end
  local _, _, fate = trouble(given.pipeline, given.lost)
  if fate ~= 'd' then
    local failures, losses = trouble(given.pipeline, given.job)
    put_off(given.pipeline, given.job, failures, losses, queue, given.why, given.delay)
  end
  settle(given.pipeline)
end
