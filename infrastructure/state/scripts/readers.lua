return call('HGETALL', READERS)
