return call('HGETALL', of(given.pipeline, 'frames'))
