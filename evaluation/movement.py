"""Movement of people that truth and result both show: place, speed, distance, uncertainty.

Distance is the sum of speed over the frames in which a person was found, for truth and result
alike: it tells what the answers add or take away, and not how much of the match was seen.
"""

import numpy as np
from numpy.typing import NDArray

from evaluation.scores import Scores, finite, percentile, root_mean_square, share
from evaluation.tracking import Pairs, People

MIN_DISTANCE_M = 10.0
"""A person who covered less takes no part in the relative error per player."""


def score_movement(
    truth: People, result: People, pairs: Pairs, seconds: NDArray[np.float64]
) -> Scores:
    """Errors of place (metres) and speed, and of distance in percent of truth's.

    Args:
        seconds: (pairs,) how long the frame of each pair lasts.
    """
    place = np.linalg.norm(truth.xy[pairs.truth] - result.xy[pairs.result], axis=1)
    true_speed, speed = truth.speed_mps[pairs.truth], result.speed_mps[pairs.result]
    known = ~np.isnan(true_speed) & ~np.isnan(speed) & ~np.isnan(seconds)
    track = truth.track[pairs.truth][known]
    metres = _distance(track, true_speed[known] * seconds[known])
    answered = _distance(track, speed[known] * seconds[known])
    far = metres >= MIN_DISTANCE_M
    relative = 100 * (answered[far] / metres[far] - 1)
    return {
        "position_error_median_m": percentile(place[~np.isnan(place)], 50),
        "position_rows": int((~np.isnan(place)).sum()),
        "speed_rmse_mps": root_mean_square((speed - true_speed)[known]),
        "speed_rows": int(known.sum()),
        "distance_bias_percent": _bias_percent(metres.sum(), answered.sum()),
        "distance_rmse_percent": root_mean_square(relative),
        "distance_people": len(relative),
        **sigma_coverage(
            "player", truth.xy[pairs.truth], result.xy[pairs.result], result.sigma_m[pairs.result]
        ),
    }


def frame_seconds(
    frames: NDArray[np.int64], times: NDArray[np.float64], at: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How long each frame of `at` lasts: to the next of `frames` (n, ascending); the last as long
    as the one before it. A gap between scored frames is no motion: at most twice the median.
    """
    if len(frames) < 2 or not len(at):
        return np.full(len(at), np.nan)
    steps = np.diff(times)
    steps = np.minimum(np.append(steps, steps[-1]), 2 * np.nanmedian(steps))
    return np.asarray(steps[np.searchsorted(frames, at)])


def _distance(track: NDArray[np.int64], metres: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of `metres` of each track, in the order of their numbers."""
    _, index = np.unique(track, return_inverse=True)
    return np.asarray(np.bincount(index, weights=metres))


def _bias_percent(truth: float, result: float) -> float | None:
    return finite(100 * (result / truth - 1)) if truth > 0 else None


def sigma_coverage(
    name: str,
    truth: NDArray[np.float64],
    result: NDArray[np.float64],
    sigma_m: NDArray[np.float64],
) -> Scores:
    """`..._sigma_coverage`: the share of coordinates within sigma, 0.683 where sigma is right.

    Args:
        truth, result: (n, 2) metres, NaN where unknown.
        sigma_m: (n,) each coordinate's standard deviation.
    """
    error = np.abs(truth - result)
    known = ~np.isnan(error) & ~np.isnan(sigma_m)[:, None]
    # not divided: a sigma of 0 holds an error of 0
    inside = (error <= sigma_m[:, None]) & known
    return {
        f"{name}_sigma_coverage": share(int(inside.sum()), int(known.sum())),
        f"{name}_sigma_coordinates": int(known.sum()),
    }
