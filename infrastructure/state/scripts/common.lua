-- Stands before each of the other scripts. ARGV: prefix, time or '' (then Redis's own), the cap of
-- all and the cap of an owner, the operation's arguments as msgpack, raw bytes.
--
-- Keys, after the prefix (ID is a pipeline's):
--   counter            tokens and log numbers; without it the state is lost
--   admissions         how many pipelines were admitted
--   p:ID               hash: the pipeline's record and numbers; a default has no field
--   done: told: ready:cpu: ready:gpu:ID   bitmaps over its jobs; told: its completion is in the log
--   keys:ID tokens:ID  32 bytes a cell: its key; 8 bytes a job: the token of its last commit
--   leases:ID          hash: job -> token|queue|holder
--   frames:ID          hash: leased job -> frames reported
--   story:ID           list: its last changes as msgpack
--   troubles:ID        hash: job -> failures:losses:d(ead) or w(aiting) or -:queue:error
--   stages:ID          set: the stages that have started in this attempt
--   all, of:OWNER, in:STATE               zsets of pipelines in the order of submission
--   queued:OWNER       zset: pipelines that may be admitted; owners: zset of the owners who have
--                      one and are below their cap, by their first; slots, active: who counts
--   queue:QUEUE        zset: pipelines with ready jobs, the next one first
--   expiry, delayed    zsets of job:ID by time
--   log, readers, workers, abilities, alone:NAME
local call = redis.call
local prefix = ARGV[1]
local max_running, max_per_owner = tonumber(ARGV[3]), tonumber(ARGV[4])
local given = cmsgpack.unpack(ARGV[5])
local COUNTER, SLOTS, ACTIVE = prefix .. 'counter', prefix .. 'slots', prefix .. 'active'
local OWNERS, EXPIRY, DELAYED = prefix .. 'owners', prefix .. 'expiry', prefix .. 'delayed'
local LOG, READERS, ALL = prefix .. 'log', prefix .. 'readers', prefix .. 'all'
local ADMISSION, RANK, BUSY, STORY_LENGTH = -1, 2 ^ 40, 2 ^ 38, 1000

if call('EXISTS', COUNTER) == 0 then
  return redis.error_reply('STATELOST the state is gone')
end

local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function whole(number)
  return string.format('%.0f', number)
end

local function moment(time)
  return string.format('%.6f', time)
end

local function of(pipeline, what)
  return prefix .. what .. ':' .. pipeline
end

local function field(pipeline, name, default)
  return call('HGET', of(pipeline, 'p'), name) or default
end

local function count(pipeline, name)
  return tonumber(field(pipeline, name, 0))
end

-- A Redis that is full refuses a script's first write, but none after one that frees memory. What
-- ends work or keeps it alive is written all the same; what is new is refused as a whole.
local function even_when_full()
  call('DEL', prefix .. 'nothing')
end

local function append(pipeline, events)
  if #events == 0 then
    return
  end
  local number = call('INCRBY', COUNTER, #events) - #events
  local sequence = call('HINCRBY', of(pipeline, 'p'), 'sequence', #events) - #events
  local trace, change = field(pipeline, 'traceparent', ''), count(pipeline, 'changes')
  local story = of(pipeline, 'story')
  for i, event in ipairs(events) do
    local kind, cell, attempt, message, key = unpack(event)
    if kind ~= 'CellCompleted' then
      change = call('HINCRBY', of(pipeline, 'p'), 'changes', 1)
      local told = {change, moment(now), kind, cell, tonumber(attempt), message, key}
      call('RPUSH', story, cmsgpack.pack(told))
    end
    call('XADD', LOG, whole(number + i) .. '-0', 'p', pipeline, 's', sequence + i,
      't', moment(now), 'k', kind, 'c', cell, 'a', attempt, 'm', message, 'y', key, 'w', trace,
      'n', change)
  end
  call('LTRIM', story, -STORY_LENGTH, -1)
end

-- Whether an owner's first queued pipeline may be admitted, and when it would be its turn.
local function weigh(owner)
  local first = call('ZRANGE', prefix .. 'queued:' .. owner, 0, 0, 'WITHSCORES')
  if first[1] and tonumber(call('HGET', ACTIVE, owner) or 0) < max_per_owner then
    call('ZADD', OWNERS, first[2], owner)
  else
    call('ZREM', OWNERS, owner)
  end
end

local function enqueue(pipeline)
  local owner = field(pipeline, 'owner', '')
  local place = count(pipeline, 'rank') * RANK + count(pipeline, 'submission')
  call('ZADD', prefix .. 'queued:' .. owner, whole(place), pipeline)
  weigh(owner)
end

-- A pipeline that is admitted, or being admitted, takes a slot of the caps.
local function occupy(pipeline)
  local owner = field(pipeline, 'owner', '')
  if call('SADD', SLOTS, pipeline) == 1 then
    call('HINCRBY', ACTIVE, owner, 1)
  end
  call('ZREM', prefix .. 'queued:' .. owner, pipeline)
  weigh(owner)
end

local function release(pipeline)
  local owner = field(pipeline, 'owner', '')
  if call('SREM', SLOTS, pipeline) == 1 and call('HINCRBY', ACTIVE, owner, -1) == 0 then
    call('HDEL', ACTIVE, owner)
  end
  weigh(owner)
end

-- Its place in the queues: priority, then fewest leased jobs, then the order of admission.
local function place(pipeline)
  local numbers = call('HMGET', of(pipeline, 'p'), 'leased', 'rank', 'admitted')
  local busy = math.min(tonumber(numbers[1] or 0), 4095)
  local score = (tonumber(numbers[2] or 0) * 4096 + busy) * BUSY + tonumber(numbers[3] or 0)
  for _, queue in ipairs({'cpu', 'gpu'}) do
    if call('BITPOS', of(pipeline, 'ready:' .. queue), 1) >= 0 then
      call('ZADD', prefix .. 'queue:' .. queue, whole(score), pipeline)
    else
      call('ZREM', prefix .. 'queue:' .. queue, pipeline)
    end
  end
end

local function trouble(pipeline, job)
  local text = call('HGET', of(pipeline, 'troubles'), job)
  if not text then
    return 0, 0, '-', '', ''
  end
  local failures, losses, fate, queue, reason = text:match('^(%d+):(%d+):(.):(%a*):(.*)$')
  return tonumber(failures), tonumber(losses), fate, queue, reason
end

local function set_trouble(pipeline, job, failures, losses, fate, queue, reason)
  local text = table.concat({failures, losses, fate, queue, reason}, ':')
  call('HSET', of(pipeline, 'troubles'), job, text)
end

-- Only a job that waits becomes ready; 1 if it did.
local function make_ready(pipeline, job, queue)
  if job == ADMISSION then
    enqueue(pipeline)
    return 1
  end
  local _, _, fate = trouble(pipeline, job)
  if fate ~= '-' or call('GETBIT', of(pipeline, 'done'), job) == 1
      or call('HEXISTS', of(pipeline, 'leases'), job) == 1 then
    return 0
  end
  return 1 - call('SETBIT', of(pipeline, 'ready:' .. queue), job, 1)
end

-- The queue of the leased job, which nobody has now; nothing when the lease had ended.
local function end_lease(pipeline, job, token)
  local held = call('HGET', of(pipeline, 'leases'), job)
  local owned, queue = (held or ''):match('^(%d+)|(%a+)|')
  if owned ~= whole(token) then
    return nil
  end
  call('HDEL', of(pipeline, 'leases'), job)
  call('HDEL', of(pipeline, 'frames'), job)
  call('ZREM', EXPIRY, job .. ':' .. pipeline)
  call('HINCRBY', of(pipeline, 'p'), 'leased', -1)
  return queue
end

-- Into another state than running: nothing is leased, ready or delayed any more.
local function leave(pipeline, state, reason)
  local record, before = of(pipeline, 'p'), field(pipeline, 'state')
  for _, job in ipairs(call('HKEYS', of(pipeline, 'leases'))) do
    call('ZREM', EXPIRY, job .. ':' .. pipeline)
  end
  for _, job in ipairs(call('HKEYS', of(pipeline, 'troubles'))) do
    local failures, losses, fate, queue, why = trouble(pipeline, job)
    if fate == 'w' then
      call('ZREM', DELAYED, job .. ':' .. pipeline)
      set_trouble(pipeline, job, failures, losses, '-', queue, why)
    end
  end
  for _, what in ipairs({'leases', 'frames', 'ready:cpu', 'ready:gpu'}) do
    call('DEL', of(pipeline, what))
  end
  call('HDEL', record, 'leased', 'delayed', 'finished_at')
  place(pipeline)
  call('ZREM', prefix .. 'queued:' .. field(pipeline, 'owner', ''), pipeline)
  release(pipeline)
  call('ZREM', prefix .. 'in:' .. before, pipeline)
  call('ZADD', prefix .. 'in:' .. state, field(pipeline, 'submission'), pipeline)
  call('HSET', record, 'state', state)
  if state ~= 'queued' and state ~= 'running' then
    call('HSET', record, 'finished_at', moment(now))
  end
  if reason ~= '' then
    call('HSET', record, 'error', reason)
  end
end

-- What is kept of its jobs and cells.
local function forget_cells(pipeline)
  for _, what in ipairs({'done', 'told', 'keys', 'tokens', 'troubles', 'stages'}) do
    call('DEL', of(pipeline, what))
  end
end

-- Finish the pipeline when no job of it can run any more.
local function settle(pipeline)
  local live = call('HMGET', of(pipeline, 'p'), 'leased', 'delayed')
  if tonumber(live[1] or 0) > 0 or tonumber(live[2] or 0) > 0
      or call('BITPOS', of(pipeline, 'ready:cpu'), 1) >= 0
      or call('BITPOS', of(pipeline, 'ready:gpu'), 1) >= 0 then
    return place(pipeline)
  end
  local left = count(pipeline, 'jobs') - call('BITCOUNT', of(pipeline, 'done'))
  local kind, state, reason = 'PipelineCompleted', 'completed', field(pipeline, 'error', '')
  if left > 0 or reason ~= '' then
    kind, state = 'PipelineFailed', 'failed'
    reason = reason ~= '' and reason or given.stuck
  end
  leave(pipeline, state, reason)
  append(pipeline, {{kind, '', field(pipeline, 'attempt', 0), reason, ''}})
end

-- A job that nobody has comes again after `delay` seconds.
local function put_off(pipeline, job, failures, losses, queue, reason, delay)
  set_trouble(pipeline, job, failures, losses, 'w', queue, reason)
  call('ZADD', DELAYED, moment(now + delay), job .. ':' .. pipeline)
  call('HINCRBY', of(pipeline, 'p'), 'delayed', 1)
end

-- Count the failure of a job that is no longer leased; `delay` is nil for its death.
local function fail(pipeline, job, queue, reason, delay, lost, events)
  local failures, losses = trouble(pipeline, job)
  if lost then
    losses = losses + 1
  else
    failures = failures + 1
  end
  local fate = delay == nil and 'd' or delay > 0 and 'w' or '-'
  set_trouble(pipeline, job, failures, losses, fate, queue, reason)
  if job == ADMISSION then
    release(pipeline)
  end
  if fate == 'd' then
    if field(pipeline, 'error', '') == '' then
      call('HSET', of(pipeline, 'p'), 'error', reason)
    end
    append(pipeline, events)
  elseif fate == 'w' then
    put_off(pipeline, job, failures, losses, queue, reason, delay)
  else
    make_ready(pipeline, job, queue)
  end
  if fate == 'd' or job ~= ADMISSION then
    settle(pipeline)
  end
  return fate == '-' and 1 or 0
end

-- {state, cpu, gpu}: the pipeline after one of its jobs ended, and how many became ready.
local function progress(pipeline, cpu, gpu)
  return {field(pipeline, 'state', 'running'), cpu or 0, gpu or 0}
end
