if tonumber(call('HGET', READERS, given.reader) or -1) < given.number then
  even_when_full()
  call('HSET', READERS, given.reader, whole(given.number))
end
