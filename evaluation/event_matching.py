"""Events of two sides matched one to one in time."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from evaluation.scores import Counts, Scores, finite

TOLERANCES_S: Mapping[str, float] = {"": 1.0, "_0_5s": 0.5, "_2s": 2.0}
"""Suffix of a key, and how far apart two events may be; one second is the plain figure."""

# times are sums of frame durations: a difference of exactly the tolerance still counts
_ROUNDING_S = 1e-6


def pair_times(
    truth_s: NDArray[np.float64], result_s: NDArray[np.float64], tolerance_s: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The most pairs one to one within the tolerance, and of those the least total difference.

    Returns:
        Indexes into `truth_s` (n,) and `result_s` (m,), equally long.
    """
    apart = np.abs(truth_s[:, None] - result_s[None])
    allowed = apart <= tolerance_s + _ROUNDING_S
    # one forbidden pair costs more than all allowed ones together
    forbidden = (tolerance_s + 1) * (min(apart.shape, default=0) + 1)
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


def score_types(
    truth: Mapping[str, NDArray[np.float64]], result: Mapping[str, NDArray[np.float64]]
) -> Scores:
    """`event_f1` {type: value} within 1 s, the same within 0.5 s and 2 s, and the time error.

    Every type that either side has is scored: one that truth never has is 0.
    """
    none = np.zeros(0)
    types = sorted({*truth, *result})
    sides = {kind: (truth.get(kind, none), result.get(kind, none)) for kind in types}
    scores: Scores = {
        f"event_f1{suffix}": {kind: count_times(*sides[kind], tol).f1 for kind in types}
        for suffix, tol in TOLERANCES_S.items()
    }
    scores["event_time_error_s"] = {kind: time_error_s(*sides[kind]) for kind in types}
    scores["event_counts"] = {kind: len(sides[kind][0]) for kind in types}
    return scores
