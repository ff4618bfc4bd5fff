"""The referee and his assistants."""

import numpy as np

from simulation.people import ASSISTANTS, REFEREE
from simulation.state import MatchState

DISTANCE_M = 13.0
ASSISTANT_Y_M = 0.9  # outside the touchline


def stand_ready(state: MatchState) -> None:
    """Where the officials wait for the kick-off."""
    state.position[REFEREE] = [-4.0, 9.0]
    for assistant, sign in zip(ASSISTANTS, (-1, 1), strict=True):
        state.position[assistant] = [sign * 14.0, sign * (34.0 + ASSISTANT_Y_M)]
    state.target[REFEREE:] = state.position[REFEREE:]


def place_officials(state: MatchState) -> None:
    """Targets: the referee follows play off its diagonal, the assistants the offside lines."""
    ball = state.perceived_ball
    diagonal = np.array([0.72 * ball[0], 0.45 * ball[1] + 0.22 * ball[0]])
    away = diagonal - ball
    distance = max(float(np.linalg.norm(away)), 0.5)
    target = ball + away / distance * max(distance, DISTANCE_M)
    state.target[REFEREE] = np.clip(target, [-46.0, -29.0], [46.0, 29.0])
    gap = float(np.linalg.norm(state.target[REFEREE] - state.position[REFEREE]))
    state.pace[REFEREE] = np.clip(0.5 * (gap - 1.0), 0.2, 6.3)
    for assistant, sign in zip(ASSISTANTS, (-1, 1), strict=True):
        _follow_line(state, assistant, sign)


def _follow_line(state: MatchState, assistant: int, end: int) -> None:
    """Keep level with the last defender but one of the half that ends at x = 52.5 `end`."""
    attacking = 0 if state.attack_sign[0] == end else 1
    line = state.offside_line(attacking)
    y = state.position[assistant, 1]
    state.target[assistant] = [end * min(line, 52.5), np.sign(y) * (34.0 + ASSISTANT_Y_M)]
    gap = abs(float(state.target[assistant, 0] - state.position[assistant, 0]))
    state.pace[assistant] = np.clip(1.1 * (gap - 0.3), 0.1, 6.3)
