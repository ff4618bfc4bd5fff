"""Keeps a worker's lease alive while it works, from a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from application.instruments import NONE, Instruments
from application.state import Lease, StateStore
from domain.errors import LeaseError, ResourceError, StoppedError

_log = logging.getLogger(__name__)


class Hold:
    """A lease that is being renewed; the work asks `check` now and then whether to go on."""

    def __init__(self, lease: Lease, seconds: float, stopping: Callable[[], bool]) -> None:
        self.lease = lease
        self.since = time.monotonic()
        self._until = self.since + seconds
        self._stopping = stopping

    def extend(self, seconds: float, *, asked_at: float) -> None:
        self._until = asked_at + seconds

    def end(self) -> None:
        self._until = 0.0

    def check(self) -> None:
        """Go on, or stop at once.

        Raises:
            LeaseError: the lease has ended; whatever is done now will be refused.
            StoppedError: this worker was asked to stop.
        """
        if time.monotonic() > self._until:
            raise LeaseError(f"job {self.lease.job}: the lease has ended while it was worked on")
        if self._stopping():
            raise StoppedError("this worker was asked to stop")


class Renewer:
    """Renews the one lease that this process works under, each third of its length.

    `on_overdue` is called, once and from the thread, when a job takes longer than `limit_s`;
    `stopping` says whether this worker was asked to stop.
    """

    def __init__(
        self,
        state: StateStore,
        seconds: float,
        limit_s: float,
        on_overdue: Callable[[Lease], None],
        stopping: Callable[[], bool],
        instruments: Instruments = NONE,
    ) -> None:
        self._state = state
        self._seconds = seconds
        self._limit_s = limit_s
        self._on_overdue = on_overdue
        self._stopping = stopping
        self._instruments = instruments
        self._held: Hold | None = None
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[Hold]:
        """Keep `lease` while the body runs."""
        hold = Hold(lease, self._seconds, self._stopping)
        self._held = hold
        self._start()
        try:
            yield hold
        finally:
            self._held = None

    def _start(self) -> None:
        """The thread is made with the first job: a process that forks has none before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="renewer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(self._seconds / 3)
            try:
                if held := self._held:
                    self._renew(held)
            except Exception:  # the thread's edge: without it no lease is renewed any more
                _log.exception("renewal")

    def _renew(self, hold: Hold) -> None:
        asked_at = time.monotonic()
        if asked_at - hold.since > self._limit_s:
            hold.end()
            self._on_overdue(hold.lease)
            return
        try:
            if self._state.renew(hold.lease, self._seconds):
                hold.extend(self._seconds, asked_at=asked_at)
                self._instruments.renewal("renewed")
            elif self._held is hold:
                hold.end()
                self._instruments.renewal("ended")
        except ResourceError as error:  # the store is away: the lease lasts as long as it lasts
            _log.warning("lease not renewed: %s", error)
            self._instruments.renewal("unanswered")
