"""What a perfect answer would score against collected events, whose stamps are not perfect.

The answer is made of truth alone: for each collected kick the moment, nearest to its stamp, at
which the tracked ball leaves the collected player's reach. Where the stamp is farther from that
moment than a tolerance, even this answer is no hit; where the ball never was in that player's
reach, there is no moment at all. The nearest moment is the kindest one to the labels.
"""

import numpy as np
from numpy.typing import NDArray

from evaluation.event_matching import TOLERANCES_S, count_times
from evaluation.scores import Scores, percentile

KICKS = (
    "pass",
    "cross",
    "shot",
    "kick_off",
    "throw_in",
    "corner",
    "goal_kick",
    "free_kick",
    "penalty",
)
"""Types that one player begins by playing the ball away."""

REACH_M = 2.0
SEARCH_S = 5.0


def label_ceiling(
    stamped_s: NDArray[np.float64], distances_m: list[NDArray[np.float64]], rate: float
) -> Scores:
    """Scores of the perfect answer to kicks of one type.

    Args:
        stamped_s: (n,) seconds after the first frame, the offset taken off.
        distances_m: for each of the n kicks the player's distance to the ball, (frames,), NaN
            where unknown.
        rate: frames per second.

    Returns:
        `ceiling_f1` within 1 s, `ceiling_f1_0_5s`, `ceiling_f1_2s`, and
        `label_time_error_median_s`, of the stamps against the moments.
    """
    moments = np.array(
        [
            nearest_kick_s(distance, stamp, rate)
            for stamp, distance in zip(stamped_s, distances_m, strict=True)
        ],
        dtype=np.float64,
    )
    known = ~np.isnan(moments)
    # two kicks stamped near one moment: a perfect answer has it once
    answer = np.unique(moments[known])
    error = np.abs(moments - stamped_s)[known]
    return {
        **{
            f"ceiling_f1{suffix}": count_times(stamped_s, answer, limit).f1
            for suffix, limit in TOLERANCES_S.items()
        },
        "label_time_error_median_s": percentile(error, 50),
    }


def nearest_kick_s(distance_m: NDArray[np.float64], stamp_s: float, rate: float) -> float:
    """When the ball leaves a player's reach, of such moments the nearest to a stamp within 5 s.

    Args:
        distance_m: (frames,) from the player to the ball.

    Returns:
        The time of the last frame within reach, in seconds; NaN where there is none.
    """
    near = distance_m <= REACH_M
    leaves = np.flatnonzero(near[:-1] & ~near[1:]) / rate
    if not len(leaves):
        return np.nan
    best = float(leaves[np.abs(leaves - stamp_s).argmin()])
    return best if abs(best - stamp_s) <= SEARCH_S else np.nan
