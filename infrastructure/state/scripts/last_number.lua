return tonumber(call('GET', COUNTER))
