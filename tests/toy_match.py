"""A match of toy stages on the real engine, stores and worker: jobs take no time and fail to order.

`look` sees black pictures, `walk` sums up frame numbers from segment to segment, `total` writes the
sum into a file: with 4 segments of 5 frames it is 0 + 1 + ... + 19 = 190.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from application import records
from application.admission import Admitter, Planned
from application.engine import Engine, planned
from application.frame_pass import PassRunner
from application.hold import Renewer
from application.ledger import Ledger
from application.match import OpenMatch, PlanDocument
from application.ports import Artifact, ArtifactStore
from application.reconciler import Reconciler
from application.service import Service
from application.stage import (
    BaseStage,
    Frame,
    FrameStage,
    MatchFacts,
    Rows,
    StageResult,
    TimelineStage,
    WholeMatch,
    WholeMatchStage,
)
from application.state import PipelineRecord, Priority, StateStore, WorkerRecord
from application.worker import Ability, Worker
from domain import tables
from domain.configuration import ProcessingConfiguration, StageOptions
from domain.grid import Plan, PlannedStage, Queue, Segment
from infrastructure.matches import keys_of_cells

SEGMENTS, FRAMES = 4, 5
TOTAL = sum(range(SEGMENTS * FRAMES))
ABLE = ("toy",)
CONFIGURATION = ProcessingConfiguration.parse({"video_path": "toy.mp4"})
Happening = Callable[[str, int], None]
"""Called with a stage's name and the first frame of what it works on; it may raise."""


class ToySource:
    """Black frames, 25 a second."""

    facts = MatchFacts(64, 48, 25.0)
    pixels_id = "toy"

    def segments(self, seconds: float | None) -> tuple[Segment, ...]:  # noqa: ARG002
        bounds = [(n * FRAMES, (n + 1) * FRAMES) for n in range(SEGMENTS)]
        return tuple(Segment(n, a, b, a / 25, b / 25) for n, (a, b) in enumerate(bounds))

    def frames(self, segment: Segment, warmup: int = 0) -> Iterator[Frame]:  # noqa: ARG002
        for number in range(segment.first, segment.end):
            black = np.zeros((48, 64, 3), np.uint8)
            yield Frame(number, number / 25, black, True, segment.number)

    def extract_audio(self, path: Path) -> None:
        raise AssertionError(path)


class Look(FrameStage):
    name, version = "look", 1
    produces = ("video_frames",)
    happening: Happening

    def begin(self) -> "_Looking":
        return _Looking(self)


@dataclass
class _Looking:
    stage: Look
    seen: list[Frame] = field(default_factory=list)

    def take(self, frames: Sequence[Frame]) -> None:
        self.stage.happening("look", frames[0].number)
        self.seen += frames

    def tables(self) -> Mapping[str, pa.Table]:
        columns = {
            "frame": [frame.number for frame in self.seen],
            "time_s": [frame.time_s for frame in self.seen],
            "segment": [frame.segment for frame in self.seen],
            "decoded": [True] * len(self.seen),
        }
        return {"video_frames": tables.make("video_frames", columns)}


class Walked(msgspec.Struct):
    total: int = 0


class Walk(TimelineStage):
    name, version = "walk", 1
    requires, produces = ("video_frames",), ("metrics",)
    state_type = Walked
    happening: Happening

    def advance(self, rows: Rows, state: Walked, *, final: bool) -> StageResult:  # noqa: ARG002
        self.happening("walk", rows.first)
        state.total += sum(rows["video_frames"]["frame"].to_pylist())
        row = {
            "scope": ["match"],
            "subject": [""],
            "name": [f"up to {rows.end}"],
            "value": [float(state.total)],
            "unit": [""],
            "uncertainty": [None],
            "start_s": [0.0],
            "end_s": [1.0],
            "observed_share": [1.0],
        }
        return StageResult({"metrics": tables.make("metrics", row)}, state, rows.end)


class Total(WholeMatchStage):
    name, version = "total", 1
    concludes_with = ("metrics",)
    happening: Happening

    def conclude(self, match: WholeMatch, state: object) -> StageResult:  # noqa: ARG002
        self.happening("total", 0)
        path = match.workspace / "total.json"
        path.write_text(json.dumps(max(match.table("metrics")["value"].to_pylist())))
        return StageResult(files={"total.json": path})


@dataclass
class ToyCluster:
    """Workers, service and reconciler over one state and one storage."""

    state: StateStore
    artifacts: ArtifactStore
    happening: Happening = lambda stage, frame: None  # noqa: ARG005
    invited: list[tuple[Queue, Priority, int]] = field(default_factory=list)
    lease_s: float = 30.0
    needs: Mapping[Queue, Sequence[str]] = field(default_factory=dict)
    stopping: bool = False
    patience: int = 0

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.artifacts)
        self.service = Service(self.state, self.ledger, self._invite, lambda: 1000.0)
        waiting = dict.fromkeys(("urgent", "high", "normal", "low"), 0)
        self.reconciler = Reconciler(
            self.state, self.artifacts, self.ledger, self, self._invite, lambda _: waiting, 1e12
        )

    def _invite(self, queue: Queue, priority: Priority, count: int) -> None:
        self.invited.append((queue, priority, count))

    def submit(self, **given: str) -> str:
        return self.service.submit(CONFIGURATION, **given).pipeline_id  # type: ignore[arg-type]

    def worker(self, name: str = "w", able: Collection[str] = ABLE) -> Worker:
        self.state.register(WorkerRecord(name, ("gpu", "cpu"), tuple(able)))
        renewer = Renewer(self.state, self.lease_s, 1e9, lambda _: None, lambda: self.stopping)
        admitter = Admitter(self.state, self.artifacts, self.ledger, self.plan, self.patience)
        ability = Ability(name, able, self.lease_s)
        return Worker(self.state, self.ledger, self, admitter, ability, renewer, self._invite)

    def run(self, worker: Worker | None = None) -> None:
        """Take jobs until none is left."""
        worker = worker or self.worker()
        while worker.take("cpu") or worker.take("gpu"):
            pass

    def plan(self, _configuration: ProcessingConfiguration, _able: object) -> Planned:
        frozen: list[PlannedStage] = []
        made: set[str] = set()
        for stage in self._stages().values():
            frozen.append(planned(stage, {}, {}, made))
            made |= set(stage.produces)
        return Planned(Plan(tuple(frozen), ToySource().segments(None)), None, self.needs)

    def open(self, pipeline_id: str) -> OpenMatch:
        record = self.record(pipeline_id)
        assert record.plan
        plan = records.decode(bytes(self.artifacts.read(record.plan)), PlanDocument).frozen()
        stages = self._stages()
        keys_of = partial(keys_of_cells, self.state, pipeline_id, plan)
        engine = Engine(plan, stages, ToySource(), self.artifacts, keys_of)
        return OpenMatch(
            record, engine, PassRunner(plan, stages, ToySource(), self.artifacts, FRAMES)
        )

    def record(self, pipeline_id: str) -> PipelineRecord:
        record = self.state.pipeline(pipeline_id)
        assert record
        return record

    def result(self, pipeline_id: str) -> float:
        """What `total` wrote."""
        results = self.ledger.results(pipeline_id)
        assert results
        total: Artifact = results.files["total.json"]
        return float(json.loads(bytes(self.artifacts.read(total))))

    def _stages(self) -> dict[str, BaseStage]:
        stages = {}
        for kind in (Look, Walk, Total):
            stage: BaseStage = kind(StageOptions(), ToySource.facts)
            stage.happening = self.happening  # type: ignore[attr-defined]
            stages[kind.name] = stage
        return stages
