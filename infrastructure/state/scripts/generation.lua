return math.floor(tonumber(call('GET', COUNTER)) / 2 ^ 32)
