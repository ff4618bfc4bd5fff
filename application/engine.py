"""Runs one cell: find its inputs and its key, reuse its checkpoint or run it, commit.

Whichever executor calls it, what a cell computes is the same.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from application import keys, records, timeline
from application.ports import Artifact, ArtifactStore, Checkpoint, FrameSource
from application.stage import BaseStage, Frame, StageResult, TimelineStage, WholeMatchStage
from domain import tables
from domain.errors import StageError
from domain.grid import END, Cell, Plan, PlannedStage


class Engine:
    """Knows one match: its plan, its stages, its input, and the checkpoints of finished cells."""

    def __init__(
        self,
        plan: Plan,
        stages: Mapping[str, BaseStage],
        source: FrameSource,
        artifacts: ArtifactStore,
    ) -> None:
        self.plan = plan
        self.source = source
        self.artifacts = artifacts
        self.checkpoints: dict[Cell, Checkpoint] = {}
        self._stages = stages

    def key(self, cell: Cell) -> str:
        """The key of a cell whose requirements are done."""
        planned = self.plan.by_name[cell.stage]
        if cell.segment != END:
            if planned.kind == "source":
                segment = self.plan.segments[cell.segment]
                return keys.source_key(planned, self.source.pixels_id, segment)
            return keys.timeline_key(planned, self._inputs(cell), self._carried(cell))
        reads_input = planned.kind == "source" or self._stages[cell.stage].reads_pixels
        pixels = self.source.pixels_id if reads_input else None
        whole = [entry for table in planned.concludes_with for entry in self._whole(table, cell)]
        return keys.end_key(planned, self._inputs(cell), self._carried(cell), whole, pixels)

    def execute(self, cell: Cell) -> Checkpoint:
        """Run a cell of a timeline stage, or an END cell, and write its artifacts."""
        key = self.key(cell)
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
        self, cell: Cell, written: Mapping[str, Artifact], seconds: float
    ) -> Checkpoint:
        """The checkpoint of a source stage's cell from what a pass over its segment wrote."""
        return Checkpoint(
            key=self.key(cell),
            cell=str(cell),
            tables=dict(written),
            watermark=self.plan.segments[cell.segment].end,
            seconds=seconds,
        )

    def intact(self, checkpoint: Checkpoint) -> bool:
        """Whether all that the checkpoint promises is still there."""
        return all(self.artifacts.holds(artifact) for artifact in checkpoint.artifacts())

    def read(self, artifact: Artifact) -> pa.Table:
        return records.table_from_bytes(self.artifacts.read(artifact))

    def table(self, name: str) -> pa.Table:
        """All final rows of the table `name`."""
        return pa.concat_tables([tables.empty(name), *self.parts(name)])

    def parts(self, name: str) -> Iterator[pa.Table]:
        """The final rows of the table `name`, a cell at a time."""
        for cell in self._cells_of(name):
            checkpoint = self.checkpoints.get(cell)
            if checkpoint and name in checkpoint.tables:
                yield self.read(checkpoint.tables[name])

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
            name: timeline.Delivery(self._rows(sha, name, cell), watermark)
            for name, sha, watermark in self._inputs(cell)
        }
        before = self._carried(cell)
        carried = (
            records.decode(bytes(self.artifacts.read(before)), timeline.Carried)
            if before
            else timeline.begin(stage)
        )
        return timeline.step(stage, carried, deliveries, final=cell.segment == END)

    def _rows(self, sha256: str, name: str, cell: Cell) -> pa.Table:
        if not sha256:
            return tables.empty(name)
        producer = Cell(self.plan.producers[name], cell.segment)
        return self.read(self.checkpoints[producer].tables[name])

    def _inputs(self, cell: Cell) -> list[keys.TableInput]:
        inputs = []
        for name in self.plan.by_name[cell.stage].requires:
            checkpoint = self.checkpoints[Cell(self.plan.producers[name], cell.segment)]
            artifact = checkpoint.tables.get(name)
            inputs.append((name, artifact.sha256 if artifact else "", checkpoint.watermark))
        return inputs

    def _carried(self, cell: Cell) -> Artifact | None:
        if self.plan.by_name[cell.stage].kind != "timeline":
            return None
        before = len(self.plan.segments) - 1 if cell.segment == END else cell.segment - 1
        return self.checkpoints[Cell(cell.stage, before)].carried if before >= 0 else None

    def _whole(self, name: str, reader: Cell) -> Iterator[keys.TableInput]:
        for cell in self._cells_of(name):
            if cell != reader and (artifact := self.checkpoints[cell].tables.get(name)):
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
        yield from self.engine.parts(name)
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
