local able, verdicts = {}, {}
for _, name in ipairs(given.able) do
  able[name] = true
end

-- Whether this worker is able to do the pipeline's jobs of the queue.
local function fits(pipeline)
  local needs = field(pipeline, 'needs:' .. given.queue, '')
  if verdicts[needs] == nil then
    verdicts[needs] = true
    for name in needs:gmatch('[^\n]+') do
      verdicts[needs] = verdicts[needs] and able[name] == true
    end
  end
  return verdicts[needs]
end

-- The owner whose pipeline is to be admitted next, and its priority.
local function admissible()
  while given.queue == 'cpu' do
    local first = call('ZRANGE', OWNERS, 0, 0, 'WITHSCORES')
    if not first[1] then
      return nil
    end
    local rank = math.floor(tonumber(first[2]) / RANK)
    if rank > 0 and call('SCARD', SLOTS) >= max_running then
      return nil
    end
    weigh(first[1])
    if call('ZSCORE', OWNERS, first[1]) then
      return first[1], rank
    end
  end
end

-- The first pipeline of more than `rank`'s priority that has a job for this worker.
local function runnable(rank)
  for start = 0, 190, 10 do
    local some = call('ZRANGE', prefix .. 'queue:' .. given.queue, start, start + 9, 'WITHSCORES')
    for i = 1, #some, 2 do
      if math.floor(tonumber(some[i + 1]) / BUSY / 4096) >= rank then
        return nil
      elseif fits(some[i]) then
        return some[i]
      end
    end
    if #some < 20 then
      return nil
    end
  end
end

local function lease(pipeline, job)
  local token = call('INCR', COUNTER)
  local text = table.concat({whole(token), given.queue, given.holder}, '|')
  call('HSET', of(pipeline, 'leases'), job, text)
  call('ZADD', EXPIRY, moment(now + given.seconds), job .. ':' .. pipeline)
  call('HINCRBY', of(pipeline, 'p'), 'leased', 1)
  local failures, losses = trouble(pipeline, job)
  return {pipeline, job, token, failures, losses}
end

local owner, rank = admissible()
local pipeline = runnable(rank or 4)
if pipeline then
  local ready = of(pipeline, 'ready:' .. given.queue)
  local job = call('BITPOS', ready, 1)
  call('SETBIT', ready, job, 0)
  local taken = lease(pipeline, job)
  place(pipeline)
  return taken
elseif owner then
  pipeline = call('ZRANGE', prefix .. 'queued:' .. owner, 0, 0)[1]
  local taken = lease(pipeline, ADMISSION)
  occupy(pipeline)
  return taken
end
return false
