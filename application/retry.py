"""Which failures are worth another try, and after how long."""

import random

from application.state import Lease
from domain.errors import (
    FootAnalyticsError,
    InputError,
    ResourceError,
    StageError,
    TableError,
    WorkerLostError,
)

LONGEST_DELAY_S = 8.0
MAX_LOSSES = 3
_TRIES: tuple[tuple[type[FootAnalyticsError], int], ...] = (
    (InputError, 1),  # the same file gives the same error
    (TableError, 1),
    (StageError, 2),  # a fault of the code, or of one machine's memory
    (WorkerLostError, MAX_LOSSES),
    (ResourceError, 100),  # the disk, the network or the device: about a quarter of an hour
    (FootAnalyticsError, 3),
)


def delay_s(error: FootAnalyticsError, lease: Lease) -> float | None:
    """Seconds until the next try at the leased job; None where it is given up.

    Doubles with each failure up to LONGEST_DELAY_S, and is spread by a random factor so that jobs
    which failed together do not come back together.
    """
    tries = next(count for kind, count in _TRIES if isinstance(error, kind))
    before = lease.losses if isinstance(error, WorkerLostError) else lease.failures
    if before + 1 >= tries:
        return None
    return min(0.5 * 2.0**before, LONGEST_DELAY_S) * random.uniform(0.5, 1.0)  # noqa: S311
