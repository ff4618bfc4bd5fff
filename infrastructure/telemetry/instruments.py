"""The application's instruments: what it tells becomes spans, numbers and fields of log lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

from application.instruments import NoInstruments, Renewal
from application.ports import Checkpoint
from application.state import Lease, PipelineRecord, StateStore
from application.task import Task
from application.trace_context import CALLER, TraceContext
from domain.errors import FootAnalyticsError
from domain.grid import Cell, Queue
from infrastructure.telemetry.job import JobUnderWay, Made
from infrastructure.telemetry.match_spans import MatchSpans
from infrastructure.telemetry.traces import safely, spans_of
from infrastructure.telemetry.work_metrics import WorkMetrics

_FIELDS = ("pipeline", "job", "token", "worker", "cells", "trace_id")
_job: ContextVar[JobUnderWay | None] = ContextVar("job", default=None)


def instruments(
    part: str, state: StateStore, worker: str = "", metrics: WorkMetrics | None = None
) -> "Telemetry":
    """What listens in this process: log fields always, the rest where it is switched on.

    Raises:
        ConfigurationError: the OTEL_... variables ask for what is not there.
    """
    spans = spans_of(part)
    return Telemetry(state, worker, MatchSpans(spans) if spans else None, metrics)


class Telemetry(NoInstruments):
    """Remembers what is told inside of a job, and passes it on when the job is over."""

    def __init__(
        self,
        state: StateStore,
        worker: str = "",
        spans: MatchSpans | None = None,
        metrics: WorkMetrics | None = None,
    ) -> None:
        self._state = state
        self._worker = worker
        self._spans = spans
        self._metrics = metrics

    def trace(self, pipeline_id: str, caller: str) -> str:
        if self._spans is None:
            return super().trace(pipeline_id, caller)
        return str(self._spans.begin(pipeline_id, caller or CALLER.get()))

    def submitted(self, record: PipelineRecord) -> None:
        if self._spans:
            safely(self._spans.submitted, record)

    def ended(self, record: PipelineRecord) -> None:
        if self._spans:
            safely(self._spans.ended, record)
        if self._metrics:
            safely(self._metrics.ended, record)

    @contextmanager
    def job(self, lease: Lease, queue: Queue) -> Iterator[None]:
        job = JobUnderWay(lease, queue, self._worker)
        token = _job.set(job)
        structlog.contextvars.bind_contextvars(
            pipeline=lease.pipeline_id, job=lease.job, token=lease.token, worker=self._worker
        )
        try:
            yield
        except BaseException as error:
            job.left(error)
            raise
        finally:
            safely(self._over, job)
            structlog.contextvars.unbind_contextvars(*_FIELDS)
            _job.reset(token)

    def opened(self, task: Task) -> None:
        if job := _job.get():
            job.task = task
            cells = [str(cell) for cell in job.cells]
            structlog.contextvars.bind_contextvars(cells=cells)
            if place := TraceContext.parse(task.match.record.traceparent):
                structlog.contextvars.bind_contextvars(trace_id=place.trace_id)

    def frames_seen(self, segment: int, count: int) -> None:  # noqa: ARG002
        if self._metrics:
            self._metrics.frames.inc(count)

    def cell_completed(self, cell: Cell, checkpoint: Checkpoint, *, reused: bool) -> None:
        if job := _job.get():
            job.made.append(Made(cell, checkpoint, reused))

    def failed(self, error: FootAnalyticsError, *, again: bool) -> None:
        if job := _job.get():
            job.failed(error, again=again)

    def reopened(self, cell: Cell) -> None:
        if job := _job.get():
            job.reopened(cell)

    def renewal(self, outcome: Renewal) -> None:
        if self._metrics:
            self._metrics.renewals.labels(outcome).inc()

    def _over(self, job: JobUnderWay) -> None:
        if self._metrics:
            self._metrics.job(job)
        if self._spans:
            pipeline_id = job.lease.pipeline_id
            record = job.task.match.record if job.task else self._state.pipeline(pipeline_id)
            if record:
                self._spans.job(job, record)
