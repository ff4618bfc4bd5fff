"""The ball's course over the whole match, and where it leaves the pitch."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.periods import Period
from domain.pitch import Pitch
from stages.event_detection.possession import Place
from stages.shots import NO_GAPS, Gaps

Array = NDArray[np.float64]
OUT_MARGIN_M = 0.2
OUT_FOR_S = 0.2
# a ball laid on the line for a throw-in, or carried there, is not in play yet
BACK_IN_M = 1.0
# of a close-up or a replay: what happens in it may be anything
MAX_LOST_S = 0.5


@dataclass(frozen=True)
class Course:
    """Arrays (n,) with a value a frame; x, y, z and sigma_m are NaN where unknown.

    `gaps` is the time in which nothing could be measured.
    """

    frame: NDArray[np.int64]
    time_s: Array
    x: Array
    y: Array
    z: Array
    sigma_m: Array
    gaps: Gaps = NO_GAPS

    @classmethod
    def read(cls, parts: Iterable[pa.Table], gaps: Gaps = NO_GAPS) -> "Course":
        """The course in the table `ball`, part by part, so that only these columns stay."""
        kept = [_numbers(part) for part in parts]
        values = np.vstack([np.empty((0, 6)), *kept])
        frame, (time_s, x, y, z, sigma_m) = values[:, 0].astype(np.int64), values[:, 1:].T
        return cls(frame, time_s, x, y, z, sigma_m, gaps)

    def during(self, period: Period) -> "Course":
        """The rows of one period."""
        rows = period.holds(self.time_s)
        names = [each.name for each in fields(self) if each.name != "gaps"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def place(self, row: int) -> Place:
        return Place(
            int(self.frame[row]), float(self.time_s[row]), float(self.x[row]), float(self.y[row])
        )

    def between(self, start_s: float, end_s: float) -> slice:
        """The rows after `start_s` and before `end_s`."""
        first = int(np.searchsorted(self.time_s, start_s, side="right"))
        return slice(first, max(int(np.searchsorted(self.time_s, end_s)), first))

    def seen_share(self, start_s: float, end_s: float) -> float:
        """The share of frames between two moments in which the ball's place is known."""
        known = np.isfinite(self.x[self.between(start_s, end_s)])
        return float(known.mean()) if len(known) else 1.0

    def is_broken(self, start_s: float, end_s: float) -> bool:
        """Whether what happened between two moments could mostly not be seen for a while."""
        return self.gaps.lost_s(start_s, end_s) > MAX_LOST_S

    def after(self, start: Place, delay_s: float) -> Place | None:
        """Where the ball was `delay_s` after a place, or up to as much later."""
        rows = self.between(start.time_s + delay_s - 1e-6, start.time_s + 2 * delay_s)
        known = np.flatnonzero(np.isfinite(self.x[rows]))
        return self.place(rows.start + int(known[0])) if len(known) else None


def _numbers(part: pa.Table) -> Array:
    names = ("frame", "time_s", "x", "y", "z", "sigma_m")
    columns = [np.asarray(part[name].to_numpy(), dtype=np.float64) for name in names]
    return np.column_stack(columns)


@dataclass(frozen=True)
class Crossing:
    """The ball leaving the pitch: the frame in which it is first outside, and where it crossed."""

    place: Place
    end_line: bool
    height_m: float
    sigma_m: float


def crossings(course: Course, pitch: Pitch) -> list[Crossing]:
    """Each time the ball goes out and stays out for `OUT_FOR_S`.

    Out is beyond a line by the ball's uncertainty and `OUT_MARGIN_M`; the ball is in again
    when it is `BACK_IN_M` inside the lines. In between it is what it was before. A ball that went
    out while nothing could be measured is not told: nobody knows where.
    """
    known = np.flatnonzero(np.isfinite(course.x) & np.isfinite(course.y))
    beyond_x = np.abs(course.x[known]) - pitch.half_length_m
    beyond_y = np.abs(course.y[known]) - pitch.half_width_m
    beyond = np.maximum(beyond_x, beyond_y)
    margin = OUT_MARGIN_M + np.nan_to_num(course.sigma_m[known])
    outside = _held(np.where(beyond > margin, 1, np.where(beyond <= -BACK_IN_M, 0, -1)))
    starts = np.flatnonzero(np.diff(outside, prepend=0) == 1)
    ends = np.flatnonzero(np.diff(outside, append=0) == -1)
    found = []
    for start, end in zip(starts, ends, strict=True):
        lasted = course.time_s[known[end]] - course.time_s[known[start]]
        unseen = start and course.is_broken(*course.time_s[known[[start - 1, start]]])
        if start and lasted >= OUT_FOR_S and not unseen:
            found.append(_crossing(course, int(known[start - 1]), int(known[start]), pitch))
    return found


def _held(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each label, where it is negative the one before it; zero at the beginning."""
    source = np.maximum.accumulate(np.where(labels >= 0, np.arange(len(labels)), -1))
    return np.asarray(np.where(source >= 0, labels[source], 0))


def _crossing(course: Course, inside: int, outside: int, pitch: Pitch) -> Crossing:
    """The crossing on the straight way between two rows."""
    start = np.array([course.x[inside], course.y[inside]])
    end = np.array([course.x[outside], course.y[outside]])
    limits = np.array([pitch.half_length_m, pitch.half_width_m])
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (limits - np.abs(start)) / (np.abs(end) - np.abs(start))
    part = np.where((np.abs(end) > limits) & np.isfinite(part), np.clip(part, 0, 1), np.inf)
    axis = int(part.argmin())
    x, y = (start + (end - start) * part[axis]).tolist()
    frame, time_s = int(course.frame[outside]), float(course.time_s[outside])
    return Crossing(
        Place(frame, time_s, x, y),
        axis == 0,
        float(course.z[outside]),
        float(np.nan_to_num(course.sigma_m[outside])),
    )
