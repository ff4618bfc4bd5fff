"""What the state, the storage and the servers say of the whole service, when Prometheus asks.

Every API process would answer the same, so it does not matter which one is asked.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from application.outbox import RELAY, lag
from application.ports import ArtifactStore
from application.state import JobStates, PipelineRecord, StateStore
from domain.errors import FootAnalyticsError
from domain.grid import Queue
from domain.pipeline import PipelineState
from infrastructure.telemetry.progress_metrics import ProgressMetrics
from infrastructure.telemetry.serving import GpuCollector
from infrastructure.telemetry.work_metrics import of_this_process

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily, Metric

_log = logging.getLogger(__name__)
_QUEUES: Sequence[Queue] = ("gpu", "cpu")
_STATES = (PipelineState.QUEUED, PipelineState.RUNNING, PipelineState.FAILED)
FRESH_S = 5.0
LAG_FRESH_S = 30.0
COUNTED = 1000
"""More matches of one state than that are not counted."""
_LOOKED_AT = 100
ServerFacts = Callable[[], Mapping[str, tuple[float, float]]]
"""Memory used and its limit (0 for none) of each server, by name."""
Jobs = Mapping[str, JobStates]


def service_registry(
    state: StateStore, artifacts: ArtifactStore, servers: ServerFacts, version: str
) -> "CollectorRegistry":
    """The service's numbers, and those of the work, where it is done in this process."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(ServiceCollector(state, artifacts, servers, version))
    registry.register(WorkHere())
    return registry


class WorkHere:
    """How late watchers of this process are told, and what workers in its threads count."""

    def collect(self) -> "Iterable[Metric]":
        yield from ProgressMetrics.here().registry.collect()
        metrics = of_this_process()
        if metrics:
            yield from metrics.registry.collect()
            yield from GpuCollector().collect()


class ServiceCollector:
    """Asked often, it answers what it read FRESH_S ago."""

    def __init__(
        self, state: StateStore, artifacts: ArtifactStore, servers: ServerFacts, version: str
    ) -> None:
        self._state = state
        self._artifacts = artifacts
        self._servers = servers
        self._version = version
        self._one_at_a_time = threading.Lock()
        self._found: list[Metric] = []
        self._read_at = -FRESH_S
        self._ready_since: dict[tuple[str, int], float] = {}
        self._lag = (-LAG_FRESH_S, 0)

    def collect(self) -> "Iterable[Metric]":
        with self._one_at_a_time:
            if time.monotonic() - self._read_at >= FRESH_S:
                self._found = list(self._read())
                self._read_at = time.monotonic()
            return self._found

    def _read(self) -> "Iterator[Metric]":
        yield _gauge("build_info", "the code that runs", [((self._version,), 1)], "version")
        up = {}
        for name, read in (
            ("state", self._from_state),
            ("relay", self._from_log),
            ("storage", self._from_storage),
            ("servers", self._from_servers),
        ):
            try:
                yield from read()
                up[name] = 1
            except FootAnalyticsError as error:
                _log.debug("metrics of %s: %s", name, error)
                up[name] = 0
        values = [((name,), value) for name, value in up.items()]
        yield _gauge("readable", "1 where these metrics could be read", values, "source")

    def _from_state(self) -> "Iterator[Metric]":
        depth = {queue: self._state.ready(queue) for queue in _QUEUES}
        found = [((q, p), count) for q, each in depth.items() for p, count in each.items()]
        yield _gauge("queue_ready", "jobs that may be taken now", found, "queue", "priority")
        workers = self._state.workers()
        live = [((queue,), sum(queue in w.queues for w in workers)) for queue in _QUEUES]
        yield _gauge("workers", "live worker processes", live, "queue")
        matches = {each: self._state.pipelines(state=each, limit=COUNTED) for each in _STATES}
        counts = [((each.value,), len(some)) for each, some in matches.items()]
        yield _gauge("matches", f"matches, {COUNTED} for more", counts, "state")
        jobs = self._jobs([*matches[PipelineState.RUNNING], *matches[PipelineState.FAILED]])
        troubles = [trouble for states in jobs.values() for trouble in states.troubles]
        dead = sum(trouble.dead for trouble in troubles)
        yield _gauge("dead_letters", "jobs that were given up", [((), dead)])
        yield _gauge(
            "jobs_delayed", "jobs that failed and come again", [((), len(troubles) - dead)]
        )
        leased = sum(len(states.leased) for states in jobs.values())
        yield _gauge("jobs_leased", "jobs that are worked on", [((), leased)])
        ages = {"match": _oldest(matches[PipelineState.QUEUED]), "job": self._oldest_job(jobs)}
        yield _gauge(
            "oldest_waiting_seconds",
            "how long the oldest match waits for its plan, and a job that may be taken for a "
            "worker (since this process first saw it)",
            [((kind,), age) for kind, age in ages.items()],
            "kind",
        )

    def _jobs(self, records: Sequence[PipelineRecord]) -> Jobs:
        return {
            record.pipeline_id: self._state.jobs(record.pipeline_id)
            for record in records[:_LOOKED_AT]
        }

    def _oldest_job(self, jobs: Jobs) -> float:
        """The state does not keep since when a job is ready; whoever looks often knows."""
        now = time.monotonic()
        ready = {(name, job) for name, states in jobs.items() for job in states.ready}
        self._ready_since = {each: self._ready_since.get(each, now) for each in ready}
        return now - min(self._ready_since.values(), default=now)

    def _from_log(self) -> "Iterator[Metric]":
        """Nothing until a relay has run."""
        position = self._state.readers().get(RELAY)
        if position is None:
            return
        waiting = self._state.log(position, limit=1)
        late = max(time.time() - waiting[0].time, 0.0) if waiting else 0.0
        yield _gauge("relay_lag_seconds", "age of the first event to publish", [((), late)])
        asked_at, events = self._lag
        if time.monotonic() - asked_at >= LAG_FRESH_S or not waiting:
            events = lag(self._state, self._artifacts) if waiting else 0
            self._lag = (time.monotonic(), events)
        yield _gauge("relay_lag_events", "events that are not published yet", [((), events)])

    def _from_storage(self) -> "Iterator[Metric]":
        free = self._artifacts.free_bytes()
        if free is not None:
            yield _gauge("storage_free_bytes", "room for artifacts", [((), free)])

    def _from_servers(self) -> "Iterator[Metric]":
        facts = self._servers()
        if facts:
            used = [((name,), memory) for name, (memory, _) in facts.items()]
            limit = [((name,), most) for name, (_, most) in facts.items()]
            yield _gauge("redis_memory_bytes", "memory that Redis uses", used, "server")
            yield _gauge("redis_memory_limit_bytes", "its maxmemory; 0: none", limit, "server")


def _oldest(queued: Sequence[PipelineRecord]) -> float:
    return max(time.time() - min((r.submitted_at for r in queued), default=time.time()), 0.0)


def _gauge(
    name: str,
    text: str,
    values: Iterable[tuple[tuple[str, ...], float]],
    *labels: str,
) -> "GaugeMetricFamily":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"footanalytics_{name}", text, labels=labels)
    for given, value in values:
        family.add_metric(given, value)
    return family
