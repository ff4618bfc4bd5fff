local seen = call('ZRANGEBYSCORE', prefix .. 'workers', '(' .. moment(now - given.life), '+inf',
  'WITHSCORES')
local found = {}
for i = 1, #seen, 2 do
  found[#found + 1] = {seen[i + 1], call('HGET', prefix .. 'abilities', seen[i])}
end
return found
