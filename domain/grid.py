"""The plan of a match: a grid of cells, stage by segment, and the one rule that orders it.

A cell may run when the cells that it requires are done: the required stages' cells on its segment
and, for a stage that carries state, its own cell on the segment before. A stage's END cell comes
after its last segment and after the END cells of the stages that it reads.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from domain.errors import PlanError

END = -1


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
        """Every cell, segment by segment, so that results stream out in the order of time."""
        numbers = [segment.number for segment in self.segments]
        streamed = [stage.name for stage in self.stages if stage.kind != "whole"]
        body = [Cell(name, number) for number in numbers for name in streamed]
        return (*body, *(Cell(stage.name, END) for stage in self.stages))

    def requirements(self, cell: Cell) -> tuple[Cell, ...]:
        """The cells that must be done before `cell` may run."""
        stage = self.by_name[cell.stage]
        if cell.segment == END:
            return (*self._own_cells(stage), *self._ends_before(stage))
        required = [Cell(name, cell.segment) for name in self._stages_of(stage.requires)]
        if stage.kind == "timeline" and cell.segment > self.segments[0].number:
            required.append(Cell(cell.stage, cell.segment - 1))
        return tuple(required)

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


class Frontier:
    """What may run next: kept up to date as cells complete, a few steps a cell."""

    def __init__(self, plan: Plan, done: Collection[Cell] = ()) -> None:
        self._waiting: dict[Cell, int] = {}
        self._followers: dict[Cell, list[Cell]] = defaultdict(list)
        self._rank = {cell: rank for rank, cell in enumerate(plan.cells)}
        for cell in plan.cells:
            requirements = plan.requirements(cell)
            self._waiting[cell] = len(requirements)
            for needed in requirements:
                self._followers[needed].append(cell)
        self.ready = {cell for cell, count in self._waiting.items() if count == 0}
        for cell in sorted(done, key=self._rank.__getitem__):
            self.complete(cell)

    def complete(self, cell: Cell) -> list[Cell]:
        """Mark `cell` done and return the cells that may run since then, first ones first."""
        self.ready.discard(cell)
        freed = []
        for follower in self._followers.pop(cell, ()):
            self._waiting[follower] -= 1
            if self._waiting[follower] == 0:
                self.ready.add(follower)
                freed.append(follower)
        return sorted(freed, key=self._rank.__getitem__)

    def in_order(self) -> list[Cell]:
        """The cells that may run, in the order in which results stream out best."""
        return sorted(self.ready, key=self._rank.__getitem__)
