"""The plan of a match: a grid of cells, stage by segment, and the one rule that orders it.

A cell may run when the cells that it requires are done: the required stages' cells on its segment
and, for a stage that carries state, its own cell on the segment before. A stage's END cell comes
after its last segment and after the END cells of the stages that it reads.

A worker takes a job: the source stages' cells on one segment together, so that a frame is decoded
once, or one other cell.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from domain.errors import PlanError

END = -1
Queue = Literal["cpu", "gpu"]
Span = tuple[int, int]


@dataclass(frozen=True, order=True)
class Cell:
    """One stage on one segment; `segment` is END for a stage's last cell."""

    stage: str
    segment: int

    def __str__(self) -> str:
        return f"{self.stage}/{'end' if self.segment == END else self.segment}"

    @classmethod
    def parse(cls, text: str) -> "Cell":
        stage, _, segment = text.partition("/")
        return cls(stage, END if segment == "end" else int(segment))


@dataclass(frozen=True)
class Segment:
    """The frames from `first` up to, not including, `end`; times in seconds of the input."""

    number: int
    first: int
    end: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Job:
    """What one worker takes at once: the source stages' cells on a segment, or one other cell.

    `number` is its place in the plan.
    """

    number: int
    cells: tuple[Cell, ...]

    def __str__(self) -> str:
        return f"pass/{self.cells[0].segment}" if len(self.cells) > 1 else str(self.cells[0])

    def __hash__(self) -> int:
        return self.number


@dataclass(frozen=True)
class Follower:
    """A job that may run when all jobs in `spans` (first number, count) are done."""

    job: Job
    queue: Queue
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class PlannedStage:
    """A stage as the plan freezes it.

    `kind` is "source" for a stage that reads the input, "timeline" for one that carries state, and
    "whole" for one that has an END cell only. `key_facts` decide the results of all its cells,
    `end_facts` those of its END cell alone.
    """

    name: str
    version: int
    kind: Literal["source", "timeline", "whole"]
    produces: tuple[str, ...]
    requires: tuple[str, ...] = ()
    concludes_with: tuple[str, ...] = ()
    key_facts: Mapping[str, object] = field(default_factory=dict, hash=False)
    end_facts: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Plan:
    """The stages of one match in an order in which they can run, and its segments."""

    stages: tuple[PlannedStage, ...]
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        made: set[str] = set()
        for stage in self.stages:
            needed = {*stage.requires, *stage.concludes_with} - set(stage.produces)
            if missing := sorted(needed - made):
                raise PlanError(
                    f"stage {stage.name} requires {', '.join(missing)}, which no chosen stage "
                    f"before it produces: add what makes them to stages, or leave {stage.name} out"
                )
            if twice := made & set(stage.produces):
                raise PlanError(f"stage {stage.name} produces {', '.join(sorted(twice))} once more")
            made |= set(stage.produces)
        if not self.segments:
            raise PlanError("the input has no frame to analyse")

    @cached_property
    def by_name(self) -> Mapping[str, PlannedStage]:
        return {stage.name: stage for stage in self.stages}

    @cached_property
    def producers(self) -> Mapping[str, str]:
        """The stage that makes each table."""
        return {table: stage.name for stage in self.stages for table in stage.produces}

    @property
    def frame_count(self) -> int:
        return self.segments[-1].end - self.segments[0].first

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell, job by job."""
        return tuple(cell for job in self.jobs for cell in job.cells)

    @cached_property
    def cell_numbers(self) -> Mapping[Cell, int]:
        """The place of each cell in `cells`."""
        return {cell: number for number, cell in enumerate(self.cells)}

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The passes, then the timeline's cells in the order of time, then the END cells.

        Results stream out best when of the jobs that may run the first is taken.
        """
        segments = [segment.number for segment in self.segments]
        sources = [stage.name for stage in self.stages if stage.kind == "source"]
        timeline = [stage.name for stage in self.stages if stage.kind == "timeline"]
        contents = [tuple(Cell(name, number) for name in sources) for number in segments if sources]
        contents += [(Cell(name, number),) for number in segments for name in timeline]
        contents += [(Cell(stage.name, END),) for stage in self.stages]
        return tuple(Job(number, cells) for number, cells in enumerate(contents))

    @cached_property
    def job_of(self) -> Mapping[Cell, Job]:
        """The job that does each cell."""
        return {cell: job for job in self.jobs for cell in job.cells}

    def requirements(self, cell: Cell) -> tuple[Cell, ...]:
        """The cells that must be done before `cell` may run."""
        stage = self.by_name[cell.stage]
        if cell.segment == END:
            return (*self._own_cells(stage), *self._ends_before(stage))
        required = [Cell(name, cell.segment) for name in self._stages_of(stage.requires)]
        if stage.kind == "timeline" and cell.segment > self.segments[0].number:
            required.append(Cell(cell.stage, cell.segment - 1))
        return tuple(required)

    def is_pass(self, job: Job) -> bool:
        """Whether the job decodes a segment and runs the source stages on it."""
        first = job.cells[0]
        return first.segment != END and self.by_name[first.stage].kind == "source"

    def runnable(self, done: Collection[int]) -> tuple[Job, ...]:
        """The jobs that may run when those with the numbers `done` are done."""
        return tuple(
            job
            for job, spans in self._spans.items()
            if job.number not in done
            and all(n in done for first, count in spans for n in range(first, first + count))
        )

    def followers(self, job: Job) -> tuple[Follower, ...]:
        """The jobs that wait for `job`, perhaps among others."""
        return self._followers[job]

    @cached_property
    def _spans(self) -> Mapping[Job, tuple[Span, ...]]:
        """The jobs that each job waits for."""
        return {job: self._span_of(job) for job in self.jobs}

    def _span_of(self, job: Job) -> tuple[Span, ...]:
        """Neighbouring numbers become one span: an END cell waits for all passes, as one."""
        needed = (self.job_of[cell] for own in job.cells for cell in self.requirements(own))
        spans: list[Span] = []
        for number in sorted({other.number for other in needed}):
            if spans and spans[-1][0] + spans[-1][1] == number:
                spans[-1] = (spans[-1][0], spans[-1][1] + 1)
            else:
                spans.append((number, 1))
        return tuple(spans)

    @cached_property
    def _followers(self) -> Mapping[Job, tuple[Follower, ...]]:
        followers: dict[Job, list[Follower]] = {job: [] for job in self.jobs}
        for job, spans in self._spans.items():
            for first, count in spans:
                for needed in self.jobs[first : first + count]:
                    followers[needed].append(Follower(job, self.queue_of(job), spans))
        return {job: tuple(found) for job, found in followers.items()}

    def queue_of(self, job: Job) -> Queue:
        """The kind of worker that the job needs."""
        return "gpu" if self.is_pass(job) else "cpu"

    def _own_cells(self, stage: PlannedStage) -> tuple[Cell, ...]:
        """A timeline stage's last cell follows all its others; a source stage's do not."""
        if stage.kind == "whole":
            return ()
        if stage.kind == "timeline":
            return (Cell(stage.name, self.segments[-1].number),)
        return tuple(Cell(stage.name, segment.number) for segment in self.segments)

    def _ends_before(self, stage: PlannedStage) -> tuple[Cell, ...]:
        names = self._stages_of((*stage.requires, *stage.concludes_with))
        return tuple(Cell(name, END) for name in names if name != stage.name)

    def _stages_of(self, tables: Collection[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.producers[table] for table in tables))
