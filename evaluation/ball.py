"""The ball: how often it is placed within a distance of where it is."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.match_tables import column, columns
from evaluation.scores import Counts, Scores, percentile, share

DISTANCES_M = (1, 2)


@dataclass(frozen=True)
class Ball:
    """The ball in each scored frame; NaN where it is absent or its place is not known.

    Attributes:
        xy: (n, 2) metres.
        z, sigma_m: (n,) metres.
    """

    xy: NDArray[np.float64]
    z: NDArray[np.float64]
    sigma_m: NDArray[np.float64]

    @property
    def placed(self) -> NDArray[np.bool_]:
        return np.asarray(~np.isnan(self.xy).any(axis=1))


def ball_in(table: pa.Table, frames: NDArray[np.int64]) -> Ball:
    """The rows of a ball table at `frames` (n, ascending); a frame without a row has no ball."""
    values = np.full((len(frames), 4), np.nan)
    seen = column(table, "status") != "absent"
    rows = np.flatnonzero(seen & np.isin(column(table, "frame"), frames))
    place = np.searchsorted(frames, column(table, "frame")[rows])
    values[place] = columns(table, "x", "y", "z", "sigma_m")[rows]
    return Ball(xy=values[:, :2], z=values[:, 2], sigma_m=values[:, 3])


def score_ball(truth: Ball, result: Ball) -> Scores:
    """Precision, recall and F1 at 1 m and 2 m on the ground, and how far off the answers are.

    An answer farther off than the distance is both false and a miss; an answer where truth has no
    ball is false.
    """
    both = truth.placed & result.placed
    distance = np.linalg.norm(truth.xy - result.xy, axis=1)[both]
    height = np.abs(truth.z - result.z)[both]
    scores: Scores = {}
    for limit in DISTANCES_M:
        scores |= _within(limit, distance, int(truth.placed.sum()), int(result.placed.sum()))
    return {
        **scores,
        "ball_frames": int(truth.placed.sum()),
        "ball_answered_frames": int(both.sum()),
        "ball_answered_share": share(int(both.sum()), int(truth.placed.sum())),
        "ball_error_median_m": percentile(distance, 50),
        "ball_height_error_median_m": percentile(height[~np.isnan(height)], 50),
        "ball_height_frames": int((~np.isnan(height)).sum()),
    }


def _within(limit: int, distance: NDArray[np.float64], present: int, answered: int) -> Scores:
    hits = int((distance <= limit).sum())
    counts = Counts(hits, answered - hits, present - hits)
    return {
        f"ball_precision_{limit}m": counts.precision,
        f"ball_recall_{limit}m": counts.recall,
        f"ball_f1_{limit}m": counts.f1,
    }
