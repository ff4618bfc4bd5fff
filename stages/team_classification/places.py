"""Where people of each role stand: keepers near a goal, assistants along the touchlines."""

import numpy as np
from numpy.typing import NDArray

from domain.pitch import Pitch

Array = NDArray[np.float64]
# metres: a keeper's usual place and how far he strays from it, the referee's and the assistants'
_KEEPER_BEFORE_GOAL_M, _KEEPER_M = 7.0, (6.0, 6.0)
_REFEREE_M = (22.0, 14.0)
_ASSISTANT_OUTSIDE_M, _ASSISTANT_M = 0.7, 1.2
# the share of each role's time in which any place is as good as another
_ANYWHERE = 0.25


def log_densities(x: Array, y: Array) -> Array:
    """Log-likelihoods (n, 3) of places in metres for each of PERSON_ROLES.

    A player's place is any on the pitch, thinning out beyond its lines. The figures are round
    numbers, not fitted.
    """
    pitch = Pitch()
    half_length, half_width = pitch.length_m / 2, pitch.width_m / 2
    outside = np.hypot(
        np.maximum(np.abs(x) - half_length, 0), np.maximum(np.abs(y) - half_width, 0)
    )
    player = np.exp(-0.5 * (outside / 1.0) ** 2) / (pitch.length_m * pitch.width_m)
    anywhere = np.exp(-0.5 * (outside / 3.0) ** 2) / (pitch.length_m * pitch.width_m)
    own_x = half_length - _KEEPER_BEFORE_GOAL_M
    keeper = _bell(np.abs(x) - own_x, _KEEPER_M[0]) * _bell(y, _KEEPER_M[1]) / 2
    referee = _bell(x, _REFEREE_M[0]) * _bell(y, _REFEREE_M[1])
    line = half_width + _ASSISTANT_OUTSIDE_M
    assistant = _bell(np.abs(y) - line, _ASSISTANT_M) / 2 / pitch.length_m
    officials = (referee + assistant) / 2
    mixed = [(1 - _ANYWHERE) * one + _ANYWHERE * anywhere for one in (player, keeper, officials)]
    return np.log(np.maximum(np.stack(mixed, axis=1), 1e-9))


def _bell(off_m: Array, spread_m: float) -> Array:
    return np.asarray(np.exp(-0.5 * (off_m / spread_m) ** 2) / (spread_m * np.sqrt(2 * np.pi)))
