"""Where a team's players stand relative to one another, though never all of them are seen."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ROUNDS = 30


def offsets(second: NDArray[np.int64], player: NDArray[np.int64], xy: Array) -> Array:
    """Each player's mean place relative to the team's centre, (players, 2).

    Args:
        second: (n,) moment of each position, numbered from 0 without gaps.
        player: (n,) who, numbered from 0 without gaps.
        xy: (n, 2) positions in metres.

    A position is the team's centre at that moment plus the player's offset plus chance. Both are
    found together by least squares (means by turns), so that the centre does not jump to the
    players who happen to be in the picture. The offsets' mean is zero.
    """
    if not len(xy):
        return np.empty((0, 2))
    found = np.zeros((int(player.max()) + 1, 2))
    for _ in range(_ROUNDS):
        centre = _means(xy - found[player], second)
        found = _means(xy - centre[second], player)
        found -= found.mean(axis=0)
    return found


def _means(values: Array, group: NDArray[np.int64]) -> Array:
    count = np.bincount(group)
    sums = np.column_stack([np.bincount(group, column) for column in values.T])
    return np.asarray(sums / np.maximum(count, 1)[:, None])
