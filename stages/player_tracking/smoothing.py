"""From held rows to final ones: gaps bridged, positions and speeds smoothed in metres.

The smoother is a local quadratic in time (Savitzky and Golay, 1964; weights by distance in time as
in Cleveland's LOESS, 1979) that looks half a second ahead and back. Velocity and acceleration have
priors of human size, so that a track's first and last rows do not swing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from application.stage import MatchFacts
from stages.player_tracking.association import FloatArray, IntArray
from stages.player_tracking.reading import project_feet
from stages.player_tracking.state import HeldFrames, HeldRows, take

WINDOW_S = 0.5
SPEED_PRIOR_MPS = 6.0
ACCELERATION_PRIOR_MPS2 = 4.0
GAP_ACCELERATION_MPS2 = 3.0
MAX_SPEED_MPS = 11.0
# a box's error hardly changes from frame to frame: a tenth of a second gives one fresh look
CORRELATION_S = 0.1


@dataclass(frozen=True)
class Smoothed:
    """Positions (n, 2), deviations (n,) and speeds (n,) in metres and seconds; NaN if unknown."""

    place: FloatArray
    sigma_m: FloatArray
    speed_mps: FloatArray


def bridge(rows: HeldRows) -> tuple[HeldRows, FloatArray]:
    """Rows sorted by track and time, gaps bent to where the track was found again.

    A gap's boxes are the motion's prediction (which knows the camera) plus a share of its final
    error that grows with time. Rows after which the track was not found again are left out.

    Returns:
        The rows, and the deviation (n,) in metres that the gap adds to each.
    """
    rows = take(rows, np.lexsort((rows.time_s, rows.track)))
    rows = take(rows, _next_observed(rows) >= 0)
    found = _next_observed(rows)
    gap = ~rows.observed
    since, until = rows.since_s, rows.time_s[found]
    share = np.where(gap, (rows.time_s - since) / np.maximum(until - since, 1e-9), 0.0)
    error = rows.box[found] - rows.predicted[found]
    rows.box = (rows.box + share[:, None] * error).astype(np.float32)
    bend = GAP_ACCELERATION_MPS2 * (rows.time_s - since) * (until - rows.time_s) / 2
    return rows, np.where(gap, bend, 0.0)


def _next_observed(rows: HeldRows) -> IntArray:
    """The row (n,) at which each row's track is next observed, itself included; -1 where never."""
    count = len(rows.track)
    index = np.where(rows.observed, np.arange(count), count)
    following = np.minimum.accumulate(index[::-1])[::-1]
    safe = np.minimum(following, count - 1)
    same = (following < count) & (rows.track[safe] == rows.track)
    return np.where(same, following, -1)


def smooth(
    rows: HeldRows, gap_m: FloatArray, frames: HeldFrames, wanted: IntArray, facts: MatchFacts
) -> Smoothed:
    """Smooth the rows `wanted` (m,) with their track's rows within the window."""
    at = np.searchsorted(frames.frame, rows.frame)
    place, noise_m = project_feet(rows.box.astype(np.float64), frames.camera[at], facts)
    bias = np.nan_to_num(frames.error_m[at]) ** 2 / 2
    fresh = np.clip(frames.elapsed_s[at] / CORRELATION_S, 0.05, 1.0)
    weight = fresh / (noise_m**2 + gap_m**2 + bias + 1e-4)
    weight[~np.isfinite(weight)] = 0.0
    moments = _moments(rows, np.nan_to_num(place), weight, wanted)
    centre, variance, velocity = _solve(*moments)
    known = np.asarray(np.isfinite(place[wanted]).all(axis=1))
    # the calibration's error is the same for many frames: smoothing does not lessen it
    sigma = np.sqrt(variance + bias[wanted] + gap_m[wanted] ** 2)
    speed = np.sqrt((velocity**2).sum(axis=1))
    human = np.less_equal(speed, MAX_SPEED_MPS)
    return Smoothed(
        np.where(known[:, None], centre, np.nan),
        np.where(known, sigma, np.nan),
        np.where(known & human, speed, np.nan),
    )


def _moments(
    rows: HeldRows, place: FloatArray, weight: FloatArray, wanted: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Weighted sums of t^0..t^4 (m, 5), and of t^0..t^2 times x and y (m, 3, 2)."""
    sums, values = np.zeros((len(wanted), 5)), np.zeros((len(wanted), 3, 2))
    for step in _steps(rows, wanted):
        other = np.clip(wanted + step, 0, len(rows.track) - 1)
        t = rows.time_s[other] - rows.time_s[wanted]
        inside = (other == wanted + step) & (rows.track[other] == rows.track[wanted])
        kernel = np.where(inside, np.maximum(1 - np.abs(t / WINDOW_S) ** 3, 0.0) ** 3, 0.0)
        w = kernel * weight[other]
        for power in range(5):
            sums[:, power] += w
            if power < 3:
                values[:, power] += w[:, None] * place[other]
            w = w * t
    return sums, values


def _steps(rows: HeldRows, wanted: IntArray) -> range:
    """How many rows back and ahead any window reaches."""
    reach, count = 0, len(rows.track)
    while len(wanted) and reach < count:
        step = reach + 1
        apart_s = rows.time_s[step:] - rows.time_s[:-step]
        if not (np.equal(rows.track[step:], rows.track[:-step]) & (apart_s < WINDOW_S)).any():
            break
        reach = step
    return range(-reach, reach + 1)


def _solve(sums: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The quadratics' values (m, 2), their variances (m,) and slopes (m, 2) at t = 0."""
    normal = np.empty((len(sums), 3, 3))
    for row in range(3):
        normal[:, row] = sums[:, row : row + 3]
    normal[:, 0, 0] += 1e-12
    normal[:, 1, 1] += SPEED_PRIOR_MPS**-2
    # the third coefficient is half the acceleration
    normal[:, 2, 2] += (ACCELERATION_PRIOR_MPS2 / 2) ** -2
    inverse: FloatArray = np.asarray(np.linalg.inv(normal), np.float64)
    solution = np.asarray((inverse[:, :, :, None] * values[:, None]).sum(axis=2))
    return solution[:, 0], inverse[:, 0, 0], solution[:, 1]


def window(rows: HeldRows, first: int, end: int) -> NDArray[np.int64]:
    """The rows of the frames from `first` up to, not including, `end`."""
    return np.flatnonzero((rows.frame >= first) & (rows.frame < end))
