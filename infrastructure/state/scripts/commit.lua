local pipeline, job = given.pipeline, given.job
local done, tokens = of(pipeline, 'done'), of(pipeline, 'tokens')
if not end_lease(pipeline, job, given.token) then
  local last = call('GETRANGE', tokens, job * 8, job * 8 + 7)
  if #last == 8 and struct.unpack('>I8', last) == given.token then
    return progress(pipeline)
  end
  return false
end

local function all_done(spans)
  for _, span in ipairs(spans) do
    if call('BITCOUNT', done, span[1], span[1] + span[2] - 1, 'BIT') < span[2] then
      return false
    end
  end
  return true
end

call('SETBIT', done, job, 1)
call('SETRANGE', tokens, job * 8, struct.pack('>I8', given.token))
local position = 1
for _, run in ipairs(given.runs) do
  local length = run[2] * 32
  local keys = ARGV[6]:sub(position, position + length - 1)
  call('SETRANGE', of(pipeline, 'keys'), run[1] * 32, keys)
  position = position + length
end
call('HDEL', of(pipeline, 'troubles'), job)
local freed = {cpu = 0, gpu = 0}
for _, follower in ipairs(given.followers) do
  local number, queue, spans = unpack(follower)
  if all_done(spans) then
    freed[queue] = freed[queue] + make_ready(pipeline, number, queue)
  end
end
if call('SETBIT', of(pipeline, 'told'), job, 1) == 0 then
  append(pipeline, given.events)
end
settle(pipeline)
return progress(pipeline, freed.cpu, freed.gpu)
