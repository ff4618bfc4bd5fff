"""Workers in threads of one process, for a service on one machine without servers.

One thread does the jobs on tables, the others passes, each in a process of its own.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from application.state import Priority
from application.worker import Worker
from domain.errors import FootAnalyticsError
from domain.grid import Queue

_log = logging.getLogger(__name__)
_NAP_S = 1.0


class Bell:
    """Wakes threads that wait for jobs: the invitations of a service on one machine."""

    def __init__(self) -> None:
        self._rung = threading.Condition()

    def ring(self, queue: Queue, priority: Priority, count: int) -> None:  # noqa: ARG002
        with self._rung:
            self._rung.notify_all()

    def wait(self, seconds: float) -> None:
        with self._rung:
            self._rung.wait(seconds)


class LocalWorkers:
    """`makers` make a worker each, in the thread that it then works in and is closed in."""

    def __init__(
        self,
        makers: Sequence[tuple[Queue, Callable[[], AbstractContextManager[Worker]]]],
        bell: Bell,
    ) -> None:
        self._bell = bell
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=maker, name=f"{maker[0]} {number}")
            for number, maker in enumerate(makers)
        ]

    def stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Give the jobs under way back and wait until the threads have ended."""
        self._stopping.set()
        self._bell.ring("cpu", "normal", 1)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _work(self, queue: Queue, make: Callable[[], AbstractContextManager[Worker]]) -> None:
        with make() as worker:
            while not self.stopping():
                self._take(queue, worker)

    def _take(self, queue: Queue, worker: Worker) -> None:
        try:
            if not worker.take(queue):
                self._bell.wait(_NAP_S)
        except FootAnalyticsError as error:
            _log.warning("%s", error)
            self._stopping.wait(_NAP_S)
        except Exception:  # the thread's edge: one bad job must not end the service
            _log.exception("worker")
            self._stopping.wait(_NAP_S)
