return call('HGETALL', of(given.pipeline, 'p'))
