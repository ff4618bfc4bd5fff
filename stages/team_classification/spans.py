"""Where each track begins and ends: time, place and velocity, read part by part."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Array = NDArray[np.float64]
VELOCITY_S = 0.5
_FRAME, _TIME, _TRACK, _X, _Y = range(5)


@dataclass(frozen=True)
class Spans:
    """By track: time, x, y, vx, vy at its beginning and at its end; places may be NaN.

    Velocities are means over `VELOCITY_S`, zero for a shorter track.
    """

    start: dict[int, Array]
    end: dict[int, Array]


def read(parts: Iterable[pa.Table]) -> Spans:
    """The spans of all tracks. How the rows are divided into parts does not matter."""
    first: dict[int, Array] = {}
    head: dict[int, Array] = {}
    end: dict[int, Array] = {}
    tail = np.empty((0, 5))
    for part in parts:
        rows = np.vstack([tail, _numbers(part)])
        rows = rows[np.lexsort((rows[:, _FRAME], rows[:, _TRACK]))]
        for of_track in _groups(rows):
            track = int(of_track[0, _TRACK])
            begun = first.setdefault(track, of_track[0])
            young = of_track[of_track[:, _TIME] <= begun[_TIME] + VELOCITY_S]
            if len(young):
                head[track] = young[-1]
            last = of_track[-1]
            # of a track that ended before this part only the last rows are still here
            if track not in end or last[_TIME] > end[track][0]:
                recent = of_track[of_track[:, _TIME] >= last[_TIME] - VELOCITY_S]
                end[track] = _moving(last, recent[0], last)
        if len(rows):
            tail = rows[rows[:, _TIME] >= rows[:, _TIME].max() - VELOCITY_S]
    start = {track: _moving(row, row, head[track]) for track, row in first.items()}
    return Spans(start, end)


def _numbers(part: pa.Table) -> Array:
    names = ("frame", "time_s", "track", "x", "y")
    return np.column_stack([np.asarray(part[name].to_numpy(), np.float64) for name in names])


def _groups(rows: Array) -> list[Array]:
    """The rows of each track, of rows sorted by track."""
    borders = np.flatnonzero(np.diff(rows[:, _TRACK])) + 1
    return np.split(rows, borders) if len(rows) else []


def _moving(at: Array, earlier: Array, later: Array) -> Array:
    """Time and place of the row `at`, and the mean velocity between two rows."""
    lasted = later[_TIME] - earlier[_TIME]
    velocity = (later[[_X, _Y]] - earlier[[_X, _Y]]) / lasted if lasted > 0 else np.zeros(2)
    return np.array([at[_TIME], at[_X], at[_Y], *np.nan_to_num(velocity)])
