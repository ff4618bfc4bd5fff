"""What each track ran in each second.

A second's numbers come from its rows and those of `LOOK_BACK_S` before it, and from nothing else,
so they do not depend on where the input is cut.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain import tables
from domain.configuration import MetricsCalculationOptions

Array = NDArray[np.float64]

LOOK_BACK_S = 2
SPRINT_S = 1.0
# a longer gap between two rows of a track is time in which nobody saw the player
MAX_STEP_S = 0.5
# Without a measured speed it is that of the straight way over a time: from frame to frame, the
# noise of a position would count as a run. The time grows with the uncertainty of positions, so
# that its share of the speed stays under sqrt(2) / CHORD_S_PER_M = 0.7 m/s.
MIN_CHORD_S, MAX_CHORD_S, CHORD_S_PER_M = 0.2, 0.9, 2.0
MIN_HALF_S = 0.4
_CLOCK_ERROR_S = 1e-6


def split(rows: pa.Table, *, final: bool) -> tuple[pa.Table, int]:
    """How many of the rows belong to seconds after which something has been seen, and the rows
    that later seconds need: the others, and those of `LOOK_BACK_S` before them."""
    if not rows.num_rows:
        return rows, 0
    second = np.floor(rows["time_s"].to_numpy())
    done = rows.num_rows if final else int(np.searchsorted(second, second[-1]))
    first = int(np.searchsorted(second, second[-1] - LOOK_BACK_S))
    return rows.slice(first), done


@dataclass(frozen=True)
class _Steps:
    """Rows with a known place, sorted by track and time; arrays with a value a row.

    `dt` is the time since the track's row before, 0 where there is none near.
    """

    frame: NDArray[np.int64]
    time: Array
    track: NDArray[np.int64]
    x: Array
    y: Array
    sigma: Array
    observed: NDArray[np.bool_]
    dt: Array
    speed: Array


def reduce(rows: pa.Table, since_frame: int, options: MetricsCalculationOptions) -> pa.Table:
    """The table `track_motion` of the seconds that begin with frame `since_frame` or later.

    Steps faster than `max_human_speed_mps` are errors of tracking: their time does not count.
    """
    steps = _steps(rows, options.max_human_speed_mps)
    sprint = _sprint_begins(steps, options.sprint_speed_mps)
    chosen = np.flatnonzero(steps.frame >= since_frame)
    second = np.floor(steps.time[chosen]).astype(np.int64)
    chosen = chosen[np.lexsort((steps.track[chosen], second))]
    second = np.floor(steps.time[chosen]).astype(np.int64)
    track = steps.track[chosen]
    starts = np.flatnonzero((np.diff(second, prepend=-1) != 0) | (np.diff(track, prepend=-1) != 0))
    dt, way = steps.dt[chosen], (steps.speed * steps.dt)[chosen]
    fast = steps.speed[chosen] >= options.high_speed_mps
    rows_of = np.diff(starts, append=len(chosen))
    columns = {
        "frame": _first_frames(steps.frame[chosen], second)[starts],
        "time_s": second[starts].astype(np.float64),
        "track": track[starts],
        "x": _sums(steps.x[chosen], starts) / rows_of,
        "y": _sums(steps.y[chosen], starts) / rows_of,
        "sigma_m": _sums(steps.sigma[chosen], starts) / rows_of,
        "moving_s": _sums(dt, starts),
        "observed_s": _sums(dt * steps.observed[chosen], starts),
        "distance_m": _sums(way, starts),
        "high_speed_distance_m": _sums(way * fast, starts),
        "best_speed_mps": _best_half(steps.time[chosen], dt, way, starts),
        "sprints": _sums(sprint[chosen].astype(np.float64), starts).astype(np.int32),
    }
    return tables.make("track_motion", columns)


def _sums(values: Array, starts: NDArray[np.int64]) -> Array:
    return np.asarray(np.add.reduceat(values, starts)) if len(starts) else np.empty(0)


def _first_frames(frame: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the first frame of its second; rows are sorted by second."""
    starts = np.flatnonzero(np.diff(second, prepend=-1))
    if not len(starts):
        return frame
    return np.repeat(np.minimum.reduceat(frame, starts), np.diff(starts, append=len(frame)))


def _best_half(time: Array, dt: Array, way: Array, starts: NDArray[np.int64]) -> Array:
    """The greater mean speed of each second's two halves; 0 where neither was seen enough."""
    best = np.zeros(len(starts))
    late = np.floor(time * 2).astype(np.int64) % 2 == 1
    for half in (~late, late):
        lasted, ran = _sums(dt * half, starts), _sums(way * half, starts)
        mean = np.where(lasted >= MIN_HALF_S, ran / np.maximum(lasted, 1e-9), 0.0)
        best = np.maximum(best, mean)
    return best


def _steps(rows: pa.Table, max_speed: float) -> _Steps:
    numbers = {
        name: np.asarray(rows[name].to_numpy(), dtype=np.float64)
        for name in ("time_s", "x", "y", "sigma_m", "speed_mps")
    }
    track = rows["track"].to_numpy()
    known = np.flatnonzero(np.isfinite(numbers["x"]) & np.isfinite(numbers["y"]))
    order = known[np.lexsort((numbers["time_s"][known], track[known]))]
    time, x, y, sigma, measured = (column[order] for column in numbers.values())
    track = track[order]
    same = np.diff(track, prepend=-1) == 0
    dt = np.where(same, np.diff(time, prepend=0.0), 0.0)
    speed = np.where(np.isfinite(measured), measured, _chord_speeds(time, track, x, y, sigma))
    dt[(dt > MAX_STEP_S) | ~np.isfinite(speed) | (speed > max_speed)] = 0.0
    observed = np.asarray(rows["observed"].to_numpy(zero_copy_only=False), dtype=bool)[order]
    return _Steps(
        rows["frame"].to_numpy()[order],
        time,
        track,
        x,
        y,
        np.nan_to_num(sigma),
        observed,
        dt,
        np.nan_to_num(speed),
    )


def _chord_speeds(time: Array, track: NDArray[np.int64], x: Array, y: Array, sigma: Array) -> Array:
    """The speed over a chord's time up to each row, or at least since the row before; NaN at the
    beginning of a track. Rows are sorted by track and time."""
    chord = np.clip(np.nan_to_num(sigma) * CHORD_S_PER_M, MIN_CHORD_S, MAX_CHORD_S)
    here = np.arange(len(time))
    begin = np.flatnonzero(np.diff(track, prepend=-1))
    begin = np.repeat(begin, np.diff(begin, append=len(time)))
    # one key that grows along each track and jumps by more than a chord between tracks
    span = (time.max() - time.min() + 1 + MAX_CHORD_S) if len(time) else 1.0
    key = time - time.min() + np.unique(track, return_inverse=True)[1] * span if len(time) else time
    start = np.searchsorted(key, key - chord - _CLOCK_ERROR_S)
    start = np.maximum(np.minimum(start, here - 1), begin)
    lasted = time - time[start]
    lasted[lasted <= 0] = np.nan
    return np.asarray(np.sqrt((x - x[start]) ** 2 + (y - y[start]) ** 2) / lasted)


def _sprint_begins(steps: _Steps, sprint_speed: float) -> NDArray[np.bool_]:
    """The rows at which a run at sprinting speed has lasted `SPRINT_S`."""
    fast = (steps.speed >= sprint_speed) & (steps.dt > 0)
    new = fast & ~np.concatenate([[False], fast[:-1] & (np.diff(steps.track) == 0)])
    source = np.maximum.accumulate(np.where(new, np.arange(len(fast)), 0)) if len(fast) else fast
    # the run began at the row before its first fast step
    lasted = steps.time - steps.time[source.astype(np.int64)] + steps.dt[source.astype(np.int64)]
    long = fast & (lasted >= SPRINT_S - _CLOCK_ERROR_S)
    before = np.concatenate([[False], long[:-1]])
    return np.asarray(long & ~(before & ~new))
