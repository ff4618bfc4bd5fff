"""Events of two sides matched one to one in time."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from evaluation.scores import Counts, finite

TOLERANCES_S: Mapping[str, float] = {"": 1.0, "_0_5s": 0.5, "_2s": 2.0}
"""Suffix of a key, and how far apart two events may be; one second is the plain figure."""

# times are sums of frame durations: a difference of exactly the tolerance still counts
_ROUNDING = 1e-6


def pair_times(
    truth_s: NDArray[np.float64], result_s: NDArray[np.float64], tolerance_s: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The most pairs one to one within the tolerance, and of those the least total difference.

    Returns:
        Indexes into `truth_s` (n,) and `result_s` (m,), equally long.
    """
    return pair_within(np.abs(truth_s[:, None] - result_s[None]), tolerance_s)


def pair_within(
    apart: NDArray[np.float64], limit: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The most pairs one to one that are at most `limit` apart, and of those the nearest.

    Args:
        apart: (n, m) how far each of one side is from each of the other.

    Returns:
        Row and column indexes, equally long.
    """
    allowed = apart <= limit + _ROUNDING
    # one forbidden pair costs more than all allowed ones together
    forbidden = (limit + 1) * (min(apart.shape, default=0) + 1)
    i, j = linear_sum_assignment(np.where(allowed, apart, forbidden))
    kept = allowed[i, j]
    return i[kept], j[kept]


def count_times(
    truth_s: NDArray[np.float64], result_s: NDArray[np.float64], tolerance_s: float
) -> Counts:
    """Hits, false and missed events of one type at times (n,) and (m,) in seconds."""
    hits = len(pair_times(truth_s, result_s, tolerance_s)[0])
    return Counts(hits, len(result_s) - hits, len(truth_s) - hits)


def time_error_s(truth_s: NDArray[np.float64], result_s: NDArray[np.float64]) -> float | None:
    """The mean absolute difference of the pairs within one second, None without a pair."""
    i, j = pair_times(truth_s, result_s, TOLERANCES_S[""])
    return finite(np.abs(truth_s[i] - result_s[j]).mean()) if len(i) else None
