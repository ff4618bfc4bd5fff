"""The keeper at a shot: where he dives, what he reaches, and whether he holds it."""

import math

import numpy as np

from domain.pitch import GOAL_HEIGHT_M, GOAL_WIDTH_M
from simulation.contacts import GESTURE_DIVE, gain, save
from simulation.people import KEEPERS
from simulation.state import Flight, MatchState

DIVE_REACH_M = 2.8
REACTION_S = 0.18
# Chance of a save in the middle, and what is lost of it at the end of his reach.
SAVE_CHANCE, SAVE_LOSS = 0.97, 0.2
CATCH_CHANCE = 0.65  # of a shot straight at him
PAST_THE_POST = 0.75  # share of parried balls that go behind for a corner


def try_save(state: MatchState) -> bool:
    """The keeper at a shot: within his reach he catches it or turns it away."""
    if state.saving is None or state.flight is None or not _goes_in(*state.saving[:2]):
        return False
    keeper = KEEPERS[1 - state.team_of(state.flight.kicker)]
    gap = state.position[keeper] - state.ball.xy
    if abs(gap[0]) > 0.75:
        return False
    state.flight.tried_s.setdefault(keeper, -100.0)
    if state.flight.tried_s[keeper] > 0:
        return False
    state.flight.tried_s[keeper] = state.time_s
    reach = math.hypot(gap[1], max(state.ball.z - 1.2, 0.0))
    if (
        reach > DIVE_REACH_M
        or state.rng.random() > SAVE_CHANCE - SAVE_LOSS * (reach / DIVE_REACH_M) ** 2
    ):
        return False
    _catch_or_parry(state, keeper, reach)
    return True


def _goes_in(y: float, z: float) -> bool:
    """Whether a shot that crosses the line there needs a save; a keeper lets others pass."""
    return abs(y) < GOAL_WIDTH_M / 2 + 0.25 and z < GOAL_HEIGHT_M + 0.2


def _catch_or_parry(state: MatchState, keeper: int, reach: float) -> None:
    ball, rng = state.ball, state.rng
    if reach < 0.9 and rng.random() < CATCH_CHANCE:
        gain(state, keeper)
        return
    save(state, keeper)
    ball.kick(
        _parried_to(state, keeper), float(rng.uniform(6.0, 10.0)), float(rng.uniform(0.1, 0.4))
    )
    state.last_touch = keeper
    state.path_s = -100.0
    state.flight = Flight("loose", keeper, None, state.time_s, state.ball_point())
    state.flight.tried_s[keeper] = state.time_s


def _parried_to(state: MatchState, keeper: int) -> float:
    """The direction of a ball turned away: often past the post, else out to the side."""
    ball, rng = state.ball, state.rng
    side = math.copysign(1.0, ball.y - state.position[keeper, 1])
    line = math.copysign(state.pitch.half_length_m, ball.x)
    if rng.random() < PAST_THE_POST:
        beside = side * (GOAL_WIDTH_M / 2 + rng.uniform(1.0, 5.0))
        return math.atan2(beside - ball.y, line + math.copysign(0.8, line) - ball.x)
    turn = side * rng.uniform(0.7, 1.5)
    return math.atan2(math.sin(turn), -math.copysign(1.0, line) * math.cos(turn))


def dive(state: MatchState) -> None:
    """Move a keeper towards the place where a shot will cross, and lean him into his dive."""
    if state.saving is None or state.flight is None:
        return
    keeper = KEEPERS[1 - state.team_of(state.flight.kicker)]
    y, z, crossing_s = state.saving
    if state.time_s < state.flight.start_s + REACTION_S:
        return
    state.target[keeper, 1] = np.clip(y, -GOAL_WIDTH_M / 2 - 0.5, GOAL_WIDTH_M / 2 + 0.5)
    state.target[keeper, 0] = state.position[keeper, 0]
    state.pace[keeper] = 7.0
    wide = abs(y) < GOAL_WIDTH_M / 2 + 0.8 and z < GOAL_HEIGHT_M + 0.5
    gap = y - state.position[keeper, 1]
    if wide and crossing_s - state.time_s < 0.4 and abs(gap) > 0.7:
        state.gesture[keeper] = GESTURE_DIVE
        facing = math.cos(state.heading[keeper])
        state.lean[keeper] += np.clip(
            math.copysign(1.25, gap * facing) - state.lean[keeper], -0.09, 0.09
        )
