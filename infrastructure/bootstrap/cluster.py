"""Wires the processes of a cluster: workers, beat, API and relay over Redis and shared storage."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import cv2

from application.admission import Admitter
from application.collector import Collector
from application.heart import Heart
from application.hold import Renewer
from application.ledger import Ledger
from application.outbox import Outbox, forget_all, forget_unread
from application.reconciler import Reconciler
from application.retry import ADMISSION_PATIENCE, MAX_LOSSES
from application.service import Service
from application.state import Lease, StateStore, WorkerRecord
from application.worker import Ability, Worker
from domain.errors import ConfigurationError, ResourceError
from domain.grid import Queue
from infrastructure import inference
from infrastructure.inference.machine import Machine
from infrastructure.invitations import Invitations
from infrastructure.matches import (
    Logged,
    MatchCache,
    own_versions,
    plan_for_cluster,
)
from infrastructure.settings import Settings
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.redis_server import check_server
from infrastructure.storage.folder import FolderArtifactStore
from infrastructure.storage.opening import open_store
from infrastructure.storage.remote import RemoteArtifactStore
from infrastructure.telemetry.instruments import instruments
from infrastructure.telemetry.work_metrics import WorkMetrics

if TYPE_CHECKING:
    from infrastructure.pulsar.relay import Relay


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
    queues: Sequence[Queue]
    memory_limit_mb: int


def worker_hands(
    settings: Settings,
    queues: Sequence[Queue],
    processes: int,
    invitations: Invitations,
    stopping: Callable[[], bool],
) -> Hands:
    """The parts of a worker process, one of `processes` that share the cores."""
    cv2.setNumThreads(1)
    cluster = connect(settings)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    able = (*Machine.here().able, *own_versions())
    metrics = WorkMetrics.here() if settings.ml_pipeline_metrics_port else None
    watched = instruments("worker", cluster.state, holder, metrics)
    threads = inference.threads_per_process(processes)
    matches = MatchCache(cluster.state, cluster.artifacts, threads)
    reconciler = Reconciler(
        cluster.state,
        cluster.artifacts,
        cluster.ledger,
        matches,
        invitations.send,
        invitations.waiting,
        settings.match_time_limit_seconds,
        watched,
    )
    worker = Worker(
        cluster.state,
        cluster.ledger,
        matches,
        Admitter(
            cluster.state,
            cluster.artifacts,
            cluster.ledger,
            partial(plan_for_cluster, Logged()),
            patience=ADMISSION_PATIENCE,
        ),
        Ability(holder, able, settings.lease_seconds),
        Renewer(
            cluster.state,
            settings.lease_seconds,
            settings.cell_time_limit_seconds,
            partial(_end_overdue, cluster.state, settings.cell_time_limit_seconds),
            stopping,
            watched,
        ),
        invitations.send,
        watched,
    )
    record = WorkerRecord(holder, tuple(queues), able)
    return Hands(
        worker,
        Heart(cluster.state, record, reconciler),
        reconciler,
        partial(_collect, cluster, matches),
        queues,
        settings.worker_memory_limit_mb,
    )


def service(cluster: Cluster, invitations: Invitations) -> Service:
    """What the API calls."""
    watched = instruments("api", cluster.state)
    return Service(cluster.state, cluster.ledger, invitations.send, time.time, watched)


def relay(settings: Settings) -> "Relay":
    """The parts of the process that publishes to Pulsar.

    Raises:
        ConfigurationError: PULSAR_SERVICE_URL is empty.
    """
    from infrastructure.pulsar.relay import Relay, final_match_events
    from infrastructure.telemetry.publishing import WatchedPublisher  # native code: here alone

    if not settings.pulsar_service_url:
        raise ConfigurationError("PULSAR_SERVICE_URL is empty: there is nowhere to publish to")
    cluster = connect(settings)
    outbox = Outbox(cluster.state, cluster.artifacts, spill_entries=settings.log_spill_entries)
    publisher = WatchedPublisher(
        settings.pulsar_service_url,
        f"persistent://{settings.pulsar_tenant_namespace}/footanalytics",
        settings.pulsar_token.get_secret_value(),
        str(settings.pulsar_tls_trust_certs or ""),
    )
    publisher.watch(settings)
    return Relay(outbox, publisher, partial(final_match_events, cluster.artifacts))


def _collect(cluster: Cluster, matches: MatchCache) -> None:
    if cluster.state.alone("collect", 3600):
        keep_s = cluster.settings.checkpoint_ttl_seconds
        Collector(cluster.state, cluster.artifacts, cluster.ledger, matches, keep_s).collect()
        cluster.artifacts.clear_temporary(older_than_s=86_400)
        if cluster.settings.pulsar_service_url:
            forget_unread(cluster.state, cluster.settings.log_spill_entries)
        else:
            forget_all(cluster.state)


def _end_overdue(state: StateStore, limit_s: float, lease: Lease) -> None:
    """A job that hangs cannot be stopped from a thread: report it, and end the process."""
    error = f"took longer than {limit_s:.0f} s (CELL_TIME_LIMIT_SECONDS)"
    losses = lease.losses + 1
    try:
        state.fail(lease, error, None if losses >= MAX_LOSSES else 0.0, lost=True)
    finally:
        os._exit(1)
