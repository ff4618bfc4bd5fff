"""The Pipeline aggregate: one match, its frozen configuration and plan, and what happened to it.

It decides which transitions are legal and records domain events; it sends nothing.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from domain.configuration import ProcessingConfiguration
from domain.errors import TransitionError
from domain.grid import END, Cell, Plan


class PipelineState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_LEGAL: Mapping[PipelineState, frozenset[PipelineState]] = {
    PipelineState.QUEUED: frozenset({PipelineState.RUNNING, PipelineState.CANCELLED}),
    PipelineState.RUNNING: frozenset(
        {PipelineState.COMPLETED, PipelineState.FAILED, PipelineState.CANCELLED}
    ),
    PipelineState.COMPLETED: frozenset(),
    PipelineState.FAILED: frozenset({PipelineState.QUEUED}),
    PipelineState.CANCELLED: frozenset({PipelineState.QUEUED}),
}


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


@dataclass(frozen=True)
class DomainEvent:
    """A fact about a pipeline. `attempt` tells apart what a retry makes happen again."""

    kind: EventKind
    pipeline_id: str
    cell: Cell | None = None
    attempt: int = 0
    message: str = ""

    @property
    def event_id(self) -> str:
        """The same fact has the same id wherever it is recorded, so consumers can drop repeats."""
        name = f"{self.pipeline_id}/{self.cell or ''}/{self.kind}/{self.attempt}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


@dataclass
class Pipeline:
    """One match on its way. Build it with `submit`; collect `pull_events` when storing it."""

    pipeline_id: str
    configuration: ProcessingConfiguration
    state: PipelineState = PipelineState.QUEUED
    plan: Plan | None = None
    attempt: int = 0
    error: str = ""
    done: set[Cell] = field(default_factory=set)
    _started: set[str] = field(default_factory=set)
    _pending: list[DomainEvent] = field(default_factory=list)

    @classmethod
    def submit(cls, pipeline_id: str, configuration: ProcessingConfiguration) -> "Pipeline":
        pipeline = cls(pipeline_id, configuration)
        pipeline._record(EventKind.PIPELINE_SUBMITTED)
        return pipeline

    def admit(self, plan: Plan) -> None:
        """Freeze the plan and start."""
        self._move(PipelineState.RUNNING)
        self.plan = plan
        self._record(EventKind.PIPELINE_STARTED)

    def cell_started(self, cell: Cell) -> None:
        """The cell was leased; the first one starts its stage."""
        self._expect_running()
        if cell.stage not in self._started:
            self._started.add(cell.stage)
            self._record(EventKind.STAGE_STARTED, Cell(cell.stage, 0))

    def cell_completed(self, cell: Cell) -> None:
        """The cell's checkpoint is committed; the last END cell completes the pipeline."""
        if cell in self.done:
            return
        self._expect_running()
        self.done.add(cell)
        self._record(EventKind.CELL_COMPLETED, cell)
        if cell.segment == END:
            self._record(EventKind.STAGE_COMPLETED, cell)
        if self.plan and len(self.done) == len(self.plan.cells):
            self._move(PipelineState.COMPLETED)
            self._record(EventKind.PIPELINE_COMPLETED)

    def fail(self, cell: Cell | None, message: str) -> None:
        """Give up: the cell failed for good."""
        self._move(PipelineState.FAILED)
        self.error = message
        if cell:
            self._record(EventKind.STAGE_FAILED, cell, message)
        self._record(EventKind.PIPELINE_FAILED, None, message)

    def cancel(self) -> None:
        self._move(PipelineState.CANCELLED)
        self._record(EventKind.PIPELINE_CANCELLED)

    def retry(self) -> None:
        """Queue a failed or cancelled pipeline again; what is done stays done."""
        self._move(PipelineState.QUEUED)
        self.attempt += 1
        self.error = ""
        self._record(EventKind.PIPELINE_RETRIED)

    def pull_events(self) -> tuple[DomainEvent, ...]:
        """The events recorded since the last call."""
        events, self._pending = tuple(self._pending), []
        return events

    def _expect_running(self) -> None:
        if self.state is not PipelineState.RUNNING:
            raise TransitionError(f"pipeline {self.pipeline_id} is {self.state}, not running")

    def _move(self, state: PipelineState) -> None:
        if state not in _LEGAL[self.state]:
            raise TransitionError(
                f"pipeline {self.pipeline_id} is {self.state} and cannot become {state}"
            )
        self.state = state

    def _record(self, kind: EventKind, cell: Cell | None = None, message: str = "") -> None:
        self._pending.append(DomainEvent(kind, self.pipeline_id, cell, self.attempt, message))
