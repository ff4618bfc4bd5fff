return call('XRANGE', LOG, whole(given.after + 1) .. '-0', '+', 'COUNT', given.limit)
