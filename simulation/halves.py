"""Two halves: the whistle, the walk off, the change of ends and the second kick-off."""

import numpy as np

from domain.periods import Period
from simulation.contacts import end_spell
from simulation.people import PEOPLE, PLAYERS
from simulation.restarts import call
from simulation.schedule import Schedule, side_of
from simulation.state import MatchState

WALK_OFF_MPS = 2.0
# Where they rest: in two rows beside the touchline in front of the main camera.
REST_Y_M, REST_ROW_M, REST_GAP_M = -36.2, 1.5, 1.3


def follow_schedule(state: MatchState, schedule: Schedule) -> None:
    """End the first half, and begin the second one, when it is time."""
    if schedule.half_time_s is None:
        return
    if state.half == 1 and state.time_s >= schedule.half_time_s:
        _whistle(state)
    elif state.resting and state.time_s >= schedule.back_s():
        _come_back(state, schedule.half_time_s + schedule.break_s)
    elif state.half == 2 and len(state.periods) == 1 and _in_place(state):
        sign = state.attack_sign[0]
        state.periods.append(
            Period(2, state.time_s, float(schedule.seconds), state.time_s, side_of(sign))
        )


def _whistle(state: MatchState) -> None:
    """Play stops where it is; what is in flight is nobody's any more."""
    end_spell(state)
    state.carrier, state.in_hands = None, False
    state.flight, state.saving, state.restart = None, None, None
    state.half, state.resting = 2, True


def _come_back(state: MatchState, start_s: float) -> None:
    """Change ends; the side that did not begin the match begins the second half."""
    state.resting = False
    state.attack_sign = (-state.attack_sign[0], -state.attack_sign[1])
    state.restart = call(state, "kick_off", 1 - state.first_kick_off, (0.0, 0.0))
    state.restart.ready_s = start_s


def _in_place(state: MatchState) -> bool:
    return state.restart is not None and state.restart.placed


def rest(state: MatchState) -> None:
    """Everybody walks to the touchline and waits there."""
    home = np.arange(PEOPLE) < PLAYERS // 2
    rank = np.where(home, np.arange(PEOPLE), np.arange(PEOPLE) - PLAYERS // 2)
    column = rank // 2 + 1.5
    x = np.where(home, -column, column) * REST_GAP_M
    x[PLAYERS:] = (np.arange(PEOPLE - PLAYERS) - 1) * 0.8 * REST_GAP_M
    y = REST_Y_M - (rank % 2) * REST_ROW_M
    state.target[:] = np.column_stack([x, y])
    gap = np.linalg.norm(state.target - state.position, axis=1)
    state.pace[:] = np.minimum(0.2 + 0.5 * gap, WALK_OFF_MPS)
