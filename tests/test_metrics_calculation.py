"""Distances, speeds, sprints and shares, with their arithmetic."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from application.stage import MatchFacts
from domain import tables
from domain.configuration import MetricsCalculationOptions
from domain.periods import Period
from stages.metrics_calculation import MetricsCalculationStage
from stages.periods import table as periods_table
from tests.match_tables import RATE, ball_table, identities_table, straight, tracks_table
from tests.timeline_runs import assert_cut_invariant, run

FACTS = MatchFacts(1920, 1080, RATE)
NAMES = identities_table(
    [
        (1, "home-1", "home", "player"),
        (2, "home-1", "home", "player"),
        (3, "away-1", "away", "player"),
        (4, "referee-1", "referee", "referee"),
    ]
)
Values = dict[tuple[str, str], dict]


def stage() -> MetricsCalculationStage:
    return MetricsCalculationStage(MetricsCalculationOptions(), FACTS)


def scene(tracks: pa.Table, seconds: float = 10.0) -> dict[str, pa.Table]:
    ball = ball_table(straight([(0, 0, 0), (seconds, 0, 0)]))
    return {"tracks": tracks, "ball": ball, "identities": NAMES}


def metrics(given: dict[str, pa.Table]) -> Values:
    rows = run(stage(), given)["metrics"].to_pylist()
    return {(row["subject"], row["name"]): row for row in rows}


def test_even_run() -> None:
    found = metrics(scene(tracks_table({1: straight([(0, 0, 0), (10, 50, 0)])}, sigma_m=0.1)))
    # 5 m/s for 10 s
    assert found["home-1", "distance"]["value"] == pytest.approx(50, rel=1e-4)
    assert found["home-1", "mean_speed"]["value"] == pytest.approx(5, rel=1e-4)
    assert found["home-1", "max_speed"]["value"] == pytest.approx(5, rel=1e-4)
    assert found["home-1", "high_speed_distance"]["value"] == 0
    assert found["home-1", "sprints"]["value"] == 0
    assert found["home-1", "distance"]["observed_share"] == pytest.approx(1, abs=0.01)
    # 10 seconds, each off by sqrt(2) * 0.1 m, and each lengthened by at most
    # 5 - sqrt(25 - 4 * 0.01) = 0.004 m
    expected = np.hypot(np.sqrt(10 * 2) * 0.1, 10 * 0.004)
    assert found["home-1", "distance"]["uncertainty"] == pytest.approx(expected, rel=0.02)
    # sqrt(2) * 0.1 m in a second
    assert found["home-1", "max_speed"]["uncertainty"] == pytest.approx(0.1414, rel=0.01)


def test_half_time_is_not_counted() -> None:
    """5 m/s for 10 s, of which the periods hold the first 4 and the last 3."""
    given = scene(tracks_table({1: straight([(0, 0, 0), (10, 50, 0)])}))
    known = pa.array(given["ball"]["time_s"].to_numpy() < 5)
    x = pc.if_else(known, given["ball"]["x"], None)
    given["ball"] = given["ball"].set_column(2, given["ball"].schema.field("x"), x)
    halves = [Period(1, 0.0, 4.0), Period(2, 7.0, 11.0)]
    given["periods"] = periods_table(halves, "configuration")
    found = metrics(given)
    assert found["home-1", "distance"]["value"] == pytest.approx(7 * 5, abs=0.3)
    # frames 0 to 99 and 175 to 250: 3.96 s and 3 s
    assert found["match", "duration"]["value"] == pytest.approx(3.96 + 3.0)
    assert found["match", "ball_located"]["value"] == pytest.approx(100 / 176)
    assert found["home-1", "distance"]["observed_share"] == pytest.approx(1, abs=0.01)


def test_sprints_last_a_second_and_are_counted_once_across_seconds() -> None:
    # 8 m/s from 1.3 s to 3.3 s, and again for only half a second from 5 s
    path = [(0, 0, 0), (1.3, 0, 0), (3.3, 16, 0), (5, 16, 0), (5.5, 20, 0), (10, 20, 0)]
    found = metrics(scene(tracks_table({1: straight(path)})))
    assert found["home-1", "sprints"]["value"] == 1
    assert found["home-1", "max_speed"]["value"] == pytest.approx(8, rel=0.01)
    # 16 m and 4 m, but for the first chords of 0.2 s that are still slow
    assert found["home-1", "high_speed_distance"]["value"] == pytest.approx(20, abs=2.5)


def test_measured_speed_is_used_where_the_tracker_gives_it() -> None:
    table = tracks_table({1: straight([(0, 0, 0), (10, 50, 0)])})
    index = table.schema.get_field_index("speed_mps")
    speeds = pa.array(np.full(table.num_rows, 4.0), pa.float32())
    measured = table.set_column(index, table.schema.field("speed_mps"), speeds)
    assert metrics(scene(measured))["home-1", "distance"]["value"] == pytest.approx(40, rel=1e-4)


def test_standing_player_does_not_run_with_the_noise() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.02, (251, 2))
    frame_to_frame = np.linalg.norm(np.diff(noise, axis=0), axis=1).sum()
    found = metrics(scene(tracks_table({1: noise}, sigma_m=0.02)))
    # chords of five frames: a fifth of what the noise adds up to from frame to frame
    assert frame_to_frame > 8
    assert found["home-1", "distance"]["value"] < 0.25 * frame_to_frame


def test_a_jump_no_human_makes_is_not_run() -> None:
    path = straight([(0, 0, 0), (10, 20, 0)])
    path[125:] += 30
    found = metrics(scene(tracks_table({1: path})))
    # 2 m/s for 10 s, less the five frames whose chords cross the jump
    assert found["home-1", "distance"]["value"] == pytest.approx(20 - 5 * 2 / RATE, rel=1e-3)
    assert found["home-1", "max_speed"]["value"] == pytest.approx(2, rel=1e-3)


def test_tracks_of_a_player_add_up_and_the_gap_adds_nothing() -> None:
    paths = {1: straight([(0, 0, 0), (4, 12, 0)]), 2: straight([(0, 20, 0), (2, 26, 0)])}
    frames = {1: np.arange(101), 2: 200 + np.arange(51)}
    found = metrics(scene(tracks_table(paths, frames=frames)))
    # 12 m in 4 s and 6 m in 2 s; seen for 6 of 10 s
    assert found["home-1", "distance"]["value"] == pytest.approx(18, rel=1e-3)
    assert found["home-1", "time_tracked"]["value"] == pytest.approx(6, rel=1e-3)
    assert found["home-1", "distance"]["observed_share"] == pytest.approx(0.6, rel=1e-3)


def test_referees_have_no_metrics_and_unknown_places_no_distance() -> None:
    nowhere = np.full((251, 2), np.nan)
    found = metrics(scene(tracks_table({3: nowhere, 4: straight([(0, 0, 0), (10, 9, 0)])})))
    assert not [subject for subject, _ in found if subject in ("referee-1", "away-1")]
    assert found["home", "length"]["value"] is None
    assert found["match", "duration"]["value"] == pytest.approx(10)


def events_table(rows: list[tuple]) -> pa.Table:
    """Rows of type, start, end, team, outcome and confidence."""
    kind, start, end, team, outcome, confidence = zip(*rows, strict=True)
    count = len(rows)
    nothing = [None] * count
    columns = {
        "event": np.arange(count),
        "type": kind,
        "start_s": start,
        "end_s": end,
        "team": team,
        "outcome": outcome,
        "confidence": confidence,
        "start_frame": np.zeros(count),
        "end_frame": np.zeros(count),
        **dict.fromkeys(("start_x", "start_y", "end_x", "end_y", "player", "receiver"), nothing),
        "evidence": ["drawn"] * count,
        "evidence_frames": [[]] * count,
        "provisional": [False] * count,
    }
    return tables.make("match_events", columns)


def test_possession_and_passes() -> None:
    given = scene(tracks_table({1: straight([(0, 0, 0), (10, 9, 0)])}))
    given["match_events"] = events_table(
        [
            ("possession", 0.0, 1.0, "home", None, 1.0),
            ("pass", 1.0, 2.0, "home", "complete", 0.8),
            ("possession", 2.0, 3.0, "home", None, 1.0),
            ("pass", 3.0, 4.0, "home", "incomplete", 0.5),
            ("possession", 4.0, 5.0, "away", None, 1.0),
            ("possession", 9.0, 10.0, "home", None, 1.0),
        ]
    )
    found = metrics(given)
    # home: 0 to 2, 2 to 4, and the last spell's second: 5 s; away: its second and 3 s more: 4 s
    assert found["home", "possession"]["value"] == pytest.approx(5 / 9)
    assert found["away", "possession"]["value"] == pytest.approx(4 / 9)
    # sqrt(5/9 * 4/9 / 4 spells)
    assert found["home", "possession"]["uncertainty"] == pytest.approx(np.sqrt(20 / 81 / 4))
    assert found["home", "passes"]["value"] == 2
    # sqrt(0.8 * 0.2 + 0.5 * 0.5)
    assert found["home", "passes"]["uncertainty"] == pytest.approx(np.sqrt(0.41), rel=1e-4)
    assert found["home", "pass_completion"]["value"] == 0.5
    assert found["away", "pass_completion"]["value"] is None


def test_length_and_width_of_a_team() -> None:
    # ten players: x from 0 to 36 and y from -18 to 18, in steps of 4
    paths = {
        track: straight([(0, 4 * track, 4 * track - 18), (10, 4 * track, 4 * track - 18)])
        for track in range(10)
    }
    given = scene(tracks_table(paths))
    given["identities"] = identities_table(
        [(track, f"home-{track}", "home", "player") for track in range(10)]
    )
    found = metrics(given)
    assert found["home", "length"]["value"] == pytest.approx(36)
    assert found["home", "width"]["value"] == pytest.approx(36)
    assert found["away", "length"]["value"] is None


@pytest.mark.parametrize("seed", range(5))
def test_cutting_the_input_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time = np.arange(300) / RATE
    paths, frames = {}, {}
    for track in range(1, 5):
        count = int(rng.integers(30, 250))
        frames[track] = np.sort(rng.permutation(300)[:count])
        way = np.cumsum(rng.uniform(0, 10) * (1 + np.sin(time * rng.uniform(0.2, 2)))) / RATE
        paths[track] = np.column_stack([way, np.sin(way)])[frames[track]]
    given = scene(tracks_table(paths, frames=frames, sigma_m=float(rng.uniform(0, 0.5))), 12)
    assert_cut_invariant(stage(), given, seed, cuts=2 + 8 * seed)
