even_when_full()
if field(given.pipeline, 'state') == 'running' then
  for _, event in ipairs(given.events) do
    local stage = event[2]:match('^[^/]*')
    if call('SADD', of(given.pipeline, 'stages'), stage) == 1 then
      append(given.pipeline, {event})
    end
  end
end
