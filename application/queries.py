"""What users ask about their matches: how far each is, and what it left. It changes nothing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import msgspec

from application import records
from application.checkpoints import Checkpoints
from application.ledger import Ledger
from application.match import PlanDocument
from application.ports import Artifact, ArtifactStore
from application.state import ADMISSION, JobStates, PipelineRecord, StateStore, Trouble
from domain.errors import (
    ArtifactError,
    InputError,
    ResourceError,
    TransitionError,
    UnknownPipelineError,
)
from domain.grid import END, Cell, Job, Plan, PlannedStage
from domain.pipeline import PipelineState

_PLANS_KEPT, _TIMES_KEPT, _READERS = 64, 100_000, 16
_WAIT = "its results are there when it is completed"
_ADVICE = {
    PipelineState.FAILED: "its error is in the status; retry goes on from there",
    PipelineState.CANCELLED: "retry goes on where it was stopped",
}
CellState = Literal["waiting", "ready", "running", "done", "failed"]


class UnknownResultError(InputError):
    """The match left nothing of that name."""


@dataclass(frozen=True)
class Count:
    """How many of a kind are done."""

    done: int
    total: int

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 0.0


@dataclass(frozen=True)
class CellStatus:
    """A stage on one segment; `segment` is None for its END cell, times are None where unknown.

    `attempts` counts the tries that failed and the one that is under way or succeeded. `seconds`
    and `made_at` (Unix time) are those of the run that made it, perhaps an earlier match's.
    """

    segment: int | None
    start_s: float | None
    end_s: float | None
    state: CellState
    attempts: int
    error: str
    worker: str
    seconds: float | None
    made_at: float | None


@dataclass(frozen=True)
class StageStatus:
    """A stage over all its cells; `frames` are those that it finished, `failures` all its tries.

    `seconds` is the time that its cells took, None where that was not asked for.
    """

    stage: str
    version: int
    state: CellState
    cells: Count
    frames: Count
    failures: int
    error: str
    seconds: float | None
    segments: Sequence[CellStatus]

    @property
    def share_done(self) -> float:
        return self.frames.share if self.frames.total else self.cells.share


@dataclass(frozen=True)
class Planning:
    """The job that opens the input and plans the match."""

    state: CellState
    attempts: int
    error: str
    worker: str


@dataclass(frozen=True)
class PipelineStatus:
    """Where a match stands; `frames` counts those that went through every stage."""

    record: PipelineRecord
    cells: Count
    frames: Count
    planning: Planning
    stages: Sequence[StageStatus]

    @property
    def share_done(self) -> float:
        """The mean of its stages' shares."""
        if self.record.state is PipelineState.COMPLETED:
            return 1.0
        return sum(s.share_done for s in self.stages) / len(self.stages) if self.stages else 0.0


class Queries:
    """Reads state and storage; plans and finished cells never change, so they are kept."""

    def __init__(self, state: StateStore, artifacts: ArtifactStore, ledger: Ledger) -> None:
        self._state = state
        self._artifacts = artifacts
        self._ledger = ledger
        self._checkpoints = Checkpoints(artifacts)
        self._document = lru_cache(_PLANS_KEPT)(self._read_document)
        self._plan = lru_cache(_PLANS_KEPT)(self._read_plan)
        self._time = lru_cache(_TIMES_KEPT)(self._read_time)

    def record(self, pipeline_id: str) -> PipelineRecord:
        """Raises UnknownPipelineError where there is none of that id."""
        record = self._state.pipeline(pipeline_id)
        if record is None:
            raise UnknownPipelineError(f"there is no pipeline {pipeline_id}")
        return record

    def pipelines(
        self, owner: str | None, state: PipelineState | None, offset: int, limit: int
    ) -> tuple[Sequence[PipelineRecord], bool]:
        """A page of the pipelines, latest first, and whether more follow."""
        found = self._state.pipelines(owner=owner, state=state, offset=offset, limit=limit + 1)
        return found[:limit], len(found) > limit

    def status(self, pipeline_id: str, *, segments: bool = True) -> PipelineStatus:
        """How far the match is; with `segments`, cell by cell and with the time that each took.

        Raises:
            UnknownPipelineError: there is none of that id.
        """
        record = self.record(pipeline_id)
        jobs = self._state.jobs(pipeline_id)
        planning = _planning(record, jobs)
        try:
            plan = self._plan(record.plan) if record.plan else None
        except ArtifactError:  # collected, long after its end
            plan = None
        if plan is None:
            return PipelineStatus(record, Count(0, 0), Count(0, 0), planning, ())
        grid = _Grid(plan, record, jobs, self._state.frames_reported(pipeline_id))
        times = self._times(grid) if segments else {}
        stages = [grid.stage(stage, times, segments) for stage in plan.stages]
        return PipelineStatus(record, grid.cells(), grid.frames(), planning, stages)

    def results(self, pipeline_id: str) -> Mapping[str, Artifact]:
        """The files of a completed match, by name.

        Raises:
            UnknownPipelineError: there is none of that id.
            TransitionError: it is not completed.
        """
        record = self.record(pipeline_id)
        if record.state is not PipelineState.COMPLETED:
            raise TransitionError(
                f"pipeline {pipeline_id} is {record.state}: {_ADVICE.get(record.state, _WAIT)}"
            )
        found = self._ledger.results(pipeline_id)
        if found is None:  # its last cell was committed just now
            raise ResourceError(f"pipeline {pipeline_id}: its results are being written down")
        return found.files

    def file(self, pipeline_id: str, name: str) -> Artifact:
        """One of the results.

        Raises:
            UnknownResultError: it left no file of that name.
        """
        files = self.results(pipeline_id)
        if name not in files:
            raise UnknownResultError(
                f"pipeline {pipeline_id} left no {name[:200]}: it left {', '.join(sorted(files))}"
            )
        return files[name]

    def opened_input(self, pipeline_id: str) -> bytes | None:
        """What opens the planned input of a match; None for tracking data.

        Raises:
            TransitionError: it is not planned yet.
        """
        record = self.record(pipeline_id)
        if record.plan is None:
            raise TransitionError(f"pipeline {pipeline_id} is {record.state} and not planned yet")
        document = self._document(record.plan)
        return bytes(self._artifacts.read(document.input)) if document.input else None

    def _read_document(self, artifact: Artifact) -> PlanDocument:
        try:
            return records.decode(bytes(self._artifacts.read(artifact)), PlanDocument)
        except msgspec.DecodeError as error:
            raise ArtifactError("the plan was written by another version") from error

    def _read_plan(self, artifact: Artifact) -> Plan:
        return self._document(artifact).frozen()

    def _times(self, grid: "_Grid") -> Mapping[Cell, tuple[float, float]]:
        """Seconds that each done cell took, and when it was made; remote records side by side."""
        numbers = grid.plan.cell_numbers
        done = [cell for job in grid.done for cell in job.cells]
        keys = self._state.keys(grid.record.pipeline_id, [numbers[cell] for cell in done])
        with ThreadPoolExecutor(_READERS) as pool:
            found = pool.map(self._known_time, keys)
            return {cell: time for cell, time in zip(done, found, strict=True) if time}

    def _known_time(self, key: str) -> tuple[float, float] | None:
        try:
            return self._time(key) if key else None
        except UnknownResultError:
            return None

    def _read_time(self, key: str) -> tuple[float, float]:
        checkpoint = self._checkpoints.find(key)
        if checkpoint is None:
            raise UnknownResultError(key)
        return checkpoint.seconds, checkpoint.made_at


@dataclass(frozen=True)
class _Grid:
    """A plan with where each of its jobs stands."""

    plan: Plan
    record: PipelineRecord
    jobs: JobStates
    reported: Mapping[int, int]
    """Frames that went through the passes under way, by job."""

    @cached_property
    def done(self) -> Collection[Job]:
        """The jobs that are done; what a completed match kept of them may be collected already."""
        if self.record.state is PipelineState.COMPLETED:
            return self.plan.jobs
        return [job for job in self.plan.jobs if job.number in self.jobs.done]

    @cached_property
    def done_cells(self) -> Collection[Cell]:
        return {cell for job in self.done for cell in job.cells}

    @cached_property
    def troubles(self) -> Mapping[int, Trouble]:
        return {trouble.job: trouble for trouble in self.jobs.troubles}

    def cells(self) -> Count:
        return Count(len(self.done_cells), len(self.plan.cells))

    def frames(self) -> Count:
        """The frames of the segments on which every stage is done."""
        missing = {cell.segment for cell in self.plan.cells if cell not in self.done_cells}
        done = sum(s.end - s.first for s in self.plan.segments if s.number not in missing)
        return Count(done, self.plan.frame_count)

    def stage(
        self, stage: PlannedStage, times: Mapping[Cell, tuple[float, float]], segments: bool
    ) -> StageStatus:
        cells = list(self._cells_of(stage))
        own = {self.plan.job_of[cell].number for cell in cells}
        troubles = [self.troubles[number] for number in sorted(own & set(self.troubles))]
        done = [cell for cell in cells if cell in self.done_cells]
        seconds = [times[cell][0] for cell in done if cell in times]
        return StageStatus(
            stage=stage.name,
            version=stage.version,
            state=self._stage_state(own, done, cells),
            cells=Count(len(done), len(cells)),
            frames=self._frames_of(stage, done),
            failures=sum(trouble.failures for trouble in troubles),
            error=next((each.error for each in troubles if each.dead), ""),
            seconds=round(sum(seconds), 3) if seconds else None,
            segments=[self._cell(cell, times.get(cell)) for cell in cells] if segments else (),
        )

    def _cells_of(self, stage: PlannedStage) -> Iterator[Cell]:
        if stage.kind != "whole":
            yield from (Cell(stage.name, segment.number) for segment in self.plan.segments)
        yield Cell(stage.name, END)

    def _stage_state(
        self, own: Collection[int], done: Sequence[Cell], cells: Sequence[Cell]
    ) -> CellState:
        states = {_state_of(number, self.jobs) for number in own}
        if len(done) == len(cells):
            return "done"
        if "failed" in states:
            return "failed"
        if done or "running" in states:
            return "running"
        return "ready" if "ready" in states else "waiting"

    def _frames_of(self, stage: PlannedStage, done: Collection[Cell]) -> Count:
        if stage.kind == "whole":
            return Count(0, 0)
        numbers = {cell.segment for cell in done}
        frames = sum(s.end - s.first for s in self.plan.segments if s.number in numbers)
        return Count(frames + self._under_way(stage, numbers), self.plan.frame_count)

    def _under_way(self, stage: PlannedStage, done: Collection[int]) -> int:
        """Frames that a pass has shown to the stage, of segments that are not done."""
        if stage.kind != "source":
            return 0
        jobs = {s: self.plan.job_of[Cell(stage.name, s.number)].number for s in self.plan.segments}
        return sum(
            min(self.reported.get(job, 0), s.end - s.first)
            for s, job in jobs.items()
            if s.number not in done
        )

    def _cell(self, cell: Cell, time: tuple[float, float] | None) -> CellStatus:
        number = self.plan.job_of[cell].number
        segment = None if cell.segment == END else self.plan.segments[cell.segment]
        trouble = self.troubles.get(number)
        state = "done" if cell in self.done_cells else _state_of(number, self.jobs)
        return CellStatus(
            segment=segment.number if segment else None,
            start_s=segment.start_s if segment else None,
            end_s=segment.end_s if segment else None,
            state=state,
            attempts=_attempts(state, trouble),
            error=trouble.error if trouble else "",
            worker=self.jobs.leased.get(number, ""),
            seconds=round(time[0], 4) if time else None,
            made_at=time[1] or None if time else None,
        )


def _planning(record: PipelineRecord, jobs: JobStates) -> Planning:
    state = _state_of(ADMISSION, jobs)
    if record.plan and state == "waiting":
        state = "done"
    trouble = next((each for each in jobs.troubles if each.job == ADMISSION), None)
    error = trouble.error if trouble else ""
    return Planning(state, _attempts(state, trouble), error, jobs.leased.get(ADMISSION, ""))


def _state_of(number: int, jobs: JobStates) -> CellState:
    if number in jobs.done:
        return "done"
    if number in jobs.leased:
        return "running"
    if number in jobs.ready:
        return "ready"
    dead = any(trouble.dead for trouble in jobs.troubles if trouble.job == number)
    return "failed" if dead else "waiting"


def _attempts(state: CellState, trouble: Trouble | None) -> int:
    return (trouble.failures if trouble else 0) + (state in {"running", "done"})
