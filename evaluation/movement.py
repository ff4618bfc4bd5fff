"""Movement of people that truth and result both show: place, speed, distance, uncertainty.

Distance is the sum of speed over the frames in which a person was found, for truth and result
alike: it tells what the answers add or take away, and not how much of the match was seen.
"""

import numpy as np
from numpy.typing import NDArray

from evaluation.ball import Ball
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
        "speed_rmse_mps": root_mean_square((speed - true_speed)[known]),
        "distance_bias_percent": _bias_percent(metres.sum(), answered.sum()),
        "distance_rmse_percent": root_mean_square(relative),
        "player_sigma_coverage": _coverage(
            truth.xy[pairs.truth], result.xy[pairs.result], result.sigma_m[pairs.result]
        ),
    }


def ball_sigma_coverage(truth: Ball, result: Ball) -> float | None:
    """Share of the ball's coordinates within one sigma of truth: 0.683 where sigma is right."""
    return _coverage(truth.xy, result.xy, result.sigma_m)


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


def _coverage(
    truth: NDArray[np.float64], result: NDArray[np.float64], sigma_m: NDArray[np.float64]
) -> float | None:
    """Share of coordinates within sigma, which is each coordinate's standard deviation."""
    error = np.abs(truth - result)
    known = ~np.isnan(error) & ~np.isnan(sigma_m)[:, None]
    # not divided: a sigma of 0 holds an error of 0
    return share(int(((error <= sigma_m[:, None]) & known).sum()), int(known.sum()))
