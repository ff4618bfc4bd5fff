local counts = {0, 0, 0, 0}
local some = call('ZRANGE', prefix .. 'queue:' .. given.queue, 0, -1, 'WITHSCORES')
for i = 1, #some, 2 do
  local rank = math.floor(tonumber(some[i + 1]) / BUSY / 4096) + 1
  counts[rank] = counts[rank] + call('BITCOUNT', of(some[i], 'ready:' .. given.queue))
end
if given.queue == 'gpu' then
  return counts
end

-- Each owner's, up to its cap; then all of them, up to the cap of all, which urgent ones ignore.
local admissible = {0, 0, 0, 0}
for _, owner in ipairs(call('ZRANGE', OWNERS, 0, -1)) do
  local room = max_per_owner - tonumber(call('HGET', ACTIVE, owner) or 0)
  for rank = 1, 4 do
    local queued = call('ZCOUNT', prefix .. 'queued:' .. owner, whole((rank - 1) * RANK),
      '(' .. whole(rank * RANK))
    local some_of_them = math.max(0, math.min(queued, room))
    admissible[rank] = admissible[rank] + some_of_them
    room = room - some_of_them
  end
end
local running = call('SCARD', SLOTS)
for rank = 1, 4 do
  local room = rank == 1 and admissible[1] or math.max(0, max_running - running)
  local next_ones = math.min(admissible[rank], room)
  counts[rank] = counts[rank] + next_ones
  running = running + next_ones
end
return counts
