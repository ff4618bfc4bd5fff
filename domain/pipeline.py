"""The Pipeline aggregate: one match, its frozen configuration and plan, and what happened to it.

It decides which transitions are legal and records domain events; it sends nothing.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from domain.configuration import ProcessingConfiguration
from domain.errors import TransitionError
from domain.grid import END, Cell, Job


class PipelineState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = frozenset({PipelineState.COMPLETED, PipelineState.FAILED, PipelineState.CANCELLED})

_SOURCES: Mapping[PipelineState, frozenset[PipelineState]] = {
    PipelineState.QUEUED: frozenset({PipelineState.FAILED, PipelineState.CANCELLED}),
    PipelineState.RUNNING: frozenset({PipelineState.QUEUED}),
    PipelineState.COMPLETED: frozenset({PipelineState.RUNNING}),
    PipelineState.FAILED: frozenset({PipelineState.QUEUED, PipelineState.RUNNING}),
    PipelineState.CANCELLED: frozenset({PipelineState.QUEUED, PipelineState.RUNNING}),
}
"""The states from which each may be reached."""


class EventKind(StrEnum):
    PIPELINE_SUBMITTED = "PipelineSubmitted"
    PIPELINE_STARTED = "PipelineStarted"
    STAGE_STARTED = "StageStarted"
    CELL_COMPLETED = "CellCompleted"
    STAGE_COMPLETED = "StageCompleted"
    STAGE_FAILED = "StageFailed"
    PIPELINE_COMPLETED = "PipelineCompleted"
    PIPELINE_FAILED = "PipelineFailed"
    PIPELINE_CANCELLED = "PipelineCancelled"
    PIPELINE_RETRIED = "PipelineRetried"


_LAST_WORDS = {
    PipelineState.COMPLETED: EventKind.PIPELINE_COMPLETED,
    PipelineState.FAILED: EventKind.PIPELINE_FAILED,
    PipelineState.CANCELLED: EventKind.PIPELINE_CANCELLED,
}


@dataclass(frozen=True)
class DomainEvent:
    """A fact about a pipeline.

    `attempt` tells apart what a retry makes happen again; `key` is the finished cell's.
    """

    kind: EventKind
    pipeline_id: str
    cell: Cell | None = None
    attempt: int = 0
    message: str = ""
    key: str = ""

    @property
    def event_id(self) -> str:
        """The same fact has the same id wherever it is recorded, so consumers can drop repeats."""
        name = f"{self.pipeline_id}/{self.cell or ''}/{self.kind}/{self.key or self.attempt}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


@dataclass
class Pipeline:
    """One match on its way. Build it with `submit`; collect `pull_events` when storing it.

    Its finished jobs stand in the state store, which completes it with the last one. One that is
    restored to change its state comes without its configuration.
    """

    pipeline_id: str
    configuration: ProcessingConfiguration | None = None
    state: PipelineState = PipelineState.QUEUED
    attempt: int = 0
    _pending: list[DomainEvent] = field(default_factory=list)

    @classmethod
    def submit(cls, pipeline_id: str, configuration: ProcessingConfiguration) -> "Pipeline":
        pipeline = cls(pipeline_id, configuration)
        pipeline._record(EventKind.PIPELINE_SUBMITTED)
        return pipeline

    def tell_again(self) -> None:
        """Record how it came to its state once more, for a log that was lost."""
        self._pending.append(DomainEvent(EventKind.PIPELINE_SUBMITTED, self.pipeline_id))
        if self.attempt:
            self._record(EventKind.PIPELINE_RETRIED)
        if self.state in _LAST_WORDS:
            self._record(_LAST_WORDS[self.state])

    def start(self) -> None:
        """The plan is frozen and the first jobs may run."""
        self._move(PipelineState.RUNNING)
        self._record(EventKind.PIPELINE_STARTED)

    def job_started(self, job: Job) -> None:
        """A worker took the job; the first one of a stage starts it."""
        for cell in job.cells:
            self._record(EventKind.STAGE_STARTED, Cell(cell.stage, 0))

    def job_completed(self, job: Job, keys: Mapping[Cell, str]) -> None:
        """The job's checkpoints are kept under `keys`; an END cell completes its stage."""
        for cell in job.cells:
            self._record(EventKind.CELL_COMPLETED, cell, key=keys[cell])
            if cell.segment == END:
                self._record(EventKind.STAGE_COMPLETED, cell, key=keys[cell])

    def job_failed(self, job: Job, message: str) -> None:
        """The job is given up; what does not depend on it goes on."""
        for cell in job.cells:
            self._record(EventKind.STAGE_FAILED, cell, message)

    def fail(self, message: str) -> None:
        """Give the whole pipeline up."""
        self._move(PipelineState.FAILED)
        self._record(EventKind.PIPELINE_FAILED, None, message)

    def cancel(self) -> None:
        self._move(PipelineState.CANCELLED)
        self._record(EventKind.PIPELINE_CANCELLED)

    def retry(self) -> None:
        """Queue a failed or cancelled pipeline again; what is done stays done."""
        self._move(PipelineState.QUEUED)
        self.attempt += 1
        self._record(EventKind.PIPELINE_RETRIED)

    def pull_events(self) -> tuple[DomainEvent, ...]:
        """The events recorded since the last call."""
        events, self._pending = tuple(self._pending), []
        return events

    def _move(self, state: PipelineState) -> None:
        if self.state not in _SOURCES[state]:
            raise TransitionError(
                f"pipeline {self.pipeline_id} is {self.state} and cannot become {state}"
            )
        self.state = state

    def _record(
        self, kind: EventKind, cell: Cell | None = None, message: str = "", key: str = ""
    ) -> None:
        event = DomainEvent(kind, self.pipeline_id, cell, self.attempt, message, key)
        self._pending.append(event)


def sources_of(state: PipelineState) -> frozenset[PipelineState]:
    """The states from which `state` may be reached."""
    return _SOURCES[state]
