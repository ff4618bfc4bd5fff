local keys = {}
for i, cell in ipairs(given.cells) do
  keys[i] = call('GETRANGE', of(given.pipeline, 'keys'), cell * 32, cell * 32 + 31)
end
return keys
