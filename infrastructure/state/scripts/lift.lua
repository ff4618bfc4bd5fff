-- What no reader has read gets new numbers, in the same order.
local above, read = (math.floor(given.number / 2 ^ 32) + 1) * 2 ^ 32, 0
for _, position in ipairs(call('HVALS', READERS)) do
  read = math.max(read, tonumber(position))
end
local unread = call('XRANGE', LOG, whole(read + 1) .. '-0', '+')
if tonumber(call('GET', COUNTER)) < above then
  call('SET', COUNTER, whole(above))
elseif not unread[1] or tonumber(unread[1][1]:match('^%d+')) > given.number then
  return
end
for _, entry in ipairs(unread) do
  call('XADD', LOG, whole(call('INCR', COUNTER)) .. '-0', unpack(entry[2]))
  call('XDEL', LOG, entry[1])
end
