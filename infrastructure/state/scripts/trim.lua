return call('XTRIM', LOG, 'MINID', '=', whole(given.number + 1) .. '-0')
