"""Touches, possession, passes, shots and outs, on drawn scenes and on real tracking."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.optimize import linear_sum_assignment

from application.stage import MatchFacts
from domain.configuration import EventDetectionOptions
from domain.periods import Period
from domain.pitch import Pitch
from stages.event_detection import EventDetectionStage
from stages.periods import table as periods_table
from tests.match_tables import (
    TRACKING,
    ball_table,
    identities_table,
    real_tracking,
    straight,
    tracks_table,
)
from tests.timeline_runs import assert_cut_invariant, run

FACTS = MatchFacts(1920, 1080, 25.0)
NAMES = identities_table(
    [
        (1, "home-1", "home", "player"),
        (2, "home-2", "home", "player"),
        (3, "away-1", "away", "player"),
        (4, "away-2", "away", "goalkeeper"),
        (5, "referee-1", "referee", "referee"),
    ]
)


def stage(facts: MatchFacts = FACTS) -> EventDetectionStage:
    return EventDetectionStage(EventDetectionOptions(), facts)


def still(x: float, y: float, seconds: float = 4.0) -> np.ndarray:
    return straight([(0, x, y), (seconds, x, y)])


def scene(ball: np.ndarray, people: dict[int, np.ndarray]) -> dict[str, pa.Table]:
    return {"ball": ball_table(ball), "tracks": tracks_table(people), "identities": NAMES}


def events(given: dict[str, pa.Table], kind: str) -> list[dict]:
    rows = run(stage(), given)["match_events"].to_pylist()
    return [row for row in rows if row["type"] == kind]


# 20 m in 1.5 s, 13 m/s, from a player at the centre spot; he holds it one second first
PASS = straight([(0, 0, 0), (1, 0, 0), (2.5, 20, 0), (4, 20, 0)])


def test_pass_to_a_team_mate_is_complete() -> None:
    given = scene(PASS, {1: still(0, 0.5), 2: still(20, 0.5), 3: still(10, 8)})
    [found] = events(given, "pass")
    assert (found["player"], found["receiver"]) == ("home-1", "home-2")
    assert (found["outcome"], found["team"]) == ("complete", "home")
    # the velocity changes at 1 s and at 2.5 s
    assert found["start_s"] == pytest.approx(1.0, abs=0.1)
    assert found["end_s"] == pytest.approx(2.5, abs=0.1)
    assert found["end_x"] - found["start_x"] == pytest.approx(20, abs=2)
    assert found["evidence_frames"] == [found["start_frame"], found["end_frame"]]
    assert not found["provisional"]


def within(given: dict[str, pa.Table], *periods: Period) -> list[dict]:
    """The events where the match has these periods."""
    rows = periods_table(periods, "configuration")
    return run(stage(), {**given, "periods": rows})["match_events"].to_pylist()


def test_nothing_outside_the_periods_is_an_event() -> None:
    """The pass begins at 1 s and ends at 2.5 s; the second player has the ball until 4 s."""
    given = scene(PASS, {1: still(0, 0.5), 2: still(20, 0.5)})
    kinds = [
        {(row["type"], row["player"]) for row in within(given, *periods)}
        for periods in (
            [Period(1, 0.0, 4.0)],
            [Period(1, 2.0, 4.0)],
            [Period(1, 0.0, 2.0), Period(2, 2.0, 4.0)],
            [Period(1, 10.0, 20.0)],
        )
    ]
    had = {("possession", "home-1"), ("possession", "home-2")}
    assert kinds == [
        had | {("pass", "home-1")},
        {("possession", "home-2")},
        had,  # a ball played before half-time does not arrive after it
        set(),
    ]


def test_the_periods_direction_tells_whose_goal_a_shot_is_at() -> None:
    """A ball of 25 m/s from x = 35 that goes out beside the right goal."""
    ball = straight([(0, 35, 3), (1, 35, 3), (2, 60, 6), (4, 60, 6)])
    given = scene(ball, {1: still(35, 2.5)})
    for side, found in (("right", ["shot"]), ("left", [])):
        rows = within(given, Period(1, 0.0, 5.0, None, side))
        assert [row["type"] for row in rows if row["type"] == "shot"] == found


def test_pass_to_an_opponent_is_incomplete() -> None:
    [found] = events(scene(PASS, {1: still(0, 0.5), 3: still(20, 0.5)}), "pass")
    assert (found["outcome"], found["receiver"]) == ("incomplete", None)


def test_ball_that_rolls_past_a_player_is_not_his() -> None:
    given = scene(PASS, {1: still(0, 0.5), 2: still(20, 0.5), 3: still(10, 1)})
    assert {row["player"] for row in events(given, "possession")} == {"home-1", "home-2"}


def test_referee_beside_the_ball_does_not_hide_the_player() -> None:
    people = {1: still(0, 1.0), 2: still(20, 0.5), 5: still(0, 0.2)}
    [found] = events(scene(PASS, people), "pass")
    assert found["player"] == "home-1"


def test_ball_over_the_heads_is_nobodys() -> None:
    high = np.column_stack([PASS, np.full(len(PASS), 3.0)])
    assert run(stage(), scene(high, {1: still(0, 0.5), 2: still(20, 0.5)}))["touches"].num_rows == 0


def test_without_places_on_the_pitch_there_are_no_events() -> None:
    nowhere = np.full((100, 2), np.nan)
    found = run(stage(), scene(nowhere, {1: nowhere, 2: nowhere}))
    assert found["touches"].num_rows == found["match_events"].num_rows == 0


def test_without_identities_each_track_is_a_player_of_no_team() -> None:
    given = scene(PASS, {1: still(0, 0.5), 2: still(20, 0.5)})
    del given["identities"]
    [found] = events(given, "pass")
    assert (found["player"], found["team"], found["outcome"]) == ("track-1", "unknown", None)


def test_ball_over_the_touchline_is_out_where_it_crossed() -> None:
    # from y = 30 at 1 s to y = 40 at 2 s while x goes from 0 to 10: it crosses y = 34 at x = 4
    ball = straight([(0, 0, 30), (1, 0, 30), (2, 10, 40), (4, 10, 40)])
    given = scene(ball, {1: still(0, 29.5)})
    [out] = events(given, "ball_out")
    assert (out["start_x"], out["start_y"]) == pytest.approx((4, 34), abs=0.01)
    # it is beyond 34.2 m from 1.42 s on; the first frame after that is 36, at 1.44 s
    assert out["start_frame"] == 36
    assert (out["player"], out["team"]) == ("home-1", "home")
    [lost] = events(given, "pass")
    assert (lost["outcome"], lost["evidence"]) == ("incomplete", "out_after_kick")


# 15 m to the goal line in 0.75 s: 20 m/s
SHOT = [(0, 37.5, 0), (1, 37.5, 0), (1.75, 52.5, 0)]


@pytest.mark.parametrize(
    ("end", "outcome", "kind"),
    [((2.0, 57.5, 0), "goal", "goal"), ((2.0, 57.5, 8), "off_target", "ball_out")],
    ids=["between the posts", "beside them"],
)
def test_shot_that_leaves_the_pitch(
    end: tuple[float, float, float], outcome: str, kind: str
) -> None:
    over_line = (1.75, 52.5, end[2] * 15 / 20)
    ball = straight([*SHOT[:2], over_line, end, (4, *end[1:])])
    given = scene(ball, {1: still(37, 0), 4: still(-50, 0)})
    [shot] = events(given, "shot")
    assert (shot["player"], shot["outcome"]) == ("home-1", outcome)
    assert len(events(given, kind)) == 1
    assert not events(given, "pass")


def test_shot_into_the_keepers_arms_is_saved() -> None:
    ball = straight([*SHOT[:2], (1.7, 51.5, 0), (4, 51.5, 0)])
    [shot] = events(scene(ball, {1: still(37, 0), 4: still(52, 0)}), "shot")
    assert shot["outcome"] == "saved"


@pytest.mark.parametrize(("keeper_x", "shots"), [(-45, 1), (45, 0)])
def test_team_shoots_away_from_its_own_keeper(keeper_x: float, shots: int) -> None:
    # his keeper plays the ball to him from one end or the other; then he sends it beside the
    # right goal, past the keeper 3.5 m away if that is his place
    way = [(0, keeper_x, 5), (1, keeper_x, 5), (4, 37.5, 0), (5, 37.5, 0)]
    ball = straight([*way, (5.75, 52.5, 5), (7, 77.5, 13)])
    given = scene(ball, {3: still(37, 0, 7), 4: still(keeper_x, 5.5, 7)})
    assert len(events(given, "shot")) == shots


def drawn_match(seed: int, frames: int = 400) -> dict[str, pa.Table]:
    """Players on smooth random ways and a ball that runs from one to another, with gaps."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames) / 25
    people = {
        track: np.column_stack(
            [
                rng.uniform(-30, 30) + 8 * np.sin(time * rng.uniform(0.1, 0.4) + rng.uniform(0, 6))
                for _ in "xy"
            ]
        )
        for track in range(1, 6)
    }
    turns = np.linspace(0, frames - 1, 12).astype(int)
    at = np.array([people[int(rng.integers(1, 6))][turn] for turn in turns])
    ball = np.column_stack([np.interp(np.arange(frames), turns, axis) for axis in at.T])
    gone = int(rng.integers(0, frames - 20))
    ball[gone : gone + 15] = np.nan
    return scene(ball, people)


@pytest.mark.parametrize("seed", range(6))
def test_cutting_the_input_changes_nothing(seed: int) -> None:
    given = drawn_match(seed)
    assert run(stage(), given)["match_events"].num_rows > 5
    assert_cut_invariant(stage(), given, seed, cuts=1 + 9 * seed)


def opta_passes(real_data: Path) -> list[tuple[float, str]]:
    """Stamped time in seconds since the tracking began, and the passer."""
    folder = real_data / TRACKING
    players: dict[str, str] = {}
    for team in ("home", "away"):
        listed = pq.read_table(folder / f"{team}_players.parquet")
        numbers = listed["shirt_num"].to_pylist()
        players |= dict(
            zip(listed["id"].to_pylist(), (f"{team}_{n}" for n in numbers), strict=True)
        )
    passes = pq.read_table(folder / "pass_events.parquet")
    begin = datetime(1980, 1, 1, 15, tzinfo=UTC)
    times = [(stamp - begin).total_seconds() for stamp in passes["datetime"].to_pylist()]
    return list(zip(times, [players[one] for one in passes["player_id"].to_pylist()], strict=True))


def clock_offset(passes: list[tuple[float, str]], given: dict[str, pa.Table]) -> float:
    """The one shift of the stamps that brings passers nearest to the ball: truth alone."""
    ball = np.column_stack([given["ball"]["x"].to_numpy(), given["ball"]["y"].to_numpy()])
    where: dict[str, np.ndarray] = {}
    track = given["tracks"]["track"].to_numpy()
    for row in given["identities"].to_pylist():
        mine = given["tracks"].filter(pa.array(track == row["track"]))
        path = np.full_like(ball, np.nan)
        path[mine["frame"].to_numpy()] = np.column_stack([mine["x"], mine["y"]])
        where[row["player"]] = path

    def miss(offset: float) -> float:
        frames = [round((time + offset) * 25) for time, _ in passes]
        inside = [
            np.linalg.norm(ball[frame] - where[player][frame])
            for frame, (_, player) in zip(frames, passes, strict=True)
            if 0 <= frame < len(ball)
        ]
        return float(np.median(inside)) if len(inside) > 0.8 * len(passes) else np.inf

    return min(np.arange(-6, 6, 0.04).tolist(), key=miss)


@pytest.mark.real
def test_passes_of_a_real_match(real_data: Path) -> None:
    given, metadata = real_tracking(real_data)
    pitch = Pitch(*metadata["pitch_dimensions"])
    found = run(stage(MatchFacts(1920, 1080, 25.0, pitch)), given)["match_events"].to_pylist()
    found_s = np.array([row["start_s"] for row in found if row["type"] == "pass"])
    passes = opta_passes(real_data)
    offset = clock_offset(passes, given)
    assert offset == pytest.approx(-3, abs=0.7)
    true_s = np.array([time + offset for time, _ in passes if 0 <= time + offset <= 180])
    apart = np.abs(true_s[:, None] - found_s[None])
    rows, columns = linear_sum_assignment(np.where(apart <= 1, apart, 1e6))
    hits = int((apart[rows, columns] <= 1).sum())
    # measured: 35 of 37 found among 43 answers, F1 = 2 * 35 / (37 + 43) = 0.875
    assert 2 * hits / (len(true_s) + len(found_s)) >= 0.8
