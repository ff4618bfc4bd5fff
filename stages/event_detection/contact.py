"""Who was near the ball, and whether the ball changed its course there.

Everything here looks at a window of time around a frame and at nothing else, so its result does not
depend on where the input is cut.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain import tables

WINDOW_S = 0.2
MAX_HEIGHT_M = 2.5
_NEAREST = 2
_CLOCK_ERROR_S = 1e-6
Array = NDArray[np.float64]

# a row of `approaches`: a player near the ball in one frame, or a frame with nobody near it
NOBODY = -1
FRAME, TIME, BALL_X, BALL_Y, TRACK, DISTANCE, CONFIDENCE = range(7)


def approaches(ball: pa.Table, tracks: pa.Table, radius_m: float) -> Array:
    """The players within `radius_m` of the ball, the two nearest in each frame, as (n, 7).

    A frame with a known ball always has a row (track `NOBODY` where none is near), so that the
    ball's course can be read from the same array. A ball out of reach of a head is near nobody.
    """
    where = _numbers(ball, "frame", "time_s", "x", "y", "z", "sigma_m", "confidence")
    where = where[np.isfinite(where[:, 2]) & np.isfinite(where[:, 3])]
    near = _near(where, _numbers(tracks, "frame", "track", "x", "y", "sigma_m"), radius_m)
    lonely = where[~np.isin(where[:, 0], near[:, FRAME]), :4]
    count = len(lonely)
    alone = np.column_stack([lonely, np.full(count, float(NOBODY)), np.zeros((count, 2))])
    rows = np.vstack([alone, near])
    return rows[np.argsort(rows[:, FRAME], kind="stable")]


def _near(where: Array, who: Array, radius_m: float) -> Array:
    at = np.searchsorted(where[:, 0], who[:, 0])
    who, at = who[at < len(where)], at[at < len(where)]
    ball = where[at]
    distance = np.sqrt((who[:, 2] - ball[:, 2]) ** 2 + (who[:, 3] - ball[:, 3]) ** 2)
    low = ~(ball[:, 4] > MAX_HEIGHT_M)
    keep = (ball[:, 0] == who[:, 0]) & (distance <= radius_m) & low
    who, ball, distance = who[keep], ball[keep], distance[keep]
    variance = np.nan_to_num(who[:, 4]) ** 2 + np.nan_to_num(ball[:, 5]) ** 2
    closeness = 1 - 0.5 * (distance / radius_m) ** 2
    confidence = ball[:, 6] * closeness * radius_m**2 / (radius_m**2 + variance)
    rows = np.column_stack([ball[:, :4], who[:, 1], distance, confidence])
    rows = rows[np.lexsort((rows[:, TRACK], rows[:, DISTANCE], rows[:, FRAME]))]
    return np.asarray(rows[_rank(rows[:, FRAME]) < _NEAREST])


def _rank(groups: Array) -> NDArray[np.int64]:
    """The place of each element among its equals in a sorted array."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1.0))
    sizes = np.diff(starts, append=len(groups))
    return np.arange(len(groups)) - np.repeat(starts, sizes)


def touches(rows: Array, chosen: NDArray[np.bool_]) -> pa.Table:
    """The table `touches` of the chosen rows of `approaches`.

    Of every chosen row's frame, the rows within `WINDOW_S` must be there, before and after.
    """
    speed, turn = _course(rows)
    chosen = chosen & (rows[:, TRACK] != NOBODY)
    rows = rows[chosen]
    columns = {
        "frame": rows[:, FRAME].astype(np.int64),
        "time_s": rows[:, TIME],
        "track": rows[:, TRACK].astype(np.int64),
        "distance_m": rows[:, DISTANCE],
        "ball_x": rows[:, BALL_X],
        "ball_y": rows[:, BALL_Y],
        "ball_speed_mps": speed[chosen],
        "turn_mps": turn[chosen],
        "confidence": rows[:, CONFIDENCE],
    }
    return tables.make("touches", columns)


def _course(rows: Array) -> tuple[Array, Array]:
    """For each row the ball's speed after it and the change of its velocity there, both in m/s.

    Velocities are means over `WINDOW_S` before and after the frame: the contact test of
    Vidal-Codina et al. (2022), "Automatic event detection in football using tracking data".
    Where one of them is not known the change is zero: no evidence.
    """
    new_frame = np.diff(rows[:, FRAME], prepend=-1.0) != 0
    ball = rows[new_frame]
    time, here = ball[:, TIME], np.arange(len(ball))
    before = np.searchsorted(time, time - WINDOW_S - _CLOCK_ERROR_S)
    after = np.searchsorted(time, time + WINDOW_S + _CLOCK_ERROR_S) - 1
    incoming, outgoing = _velocity(ball, before, here), _velocity(ball, here, after)
    speed = _length(np.where(np.isfinite(outgoing), outgoing, incoming))
    turn = _length(outgoing - incoming)
    of_row = np.cumsum(new_frame) - 1
    return speed[of_row], turn[of_row]


def _velocity(ball: Array, start: NDArray[np.int64], end: NDArray[np.int64]) -> Array:
    lasted = ball[end, TIME] - ball[start, TIME]
    lasted[lasted < WINDOW_S / 4] = np.nan
    moved = ball[end, BALL_X : BALL_Y + 1] - ball[start, BALL_X : BALL_Y + 1]
    return np.asarray(moved / lasted[:, None])


def _length(xy: Array) -> Array:
    return np.asarray(np.sqrt(np.nan_to_num(xy[:, 0]) ** 2 + np.nan_to_num(xy[:, 1]) ** 2))


def ready(rows: Array, until_s: float) -> NDArray[np.bool_]:
    """Which rows' window after them ends before `until_s`, the time of the newest frame."""
    return np.asarray(rows[:, TIME] + WINDOW_S + 2 * _CLOCK_ERROR_S < until_s)


def still_needed(rows: Array, done: NDArray[np.bool_]) -> Array:
    """The rows that are not done, and those in the window before them."""
    if done.all():
        newest = rows[-1:, TIME]
        return rows[rows[:, TIME] > newest - WINDOW_S - 2 * _CLOCK_ERROR_S] if len(rows) else rows
    first = rows[~done, TIME].min()
    return np.asarray(rows[rows[:, TIME] >= first - WINDOW_S - 2 * _CLOCK_ERROR_S])


def _numbers(table: pa.Table, *names: str) -> Array:
    """Columns as one float array (n, len(names)); null becomes NaN."""
    columns = [np.asarray(table[name].to_numpy(), dtype=np.float64) for name in names]
    return np.column_stack(columns)
