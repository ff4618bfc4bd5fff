"""Runs one cell of one match: find its inputs and its key, run it, write what it leaves.

Whichever executor calls it, what a cell computes is the same.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from application import keys, records, timeline
from application.checkpoints import Checkpoints
from application.ports import Artifact, ArtifactStore, Checkpoint, FrameSource
from application.stage import BaseStage, Frame, StageResult, TimelineStage, WholeMatchStage
from domain import tables
from domain.errors import ArtifactError, LostCellError, StageError
from domain.grid import END, Cell, Plan, PlannedStage

KeysOf = Callable[[Sequence[Cell]], Sequence[str]]


class Engine:
    """Knows one match: its plan, its stages, its input; `keys_of` tells the keys of done cells."""

    def __init__(
        self,
        plan: Plan,
        stages: Mapping[str, BaseStage],
        source: FrameSource,
        artifacts: ArtifactStore,
        keys_of: KeysOf,
    ) -> None:
        self.plan = plan
        self.source = source
        self.artifacts = artifacts
        self.kept = Checkpoints(artifacts)
        self._stages = stages
        self._keys_of = keys_of
        self._found: dict[Cell, Checkpoint] = {}

    def checkpoint(self, cell: Cell) -> Checkpoint:
        """The checkpoint of a cell that is done.

        Raises:
            LostCellError: it is not done any more, or its checkpoint is gone.
        """
        if cell not in self._found:
            self.look_up([cell])
        return self._found[cell]

    def look_up(self, cells: Collection[Cell]) -> None:
        """Find the checkpoints of these cells, with one question to the state."""
        unknown = [cell for cell in cells if cell not in self._found]
        for cell, key in zip(unknown, self._keys_of(unknown) if unknown else (), strict=True):
            found = self.kept.find(key) if key else None
            if found is None:
                raise self._lost(cell, "its checkpoint is gone")
            self._found[cell] = found

    def remember(self, cell: Cell, checkpoint: Checkpoint) -> None:
        """A cell that was committed from here."""
        self._found[cell] = checkpoint

    def _lost(self, cell: Cell, why: str) -> LostCellError:
        """What `cell` left cannot be used: forget it, so that it is made anew."""
        if found := self._found.pop(cell, None):
            self.kept.forget(found.key)
        return LostCellError(f"{cell}: {why}; it is done again", cell.stage, cell.segment)

    def key(self, cell: Cell) -> str:
        """The key of a cell whose requirements are done.

        Raises:
            LostCellError: one of them is not done any more.
        """
        planned = self.plan.by_name[cell.stage]
        self.look_up(self._read_by(cell))
        if cell.segment != END:
            if planned.kind == "source":
                segment = self.plan.segments[cell.segment]
                return keys.source_key(planned, self.source.pixels_id, segment)
            return keys.timeline_key(planned, self._inputs(cell), self._carried(cell))
        reads_input = planned.kind == "source" or self._stages[cell.stage].reads_pixels
        pixels = self.source.pixels_id if reads_input else None
        whole = [entry for table in planned.concludes_with for entry in self._whole(table, cell)]
        return keys.end_key(planned, self._inputs(cell), self._carried(cell), whole, pixels)

    def execute(self, cell: Cell, key: str) -> Checkpoint:
        """Run a cell of a timeline stage, or an END cell, and write its artifacts."""
        started = time.perf_counter()
        with self.artifacts.workspace() as workspace:
            result, carried = self._run(cell, workspace)
            return Checkpoint(
                key=key,
                cell=str(cell),
                tables=store_tables(self.artifacts, result.tables),
                files={
                    name: self.artifacts.put_file(path)
                    for name, path in sorted(result.files.items())
                },
                carried=self.artifacts.put(records.encode(carried)) if carried else None,
                watermark=result.watermark,
                seconds=time.perf_counter() - started,
            )

    def source_checkpoint(
        self, cell: Cell, key: str, written: Mapping[str, Artifact], seconds: float
    ) -> Checkpoint:
        """The checkpoint of a source stage's cell from what a pass over its segment wrote."""
        end = self.plan.segments[cell.segment].end
        return Checkpoint(key, str(cell), dict(written), watermark=end, seconds=seconds)

    def files(self) -> Mapping[str, Artifact]:
        """Every file that the END cells of a finished match left, by name."""
        ends = [Cell(stage.name, END) for stage in self.plan.stages]
        self.look_up(ends)
        return {
            name: artifact
            for cell in ends
            for name, artifact in self.checkpoint(cell).files.items()
        }

    def table(self, name: str) -> pa.Table:
        """All final rows of the table `name`."""
        return pa.concat_tables([tables.empty(name), *self.parts(name, None)])

    def parts(self, name: str, reader: Cell | None) -> Iterator[pa.Table]:
        """The final rows of the table `name`, a cell at a time; those of `reader` left out."""
        cells = [cell for cell in self._cells_of(name) if cell != reader]
        self.look_up(cells)
        for cell in cells:
            if artifact := self.checkpoint(cell).tables.get(name):
                yield self._rows_of(cell, artifact)

    def _rows_of(self, cell: Cell, artifact: Artifact) -> pa.Table:
        return records.table_from_bytes(self._bytes_of(cell, artifact))

    def _bytes_of(self, cell: Cell, artifact: Artifact) -> memoryview:
        """Bytes that `cell` left; where they are gone or changed, the cell is lost."""
        try:
            return self.artifacts.read(artifact)
        except ArtifactError as error:
            raise self._lost(cell, str(error)) from error

    def _read_by(self, cell: Cell) -> list[Cell]:
        """The done cells that decide the key of `cell`, and that it may read."""
        planned = self.plan.by_name[cell.stage]
        if planned.kind == "source" and cell.segment != END:
            return []
        needed = [Cell(self.plan.producers[name], cell.segment) for name in planned.requires]
        if (before := self._before(cell)) is not None:
            needed.append(before)
        if cell.segment == END:
            needed += [c for name in planned.concludes_with for c in self._cells_of(name)]
        return [each for each in dict.fromkeys(needed) if each != cell]

    def _run(self, cell: Cell, workspace: Path) -> tuple[StageResult, timeline.Carried | None]:
        stage = self._stages[cell.stage]
        if cell.segment != END:
            return self._step(cell, stage)
        last, state = StageResult(), None
        if isinstance(stage, TimelineStage):
            last, _ = self._step(cell, stage)
            state = last.state
        match = _WholeMatch(self, self.plan.by_name[stage.name], last, workspace)
        end = stage.conclude(match, state)
        merged = _merge(last.tables, end.tables)
        return StageResult(merged, None, timeline.AT_END, {**last.files, **end.files}), None

    def _step(self, cell: Cell, stage: BaseStage) -> tuple[StageResult, timeline.Carried]:
        if not isinstance(stage, TimelineStage):
            raise StageError(f"{cell}: not a timeline stage")
        deliveries = {
            name: timeline.Delivery(self._delivered(name, cell), watermark)
            for name, _, watermark in self._inputs(cell)
        }
        carried = self._carried_into(cell) or timeline.begin(stage)
        return timeline.step(stage, carried, deliveries, final=cell.segment == END)

    def _delivered(self, name: str, cell: Cell) -> pa.Table:
        producer = Cell(self.plan.producers[name], cell.segment)
        artifact = self.checkpoint(producer).tables.get(name)
        return self._rows_of(producer, artifact) if artifact else tables.empty(name)

    def _inputs(self, cell: Cell) -> list[keys.TableInput]:
        inputs = []
        for name in self.plan.by_name[cell.stage].requires:
            checkpoint = self.checkpoint(Cell(self.plan.producers[name], cell.segment))
            artifact = checkpoint.tables.get(name)
            inputs.append((name, artifact.sha256 if artifact else "", checkpoint.watermark))
        return inputs

    def _before(self, cell: Cell) -> Cell | None:
        """The cell whose carried state `cell` goes on with."""
        if self.plan.by_name[cell.stage].kind != "timeline":
            return None
        before = len(self.plan.segments) - 1 if cell.segment == END else cell.segment - 1
        return Cell(cell.stage, before) if before >= 0 else None

    def _carried(self, cell: Cell) -> Artifact | None:
        before = self._before(cell)
        return self.checkpoint(before).carried if before else None

    def _carried_into(self, cell: Cell) -> timeline.Carried | None:
        before, artifact = self._before(cell), self._carried(cell)
        if before is None or artifact is None:
            return None
        return records.decode(bytes(self._bytes_of(before, artifact)), timeline.Carried)

    def _whole(self, name: str, reader: Cell) -> Iterator[keys.TableInput]:
        for cell in self._cells_of(name):
            if cell != reader and (artifact := self.checkpoint(cell).tables.get(name)):
                yield name, artifact.sha256, cell.segment

    def _cells_of(self, name: str) -> Iterator[Cell]:
        stage = self.plan.by_name[self.plan.producers[name]]
        if stage.kind != "whole":
            for segment in self.plan.segments:
                yield Cell(stage.name, segment.number)
        yield Cell(stage.name, END)


def store_tables(artifacts: ArtifactStore, rows: Mapping[str, pa.Table]) -> dict[str, Artifact]:
    """Write each table that has rows; an empty one is known by its absence."""
    return {
        name: artifacts.put(records.table_bytes(table))
        for name, table in sorted(rows.items())
        if table.num_rows
    }


def _merge(first: Mapping[str, pa.Table], then: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    merged = dict(first)
    for name, table in then.items():
        checked = tables.check(name, table)
        merged[name] = pa.concat_tables([merged[name], checked]) if name in merged else checked
    return merged


@dataclass(frozen=True)
class _WholeMatch:
    """What a stage's END cell may read: the tables that it declared, its own last rows too."""

    engine: Engine
    stage: PlannedStage
    last: StageResult
    workspace: Path

    def table(self, name: str) -> pa.Table:
        return pa.concat_tables([tables.empty(name), *self.parts(name)])

    def parts(self, name: str) -> Iterator[pa.Table]:
        declared = {*self.stage.requires, *self.stage.concludes_with, *self.stage.produces}
        if name not in declared:
            raise StageError(f"stage {self.stage.name} reads {name} and does not declare it")
        yield from self.engine.parts(name, Cell(self.stage.name, END))
        if name in self.last.tables:
            yield self.last.tables[name]

    def has(self, name: str) -> bool:
        return name in self.engine.plan.producers

    def frames(self) -> Iterator[Frame]:
        for segment in self.engine.plan.segments:
            yield from self.engine.source.frames(segment)

    def extract_audio(self, path: Path) -> None:
        self.engine.source.extract_audio(path)


def planned(
    stage: BaseStage, key_facts: Mapping[str, Any], end_facts: Mapping[str, Any], made: set[str]
) -> PlannedStage:
    """`stage` as the plan freezes it, given the tables that the stages before it make."""
    return PlannedStage(
        name=stage.name,
        version=stage.version,
        kind=_kind(stage),
        produces=stage.produces,
        requires=(*stage.requires, *(name for name in stage.optional if name in made)),
        concludes_with=(
            *stage.concludes_with,
            *(name for name in stage.optional_at_end if name in made),
        ),
        key_facts=key_facts,
        end_facts=end_facts,
    )


def _kind(stage: BaseStage) -> Literal["source", "timeline", "whole"]:
    if isinstance(stage, TimelineStage):
        return "timeline"
    return "whole" if isinstance(stage, WholeMatchStage) else "source"
