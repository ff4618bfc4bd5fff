"""Wires `footanalytics serve`: API and workers in one process on one machine, without servers."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from application.admission import Admitter
from application.collector import Collector
from application.heart import Heart
from application.hold import Renewer
from application.ledger import Ledger
from application.outbox import forget_all
from application.reconciler import Reconciler
from application.service import Service
from application.state import WorkerRecord
from application.worker import Ability, Worker
from domain.errors import ResourceError
from domain.grid import Queue
from infrastructure import inference
from infrastructure.bootstrap.local import pass_runner
from infrastructure.executors.child import Child
from infrastructure.inference.machine import Machine
from infrastructure.local_workers import Bell, LocalWorkers
from infrastructure.matches import Logged, MatchCache, own_versions, plan_for_cluster
from infrastructure.settings import Settings
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore, as_resource_errors
from infrastructure.telemetry.instruments import Telemetry, instruments
from infrastructure.telemetry.work_metrics import WorkMetrics

_ABANDONED_S = 86_400.0
_COLLECT_S = 3600.0


@dataclass(frozen=True)
class LocalService:
    """A service that runs: what the API works with."""

    state: SQLiteStateStore
    artifacts: FolderArtifactStore
    ledger: Ledger
    service: Service


@contextmanager
def local_service(folder: Path, settings: Settings, processes: int) -> Iterator[LocalService]:
    """State, storage and workers in `folder`, at work while the body runs.

    Args:
        processes: how many passes run at a time, each in a process of its own.

    Raises:
        ResourceError: the folder cannot be written, or another service is using it.
    """
    with _only_one(folder):
        artifacts = FolderArtifactStore(folder / "artifacts")
        ledger = Ledger(artifacts)
        state = _state(folder / "state.sqlite", settings, ledger)
        bell = Bell()
        wired = _Wired(settings, state, artifacts, ledger, bell, processes)
        workers = wired.workers()
        heart = wired.heart()
        heart.start()
        workers.start()
        try:
            watched = instruments("serve", state)
            service = Service(state, ledger, bell.ring, time.time, watched)
            yield LocalService(state, artifacts, ledger, service)
        finally:
            heart.stop()
            workers.stop()
            state.close()


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with as_resource_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    with lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResourceError(
                f"{folder}: another service runs there: stop it or choose another --dir"
            ) from error
        yield


def _state(path: Path, settings: Settings, ledger: Ledger) -> SQLiteStateStore:
    """The state; one that was lost begins above what storage remembers, and is filled from it."""
    lost = not path.exists()
    state = SQLiteStateStore(
        path,
        max_running=settings.ml_pipeline_max_running,
        max_per_owner=settings.ml_pipeline_max_per_client,
    )
    state.abandon()
    if lost and (generation := ledger.next_generation()) > state.generation:
        state.lift((generation - 1) << 32)
    return state


@dataclass(frozen=True)
class _Wired:
    settings: Settings
    state: SQLiteStateStore
    artifacts: FolderArtifactStore
    ledger: Ledger
    bell: Bell
    processes: int

    def workers(self) -> LocalWorkers:
        """A worker for tables, and one for each process of passes."""
        queues: list[Queue] = ["cpu", *(["gpu"] * self.processes)]  # type: ignore[list-item]
        made: list[LocalWorkers] = []

        def stopping() -> bool:
            return made[0].stopping()

        makers = [
            (queue, partial(self._worker, f"{queue} {number}", queue, stopping))
            for number, queue in enumerate(queues)
        ]
        made.append(LocalWorkers(makers, self.bell))
        return made[0]

    @contextmanager
    def _worker(self, name: str, queue: Queue, stopping: Callable[[], bool]) -> Iterator[Worker]:
        child = Child(pass_runner) if queue == "gpu" else None
        try:
            yield self._worker_over(self._matches(child), name, stopping)
        finally:
            if child:
                child.close()

    def _worker_over(self, matches: MatchCache, name: str, stopping: Callable[[], bool]) -> Worker:
        limit_s = float(self.settings.cell_time_limit_seconds)
        lease_s = self.settings.lease_seconds
        watched = self._watched(name)
        return Worker(
            self.state,
            self.ledger,
            matches,
            Admitter(self.state, self.artifacts, self.ledger, partial(plan_for_cluster, Logged())),
            Ability(name, self._able, lease_s),
            Renewer(self.state, lease_s, limit_s, lambda _: None, stopping, watched),
            self.bell.ring,
            watched,
        )

    def heart(self) -> Heart:
        matches = self._matches(None)
        reconciler = Reconciler(
            self.state,
            self.artifacts,
            self.ledger,
            matches,
            self.bell.ring,
            lambda _: {},
            self.settings.match_time_limit_seconds,
            self._watched("heart"),
        )
        record = WorkerRecord(f"local:{os.getpid()}", ("gpu", "cpu"), self._able)
        return Heart(self.state, record, reconciler, partial(self._collect, matches))

    def _collect(self, matches: MatchCache) -> None:
        if self.state.alone("collect", _COLLECT_S):
            keep_s = self.settings.checkpoint_ttl_seconds
            Collector(self.state, self.artifacts, self.ledger, matches, keep_s).collect()
            self.artifacts.clear_temporary(older_than_s=_ABANDONED_S)
            forget_all(self.state)

    def _watched(self, name: str) -> Telemetry:
        return instruments("serve", self.state, name, WorkMetrics.here())

    def _matches(self, child: Child | None) -> MatchCache:
        threads = inference.threads_per_process(self.processes)
        return MatchCache(self.state, self.artifacts, threads, child)

    @property
    def _able(self) -> tuple[str, ...]:
        return (*Machine.here().able, *own_versions())
