"""Simulated play over minutes, without pixels: what happens, how often, and the two halves."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from domain.errors import InputError
from simulation import SimulatedMatch, SimulationOptions, simulate, write
from simulation.choices import Kick
from simulation.contacts import kick
from simulation.formations import FORMATIONS
from simulation.kits import draw_kits
from simulation.movement import BRAKING_MPS2
from simulation.officials import stand_ready
from simulation.people import KEEPERS, PEOPLE, PLAYERS, SQUAD, draw_people
from simulation.play import PlayRecord, advance_tick, play
from simulation.restarts import opening
from simulation.schedule import Schedule
from simulation.state import TICK_S, Action, MatchState, new_state

LONG_S = 180.0
SEEDS = (11, 12, 13, 14)


def _played(seed: int, schedule: Schedule, formation: str = "4-3-3") -> PlayRecord:
    rng = np.random.default_rng(seed)
    people = draw_people(rng, draw_kits(rng), (formation, formation))
    return play(people, schedule, rng)


@pytest.fixture(scope="module")
def matches() -> list[PlayRecord]:
    names = list(FORMATIONS)
    return [_played(seed, Schedule(LONG_S), names[seed % len(names)]) for seed in SEEDS]


@pytest.fixture(scope="module")
def halves() -> PlayRecord:
    """20 s, a break of 60 s in which everybody walks off and comes back, and 20 s."""
    return _played(21, Schedule(100.0, half_time_s=20.0, break_s=60.0))


def _tick(time_s: float) -> int:
    return round(time_s / TICK_S)


def test_what_football_is_made_of_happens(matches: list[PlayRecord]) -> None:
    """The counts of 12 minutes; real matches have 0.2 to 18 of each a minute."""
    counts = Counter(action.kind for match in matches for action in match.actions)
    for kind in ("pass", "shot", "tackle", "interception", "foul", "throw_in", "cross"):
        assert counts[kind] >= 1, kind
    assert 12 * 9 < counts["pass"] < 12 * 24
    assert counts["goal"] <= counts["shot"]


def test_a_goal_is_followed_by_the_kick_off_of_the_other_side() -> None:
    """A shot from 12 m past a keeper who stands in a corner of his area."""
    state = _ready(31)
    goal, line = state.goal(0), state.attack_sign[0]
    state.position[KEEPERS[1]] = goal + np.array([-line * 10.0, 15.0])
    state.ball.put(goal[0] - line * 12.0, 0.5)
    kick(state, 9, Kick("shot", None, 0.0 if line > 0 else np.pi, 22.0, 0.05))
    actions = _until(state, "kick_off")
    assert [(a.kind, a.team) for a in actions if a.kind in ("goal", "kick_off")] == [
        ("goal", 0),
        ("kick_off", 1),
    ]
    assert actions[-1].start_xy == (0.0, 0.0)
    assert next(a.outcome for a in actions if a.kind == "shot") == "goal"


def test_a_pass_to_somebody_offside_is_called_when_he_gets_it() -> None:
    """Player 9 waits 3 m behind the last defender, all alone: nobody else gets there first."""
    state = _ready(32)
    line = state.attack_sign[0]
    state.position[SQUAD + 1 : PLAYERS] = state.own(
        0, np.column_stack([[20.0] * 10, range(-20, 20, 4)])
    )
    state.position[KEEPERS[1]] = state.goal(0)
    state.position[9] = [line * 30.0, 25.0]
    state.ball.put(line * 16.0, 25.0)
    kick(state, 8, Kick("pass", 9, 0.0 if line > 0 else np.pi, 12.0))
    actions = _until(state, "free_kick")
    assert next(a.outcome for a in actions if a.kind == "pass") == "offside"
    assert actions[-1].team == 1
    assert actions[-1].start_xy[0] * line > 20.0


def _ready(seed: int) -> MatchState:
    """A match at its beginning, the ball free."""
    rng = np.random.default_rng(seed)
    state = new_state(draw_people(rng, draw_kits(rng), ("4-3-3", "4-4-2")), rng)
    state.restart = opening(state)
    stand_ready(state)
    state.restart = None
    return state


def _until(state: MatchState, kind: str) -> list[Action]:
    """Play on until an action of this kind, for a minute at most."""
    for _ in range(_tick(60.0)):
        advance_tick(state, Schedule(60.0))
        if any(action.kind == kind for action in state.actions):
            return state.actions
    pytest.fail(f"no {kind} within a minute: {[a.kind for a in state.actions]}")


def test_a_foul_is_followed_by_a_free_kick_where_it_was(matches: list[PlayRecord]) -> None:
    for match in matches:
        stops = [a for a in match.actions if a.kind in ("foul", "free_kick")]
        for foul, restart in zip(stops, stops[1:], strict=False):
            if foul.kind == "foul" and restart.kind == "free_kick":
                assert restart.team == 1 - foul.team
                assert np.hypot(*np.subtract(foul.start_xy, restart.start_xy)) < 2.0


def test_a_ball_out_is_brought_back_by_the_other_side(matches: list[PlayRecord]) -> None:
    back = {"throw_in", "corner", "goal_kick"}
    for match in matches:
        stops = [a for a in match.actions if a.kind in back | {"ball_out"}]
        for out, restart in zip(stops, stops[1:], strict=False):
            if out.kind == "ball_out" and restart.kind in back:
                assert restart.team == 1 - out.team, (out, restart)


def test_nobody_runs_like_no_human(matches: list[PlayRecord], halves: PlayRecord) -> None:
    for match in [*matches, halves]:
        velocity = np.diff(match.position, axis=0) / TICK_S
        assert np.linalg.norm(velocity, axis=2).max() < 9.3
        change = np.linalg.norm(np.diff(velocity, axis=0), axis=2) / TICK_S
        assert change.max() < BRAKING_MPS2 + 0.01


def test_the_teams_change_ends_at_half_time(halves: PlayRecord) -> None:
    first, second = halves.periods
    assert (first.start_s, first.end_s) == (0.0, 20.0)
    # everybody had 30 s to come back, so the second half begins when it should
    assert second.start_s == pytest.approx(20.0 + 60.0, abs=0.1)
    assert {first.home_attacks, second.home_attacks} == {"left", "right"}
    before, after = (halves.position[_tick(t), :11, 0].mean() for t in (0.0, second.start_s))
    assert before * after < 0  # home waits in its own half each time
    assert (before > 0) == (first.home_attacks == "left")


def test_the_other_side_kicks_off_the_second_half(halves: PlayRecord) -> None:
    first, second = (a for a in halves.actions if a.kind == "kick_off")
    assert second.team == 1 - first.team
    assert first.start_s < 20.0 < 80.0 < second.start_s < 83.0


def test_nobody_plays_in_the_break(halves: PlayRecord) -> None:
    assert (halves.team[_tick(20.1) : _tick(80.0)] == -1).all()
    assert not [a for a in halves.actions if 20.0 < a.start_s < 80.0]
    resting = halves.position[_tick(49.0)]
    # who was 60 m away is still on his way after 30 s at a stroll
    assert (resting[:, 1] < -34.0).mean() > 0.6  # beside the touchline of the main camera
    gap = np.linalg.norm(resting[:, None] - resting[None], axis=2) + 9.0 * np.eye(PEOPLE)
    assert gap.min() > 0.5


def test_a_short_break_waits_until_everybody_is_in_place() -> None:
    """5 s to the middle of a break of 10 s, 5 s back: not enough for 50 m to the other end."""
    match = _played(22, Schedule(75.0, half_time_s=15.0, break_s=10.0))
    second = match.periods[1]
    assert 25.0 < second.start_s < 60.0
    sign = 1 if second.home_attacks == "right" else -1
    place = match.position[_tick(second.start_s)]
    assert (sign * place[:11, 0] < 0.7).all()
    assert (-sign * place[11:PLAYERS, 0] < 0.7).all()


def test_the_truth_tells_the_periods(tmp_path: Path) -> None:
    options = SimulationOptions(
        seed=950_007, seconds=40.0, fps=10.0, width=320, height=180, half_time_s=10.0, break_s=20.0
    )
    match = simulate(options)
    frames = match.tables["frames"].to_pandas()
    second = match.record.periods[1]
    # 10 s at 10 frames a second; then none until the second half, whose clock starts at 45:00
    assert (frames.period[:100] == 1).all()
    assert frames.match_clock_s[99] == pytest.approx(99 / 10)
    late = frames[frames.time_s >= second.start_s]
    assert (late.period == 2).all()
    assert late.match_clock_s.iloc[0] == pytest.approx(
        2700.0 + late.time_s.iloc[0] - second.start_s
    )
    between = frames[(frames.time_s >= 10.0) & (frames.time_s < second.start_s)]
    assert between.period.isna().all()
    assert between.match_clock_s.isna().all()
    spans = {(row["start_s"], row["end_s"]) for row in match.tables["formations"].to_pylist()}
    assert sorted(spans) == [(0.0, 10.0), (second.start_s, pytest.approx(39.9))]
    periods = _written_periods(match, tmp_path)
    assert [sorted(period) for period in periods] == [
        ["end_s", "home_attacks", "kickoff_s", "start_s"]
    ] * 2


def _written_periods(match: SimulatedMatch, folder: Path) -> list[dict[str, object]]:
    write(match, folder, video=False)
    about = json.loads((folder / "truth.json").read_text())
    periods: list[dict[str, object]] = about["periods"]
    return periods


def test_distances_count_the_halves_alone() -> None:
    options = SimulationOptions(
        seed=950_008, seconds=40.0, fps=10.0, width=320, height=180, half_time_s=10.0, break_s=20.0
    )
    match = simulate(options)
    metrics = match.tables["metrics"]
    distance = metrics.filter(
        (pc.field("name") == "distance") & (pc.field("subject") == match.people[5].name)
    )["value"][0].as_py()
    place = match.motion.position[:, 5]
    steps = np.linalg.norm(np.diff(place, axis=0), axis=1)
    second = round(match.record.periods[1].start_s * 10 + 0.5)
    expected = steps[:99].sum() + steps[second:].sum()
    assert distance == pytest.approx(expected, abs=0.5)
    assert distance < steps.sum() - 20.0  # the walk off and back does not count


@pytest.mark.parametrize(
    ("half_time_s", "break_s", "named"),
    [(39.0, 10.0, "half_time_s"), (0.2, 10.0, "half_time_s"), (10.0, 2.0, "break_s")],
)
def test_bad_halves_are_refused_by_name(half_time_s: float, break_s: float, named: str) -> None:
    with pytest.raises(InputError, match=named):
        SimulationOptions(seed=1, seconds=40.0, half_time_s=half_time_s, break_s=break_s)
