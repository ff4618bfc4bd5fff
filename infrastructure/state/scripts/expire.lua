-- At most `limit` leases and as many delays at once; answers how many jobs became ready, and
-- whether that was all.
local freed = 0

local function over(zset)
  return call('ZRANGEBYSCORE', zset, '-inf', moment(now), 'LIMIT', 0, given.limit)
end

local leased, delayed = over(EXPIRY), over(DELAYED)
for _, member in ipairs(leased) do
  local job, pipeline = member:match('^(-?%d+):(.*)$')
  job = tonumber(job)
  local token = call('HGET', of(pipeline, 'leases'), job):match('^%d+')
  local queue = end_lease(pipeline, job, tonumber(token))
  local _, losses = trouble(pipeline, job)
  local delay = losses + 1 < given.max_losses and 0 or nil
  freed = freed + fail(pipeline, job, queue, given.error, delay, true, {})
end
for _, member in ipairs(delayed) do
  local job, pipeline = member:match('^(-?%d+):(.*)$')
  job = tonumber(job)
  local failures, losses, _, queue, reason = trouble(pipeline, job)
  call('ZREM', DELAYED, member)
  call('HINCRBY', of(pipeline, 'p'), 'delayed', -1)
  set_trouble(pipeline, job, failures, losses, '-', queue, reason)
  freed = freed + make_ready(pipeline, job, queue)
  if job ~= ADMISSION then
    place(pipeline)
  end
end
return {freed, (#leased < given.limit and #delayed < given.limit) and 1 or 0}
