local key = prefix .. 'alone:' .. given.name
if tonumber(call('GET', key) or 0) > now then
  return 0
end
even_when_full()
call('SET', key, moment(now + given.seconds), 'EX', math.ceil(given.seconds))
return 1
