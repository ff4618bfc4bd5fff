local key = prefix .. 'alone:' .. given.name
local taken, holder = (call('GET', key) or '0'):match('^([%d.]+)|?(.*)$')
if tonumber(taken) > now and (given.holder == '' or given.holder ~= holder) then
  return 0
end
even_when_full()
local text = moment(now + given.seconds) .. '|' .. given.holder
call('SET', key, text, 'EX', math.max(1, math.ceil(given.seconds)))
return 1
