"""The composition root: the one place that knows which adapter stands behind which port.

Only entry points import it: the command line, the service's start and worker processes.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import msgspec

from application import records
from application.admission import Admitter, Planned
from application.collector import Collector
from application.engine import Engine
from application.frame_pass import PassRunner
from application.heart import Heart
from application.hold import Renewer
from application.ledger import Ledger
from application.match import OpenMatch
from application.orchestrator import LEASE_S, Orchestrator
from application.outbox import Outbox
from application.ports import ArtifactStore, Observer, PassExecutor, Silent
from application.reconciler import Reconciler
from application.retry import MAX_LOSSES
from application.service import Service
from application.state import Lease, PipelineRecord, StateStore, WorkerRecord
from application.worker import Ability, Worker
from domain.configuration import ProcessingConfiguration
from domain.errors import ConfigurationError, ResourceError
from domain.grid import Cell, Plan, Queue
from domain.pipeline import Pipeline, PipelineState
from infrastructure import inference
from infrastructure.executors.inline import InlineExecutor
from infrastructure.executors.processes import ProcessExecutor
from infrastructure.inference.machine import Machine
from infrastructure.invitations import Invitations
from infrastructure.local_run import Recorder, RunFolder, RunReport, finish, publish_files
from infrastructure.matches import (
    MatchCache,
    keys_of_cells,
    open_match,
    own_versions,
    plan_for_cluster,
)
from infrastructure.planning import (
    PlannedMatch,
    batch_size,
    open_input,
    plan_match,
)
from infrastructure.settings import Settings
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.redis_server import check_server
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from infrastructure.storage.opening import open_store
from infrastructure.storage.remote import RemoteArtifactStore
from infrastructure.tracking_data import TrackingDataSource

if TYPE_CHECKING:
    from infrastructure.pulsar.relay import Relay


def analyze_locally(
    configuration: ProcessingConfiguration,
    out: Path,
    observer: Observer,
    processes: int | None = None,
) -> RunReport:
    """Analyse one match into the folder `out`, in this process and its children.

    Raises:
        FootAnalyticsError: the input, the configuration or the machine does not allow it.
    """
    started = time.monotonic()
    report = RunReport(str(out))
    recorder = Recorder(report, observer)
    folder = RunFolder(out, keep=configuration.checkpoint_enabled)
    folder.refuse_if_busy()
    source = open_input(configuration)
    for note in source.notes:
        recorder.notice(note)
    match = plan_match(configuration, source, recorder, Machine.here())
    with folder.locked() as artifacts:
        report.processes = processes or _useful_processes(match.plan)
        _run(match, artifacts, folder, recorder, report)
        return finish(report, started, out)


def _run(
    match: PlannedMatch,
    artifacts: FolderArtifactStore,
    folder: RunFolder,
    recorder: Recorder,
    report: RunReport,
) -> None:
    state = SQLiteStateStore(folder.state / "state.sqlite")
    try:
        _cancel_what_was_killed(state)
        opened = _admitted(match, artifacts, state)
        recorder.planned(match.plan)
        executor = _executor(opened, artifacts, recorder, report.processes)
        Orchestrator(opened, state, executor, recorder).run()
        report.files = publish_files(opened.engine, folder.out)
    finally:
        state.close()


def _cancel_what_was_killed(state: StateStore) -> None:
    """An earlier run in this folder that did not end: this one takes over what it had done."""
    for unfinished in (PipelineState.RUNNING, PipelineState.QUEUED):
        for record in state.pipelines(state=unfinished):
            state.move(record.pipeline_id, PipelineState.CANCELLED, (), expected=[unfinished])


def _admitted(match: PlannedMatch, artifacts: ArtifactStore, state: StateStore) -> OpenMatch:
    """Submit the match to the state of its folder, and start it."""
    pipeline = Pipeline.submit(uuid.uuid4().hex, match.configuration)
    text = match.configuration.model_dump_json(exclude_defaults=True)
    record = PipelineRecord(pipeline.pipeline_id, text, submitted_at=time.time())
    state.submit(record, pipeline.pull_events())
    lease = state.claim("cpu", (), "local", LEASE_S)
    assert lease
    planned = Planned(match.plan, match.source.to_bytes(), {})
    Admitter(state, artifacts, Ledger(artifacts), lambda *_: planned).admit(lease)
    admitted = state.pipeline(pipeline.pipeline_id)
    assert admitted
    keys_of = partial(keys_of_cells, state, pipeline.pipeline_id, match.plan)
    engine = Engine(match.plan, match.stages, match.source, artifacts, keys_of)
    size = batch_size(match.configuration)
    passes = PassRunner(match.plan, match.stages, match.source, artifacts, size)
    return OpenMatch(admitted, engine, passes)


def _executor(
    opened: OpenMatch, artifacts: FolderArtifactStore, observer: Observer, processes: int
) -> PassExecutor:
    if processes == 1 or isinstance(opened.engine.source, TrackingDataSource):
        return InlineExecutor(opened.passes, observer.frames_seen)
    threads = inference.threads_per_process(processes)
    given = _ForChild(opened.record, str(artifacts.root), threads)
    return ProcessExecutor(processes, pass_runner, records.encode(given), observer.frames_seen)


class _ForChild(msgspec.Struct):
    """What a child of a local run is told."""

    record: PipelineRecord
    artifacts: str
    threads: int


def pass_runner(specification: bytes) -> PassRunner:
    """A child's runner, from the specification that `_executor` wrote."""
    cv2.setNumThreads(1)  # the processes share the cores already
    given = records.decode(specification, _ForChild)
    artifacts = FolderArtifactStore(Path(given.artifacts))
    return open_match(given.record, artifacts, _no_keys, given.threads).passes


def _no_keys(_plan: Plan, _cells: Sequence[Cell]) -> Sequence[str]:
    """A pass reads nothing that other cells left."""
    return ()


def _useful_processes(plan: Plan) -> int:
    """One a core, but none without a segment of its own."""
    return min(len(os.sched_getaffinity(0)), len(plan.segments))


@dataclass(frozen=True)
class Cluster:
    """What every process of a cluster shares."""

    settings: Settings
    state: RedisStateStore
    artifacts: FolderArtifactStore | RemoteArtifactStore
    ledger: Ledger


def connect(settings: Settings) -> Cluster:
    """State and storage as the settings name them; nothing is asked of them yet."""
    state = RedisStateStore(
        settings.redis_url,
        max_running=settings.ml_pipeline_max_running,
        max_per_owner=settings.ml_pipeline_max_per_client,
    )
    artifacts = open_store(
        settings.artifact_url, settings.artifact_cache_dir, settings.artifact_cache_mb << 20
    )
    return Cluster(settings, state, artifacts, Ledger(artifacts))


def check_cluster(settings: Settings) -> Sequence[str]:
    """What an operator should know of the servers; empty where all is well.

    Raises:
        ResourceError: one of them is not there, or not fit to be used.
    """
    facts = check_server(settings.redis_url)
    if refusals := facts.refusals():
        raise ResourceError("; ".join(refusals))
    shared = "REDIS_URL and CELERY_BROKER_URL share a database: purging a queue would hit the state"
    return [*facts.warnings(), *([shared] if settings.shares_database else [])]


@dataclass(frozen=True)
class Hands:
    """What a worker process holds between its jobs."""

    worker: Worker
    heart: Heart
    reconciler: Reconciler
    collect: Callable[[], None]
    memory_limit_mb: int


def worker_hands(
    settings: Settings,
    queues: Sequence[Queue],
    invitations: Invitations,
    stopping: Callable[[], bool],
) -> Hands:
    """A worker process's parts."""
    cv2.setNumThreads(1)
    cluster = connect(settings)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    able = (*Machine.here().able, *own_versions())
    matches = MatchCache(cluster.state, cluster.artifacts, threads=0)
    reconciler = Reconciler(
        cluster.state,
        cluster.artifacts,
        cluster.ledger,
        matches,
        invitations.send,
        invitations.waiting,
        settings.match_time_limit_seconds,
    )
    worker = Worker(
        cluster.state,
        cluster.ledger,
        matches,
        Admitter(
            cluster.state, cluster.artifacts, cluster.ledger, partial(plan_for_cluster, Silent())
        ),
        Ability(holder, able, settings.lease_seconds),
        Renewer(
            cluster.state,
            settings.lease_seconds,
            settings.cell_time_limit_seconds,
            partial(_end_overdue, cluster.state, settings.cell_time_limit_seconds),
            stopping,
        ),
        invitations.send,
        Silent(),
    )
    record = WorkerRecord(holder, tuple(queues), able)
    return Hands(
        worker,
        Heart(cluster.state, record, reconciler),
        reconciler,
        partial(_collect, cluster, matches),
        settings.worker_memory_limit_mb,
    )


def service(cluster: Cluster, invitations: Invitations) -> Service:
    """What the API calls."""
    return Service(cluster.state, cluster.ledger, invitations.send, time.time)


def relay(settings: Settings) -> "Relay":
    """The parts of the process that publishes to Pulsar.

    Raises:
        ConfigurationError: PULSAR_SERVICE_URL is empty.
    """
    from infrastructure.pulsar.publisher import Publisher  # native code, for this process alone
    from infrastructure.pulsar.relay import Relay, final_match_events

    if not settings.pulsar_service_url:
        raise ConfigurationError("PULSAR_SERVICE_URL is empty: there is nowhere to publish to")
    cluster = connect(settings)
    outbox = Outbox(cluster.state, cluster.artifacts, spill_entries=settings.log_spill_entries)
    publisher = Publisher(
        settings.pulsar_service_url,
        f"persistent://{settings.pulsar_tenant_namespace}/footanalytics",
        settings.pulsar_token.get_secret_value(),
        str(settings.pulsar_tls_trust_certs or ""),
    )
    return Relay(outbox, publisher, partial(final_match_events, cluster.artifacts))


def _collect(cluster: Cluster, matches: MatchCache) -> None:
    if cluster.state.alone("collect", 3600):
        keep_s = cluster.settings.checkpoint_ttl_seconds
        Collector(cluster.state, cluster.artifacts, cluster.ledger, matches, keep_s).collect()
        cluster.artifacts.clear_temporary(older_than_s=86_400)


def _end_overdue(state: StateStore, limit_s: float, lease: Lease) -> None:
    """A job that hangs cannot be stopped from a thread: report it, and end the process."""
    error = f"took longer than {limit_s:.0f} s (CELL_TIME_LIMIT_SECONDS)"
    losses = lease.losses + 1
    state.fail(lease, error, None if losses >= MAX_LOSSES else 0.0, lost=True)
    os._exit(1)
