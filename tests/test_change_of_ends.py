"""A match and the same match again with the ends changed: the second half must say the same.

The simulated match is played as the first half, once more in half-time, where nobody may notice it,
and turned by 180 degrees as the second half.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from application.stage import MatchFacts
from domain import tables
from domain.configuration import (
    EventDetectionOptions,
    FormationAnalysisOptions,
    MetricsCalculationOptions,
    ProcessingConfiguration,
)
from domain.periods import Period
from infrastructure.bootstrap.local import analyze_locally
from simulation import SimulationOptions, simulate
from stages.event_detection import EventDetectionStage
from stages.formation_analysis import FormationAnalysisStage
from stages.metrics_calculation import MetricsCalculationStage
from stages.periods import table as periods_table
from tests.matches import QUICK, Recording, render_match
from tests.timeline_runs import run

RATE, HALF_S = 25.0, 40.0
FRAMES = round(HALF_S * RATE)
FACTS = MatchFacts(1280, 720, RATE)
Tables = Mapping[str, pa.Table]


def shifted(table: pa.Table, times: int, sign: float) -> pa.Table:
    """The rows `times` halves later, and with a negative sign turned around the centre spot."""
    columns = {name: table[name] for name in table.column_names}
    columns["frame"] = pc.add(table["frame"], times * FRAMES)
    columns["time_s"] = pc.add(table["time_s"], times * HALF_S)
    for axis in ("x", "y"):
        columns[axis] = pc.multiply(table[axis], pa.scalar(sign, pa.float32()))
    return pa.table(columns, schema=table.schema)


@pytest.fixture(scope="module")
def halves() -> dict[str, pa.Table]:
    match = simulate(SimulationOptions(seed=950011, seconds=HALF_S))
    parts = [(0, 1.0), (1, 1.0), (2, -1.0)]
    joined = {
        name: pa.concat_tables([shifted(match.tables[name], *part) for part in parts])
        for name in ("tracks", "ball")
    }
    right = match.record.attack_sign[0] > 0
    sides = ("right", "left") if right else ("left", "right")
    periods = [
        Period(number, start_s, start_s + HALF_S, start_s, side)
        for number, start_s, side in zip((1, 2), (0.0, 2 * HALF_S), sides, strict=True)
    ]
    known = {
        "identities": match.tables["identities"],
        "periods": periods_table(periods, "configuration"),
    }
    return {name: table.combine_chunks() for name, table in joined.items()} | known


@pytest.fixture(scope="module")
def events(halves: Tables) -> dict[str, pa.Table]:
    return run(EventDetectionStage(EventDetectionOptions(), FACTS), halves)


def test_the_second_half_has_the_same_events(events: Tables) -> None:
    rows = events["match_events"].to_pylist()
    first = [row for row in rows if row["end_s"] < HALF_S]
    second = [row for row in rows if row["start_s"] >= 2 * HALF_S]
    assert len(first) >= 10  # possessions and passes of 40 s
    assert len(first) + len(second) == len(rows)  # none in half-time, none across it
    for one, other in zip(first, second, strict=True):
        for name in ("type", "player", "receiver", "team", "outcome"):
            assert one[name] == other[name]
        assert other["start_frame"] - one["start_frame"] == 2 * FRAMES
        assert (other["start_x"], other["start_y"]) == (-one["start_x"], -one["start_y"])


def test_the_second_half_has_the_same_formations(halves: Tables, events: Tables) -> None:
    stage = FormationAnalysisStage(FormationAnalysisOptions(), FACTS)
    rows = run(stage, {**halves, "touches": events["touches"]})["formations"].to_pylist()
    first = [row for row in rows if row["start_s"] == 0.0]
    second = [row for row in rows if row["start_s"] == 2 * HALF_S]
    assert len(first) + len(second) == len(rows)
    # all, in and out of possession, of two teams, where there is enough of it
    assert len(first) == len(second) >= 4
    for one, other in zip(first, second, strict=True):
        for name in ("team", "phase", "label", "players", "positions"):
            assert one[name] == other[name]
        np.testing.assert_allclose(one["x"], other["x"], atol=1e-3)


def test_the_second_half_has_the_same_distances(halves: Tables, events: Tables) -> None:
    stage = MetricsCalculationStage(MetricsCalculationOptions(), FACTS)
    whole = _distances(run(stage, {**halves, **events})["metrics"])
    first_only = {
        **halves,
        "periods": halves["periods"].slice(0, 1),
        "match_events": tables.empty("match_events"),
    }
    once = _distances(run(stage, first_only)["metrics"])
    assert set(whole) == set(once)
    for player, distance in once.items():
        # a second at a border has rows of both sides of it
        assert whole[player] == pytest.approx(2 * distance, abs=10), player


def _distances(metrics: pa.Table) -> dict[str, float]:
    rows = metrics.filter((pc.field("name") == "distance") & (pc.field("scope") == "player"))
    return dict(zip(rows["subject"].to_pylist(), rows["value"].to_pylist(), strict=True))


def test_two_files_are_two_halves_with_a_clock_from_end_to_end(tmp_path: Path) -> None:
    """A second of video, and the same second as the second half."""
    video = render_match(tmp_path / "match", seconds=1.0)
    second = video.with_name("second.mp4")
    second.write_bytes(video.read_bytes())
    values = {**QUICK, "match": {"home": {"name": "Reds", "kit": {"shirt": "#d01020"}}}}
    parsed = ProcessingConfiguration.parse({**values, "video_path": [str(video), str(second)]})
    analyze_locally(parsed, tmp_path / "out", Recording(), processes=1)
    frames = pq.read_table(tmp_path / "out" / "frames.parquet")
    assert frames["frame"].to_pylist() == list(range(50))
    assert frames["period"].to_pylist() == [1] * 25 + [2] * 25
    clock = frames["match_clock_s"].to_numpy()
    np.testing.assert_allclose(clock[[0, 24, 25, 49]], [0, 0.96, 2700, 2700.96], atol=1e-6)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["match"]["periods_from"], summary["match"]["teams_from"]) == ("files", "kits")
    assert summary["match"]["teams"]["home"]["name"] == "Reds"
    assert any("Each of the two files" in note for note in summary["notes"])
