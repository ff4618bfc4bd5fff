"""What a worker process does beside its jobs: says that it lives, and reconciles when it is due."""

import logging
import threading
from collections.abc import Callable

from application.reconciler import PERIOD_S, Reconciler
from application.state import StateStore, WorkerRecord
from domain.errors import FootAnalyticsError, StateLostError

_log = logging.getLogger(__name__)
_BEAT_S = 5.0


class Heart:
    """A thread that beats until `stop`.

    Every worker may reconcile, so that nothing waits for one process; the state lets one at a time.
    `also` is done with each beat.
    """

    def __init__(
        self,
        state: StateStore,
        record: WorkerRecord,
        reconciler: Reconciler,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        self._state = state
        self._also = also
        self._record = record
        self._reconciler = reconciler
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._until_beat = 0.0

    def start(self) -> None:
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(PERIOD_S):
            self._beat()

    def _beat(self) -> None:
        """The two fail apart: a worker that cannot read the storage lives all the same."""
        self._until_beat -= PERIOD_S
        due = self._until_beat <= 0
        if due and self._attempt(self._register):
            self._until_beat = _BEAT_S
        self._attempt(self._reconciler.tick)
        if due:
            self._attempt(self._also)

    def _register(self) -> None:
        self._state.register(self._record)

    def _attempt(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except StateLostError:
            _log.warning("the state is being rebuilt")
        except FootAnalyticsError as error:
            _log.warning("%s", error)
        except Exception:  # the thread's edge: it must outlive whatever happens once
            _log.exception("heartbeat")
        else:
            return True
        return False
