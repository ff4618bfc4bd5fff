-- The identities first: those of an owner in a state are looked for among the owner's.
local index = ALL
if given.owner then
  index = prefix .. 'of:' .. given.owner
elseif given.state then
  index = prefix .. 'in:' .. given.state
end
local found
if given.owner and given.state then
  found = {}
  local skip = given.offset
  for _, pipeline in ipairs(call('ZREVRANGE', index, 0, -1)) do
    if #found == given.limit then
      break
    elseif field(pipeline, 'state') == given.state then
      skip = skip - 1
      if skip < 0 then
        found[#found + 1] = pipeline
      end
    end
  end
else
  found = call('ZREVRANGE', index, given.offset, given.offset + given.limit - 1)
end
local records = {}
for i, pipeline in ipairs(found) do
  records[i] = {pipeline, call('HGETALL', of(pipeline, 'p'))}
end
return records
