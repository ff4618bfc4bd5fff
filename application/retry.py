"""Which failures are worth another try, and after how long."""

import errno
import random

from application.state import Lease
from domain.errors import (
    FootAnalyticsError,
    InputError,
    InputMissingError,
    ResourceError,
    StageError,
    TableError,
    WorkerLostError,
)

LONGEST_DELAY_S = 8.0
MAX_LOSSES = 3
ADMISSION_PATIENCE = 8
"""Tries of an admission that wait for workers: more than half a minute, in which all are heard."""
_TRIES: tuple[tuple[type[FootAnalyticsError], int], ...] = (
    (InputMissingError, 6),  # another machine may see it
    (InputError, 1),  # the same file gives the same error
    (TableError, 1),
    (StageError, 2),  # a fault of the code, or of one machine's memory
    (WorkerLostError, MAX_LOSSES),
    (ResourceError, 100),  # the disk, the network or the device: about a quarter of an hour
    (FootAnalyticsError, 3),
)


_OF_THE_MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE),
    *(errno.ENOMEM, errno.EMFILE, errno.ENFILE),
)


def of_the_machine(error: Exception) -> ResourceError | None:
    """What a stage met and is no fault of it: no room, no memory, a disk that fails."""
    if isinstance(error, MemoryError):
        return ResourceError("out of memory: give this worker less to do at once")
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        return ResourceError(f"{error}: see the disk and the memory of this machine")
    return None


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
