"""Speed, for comparing two versions on one machine: `make benchmark`. No time is asserted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from application import timeline
from application.ports import Artifact
from application.stage import MatchFacts, TimelineStage
from application.state import Admission, PipelineRecord
from domain import tables
from domain.configuration import ProcessingConfiguration
from domain.grid import Plan, PlannedStage, Queue, Segment
from infrastructure.catalogue import load, options_of
from infrastructure.frame_source import VideoFrameSource
from infrastructure.planning import build_stage
from infrastructure.state.sqlite import SQLiteStateStore
from simulation import SimulationOptions, simulate
from tests.matches import render_match

pytestmark = pytest.mark.benchmark
SECONDS = 20.0


@pytest.fixture(scope="module")
def truth() -> Mapping[str, pa.Table]:
    match = simulate(SimulationOptions(seed=950003, seconds=SECONDS))
    frames = match.tables["frames"]
    evidence = match.tables["tracks"]
    count = evidence.num_rows
    return {
        **match.tables,
        "video_frames": frames.select(tables.SCHEMAS["video_frames"].names),
        "track_evidence": tables.make(
            "track_evidence",
            {
                **{name: evidence[name] for name in ("frame", "track", "x", "y")},
                "role": ["player"] * count,
                "confidence": np.ones(count),
                "appearance": np.random.default_rng(0).random((count, 64)).astype(np.float16),
            },
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        "player_tracking",
        "ball_tracking",
        "team_classification",
        "event_detection",
        "formation_analysis",
        "metrics_calculation",
    ],
)
def test_a_segment_through_a_stage_on_tables(
    benchmark: Any, truth: Mapping[str, pa.Table], name: str
) -> None:
    kind = load(name)
    configuration = ProcessingConfiguration.parse({"video_path": "m.mp4"})
    stage = kind(options_of(kind, configuration), MatchFacts(1280, 720, 25.0))
    assert isinstance(stage, TimelineStage)
    deliveries = {
        table: timeline.Delivery(truth[table], 500)
        for table in (*stage.requires, *(each for each in stage.optional if each in truth))
    }
    start = timeline.begin(stage)
    result, _ = benchmark(timeline.step, stage, start, deliveries, final=False)
    benchmark.extra_info["frames"] = 500
    assert result.watermark > 0


def test_decoding(benchmark: Any, tmp_path: Path) -> None:
    video = render_match(tmp_path, seconds=2.0)
    source = VideoFrameSource.open(ProcessingConfiguration.parse({"video_path": str(video)}))
    (segment,) = source.segments(600)
    assert benchmark(lambda: sum(1 for _ in source.frames(segment))) == 50


@pytest.mark.parametrize("name", ["player_detection", "pitch_observation"])
def test_a_frame_through_a_network(benchmark: Any, tmp_path: Path, name: str) -> None:
    video = render_match(tmp_path, seconds=1.0)
    configuration = ProcessingConfiguration.parse({"video_path": str(video)})
    source = VideoFrameSource.open(configuration)
    frames = list(source.frames(source.segments(600)[0]))
    stage: Any = build_stage(name, configuration, source.facts, 1)
    stage.begin().take(frames)  # the network is loaded before the clock runs
    stage_pass = stage.begin()
    benchmark(stage_pass.take, frames[:1])
    assert sum(table.num_rows for table in stage_pass.tables().values()) > 0


def test_a_claim_and_a_commit(benchmark: Any, tmp_path: Path) -> None:
    store = SQLiteStateStore(tmp_path / "state")
    store.submit(PipelineRecord("p", "{}"), ())
    admission = store.claim("cpu", (), "me", 60)
    assert admission
    jobs: tuple[tuple[int, Queue], ...] = tuple((number, "gpu") for number in range(100_000))
    store.admit(admission, Admission(Artifact("0" * 64, 1), len(jobs), len(jobs), jobs), ())

    def work() -> None:
        lease = store.claim("gpu", (), "me", 60)
        assert lease
        store.commit(lease, {lease.job: "0" * 64}, (), ())

    benchmark(work)


def test_the_order_of_a_whole_match(benchmark: Any) -> None:
    stages = [PlannedStage("s0", 1, "source", ("t0",))]
    stages += [
        PlannedStage(f"s{i}", 1, "timeline", (f"t{i}",), requires=(f"t{i - 1}",))
        for i in range(1, 10)
    ]
    segments = tuple(Segment(i, i, i + 1, float(i), float(i + 1)) for i in range(270))
    plan = Plan(tuple(stages), segments)

    def walk() -> int:
        fresh = Plan(plan.stages, plan.segments)
        return sum(1 for job in fresh.jobs for _ in fresh.followers(job)) and len(fresh.jobs)

    assert benchmark(walk) == 10 * 270 + 10
