"""Half-time where nothing tells it: a long stretch without play, after which the ends are changed.

Play is many players in a wide view. An injury or a review also stops it, but not for so long, and
nobody changes ends; a break in which nobody can be seen to do so counts only when it is as long as
a real one and lies between two long stretches of play. Extra time is not looked for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.match import Side
from domain.periods import Period
from stages.team_classification.blocks import BLOCK_FRAMES
from stages.team_classification.evidence import Blocks
from stages.team_classification.sides import Sides

Array = NDArray[np.float64]

PLAYERS = 6
_WIDE_SHARE = 0.5
_AROUND_S = 30.0
# of the time around a moment of half-time, highlights of the half included, less is play
_PLAY_SHARE = 0.15
# a break so much shorter than half-time is one of a recording that was cut
_MIN_BREAK_S, _MIN_HALF_S = 90.0, 300.0
_LONG_BREAK_S, _LONG_HALF_S = 300.0, 1200.0
APART_M = 1.0
_MIN_BLOCKS = 20


@dataclass(frozen=True)
class Timeline:
    """A value a block of frames: its first frame, when it begins and ends, how many frames of it
    there are, the share of them that is seen in a wide view."""

    frame: NDArray[np.int64]
    start_s: Array
    end_s: Array
    frames: NDArray[np.int64]
    wide: Array

    @classmethod
    def read(cls, parts: Iterable[pa.Table]) -> "Timeline":
        """The blocks of the table `frames`."""
        columns = [np.empty((0, 3))]
        for part in parts:
            wide = pa.compute.equal(part["view"], "wide").to_numpy()
            columns.append(
                np.column_stack([part["frame"].to_numpy(), part["time_s"].to_numpy(), wide])
            )
        frame, time_s, wide = np.vstack(columns).astype(np.float64).T
        block = (frame // BLOCK_FRAMES).astype(np.int64)
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        sizes = np.diff(starts, append=len(block))
        last = float(time_s[-1]) if len(time_s) else 0.0
        share = np.add.reduceat(wide, starts) / sizes if len(starts) else wide
        ends = np.append(time_s[starts[1:]], last) if len(starts) else time_s
        return cls(block[starts] * BLOCK_FRAMES, time_s[starts], ends, sizes, share)

    @classmethod
    def even(cls, frames: NDArray[np.int64], frame_rate: float) -> "Timeline":
        """The blocks that begin with `frames`, where no table tells their times and views."""
        start_s = frames / frame_rate
        full = np.full(len(frames), BLOCK_FRAMES)
        end_s = start_s + BLOCK_FRAMES / frame_rate
        return cls(frames, start_s, end_s, full, np.ones(len(frames)))

    def time_of(self, frames: NDArray[np.int64]) -> Array:
        """When blocks begin, by their first frames (n,)."""
        if not len(self.frame):
            return np.zeros(len(frames))
        return np.asarray(np.interp(frames, self.frame, self.start_s))


def play(blocks: Blocks, timeline: Timeline) -> NDArray[np.bool_]:
    """In which blocks of the timeline (n,) football is seen to be played."""
    block = np.searchsorted(timeline.frame, blocks.frame)
    there = block < len(timeline.frame)
    there[there] &= blocks.boxes[there] >= timeline.frames[block[there]] / 2
    count = np.bincount(block[there], minlength=len(timeline.frame))
    return np.asarray((count >= PLAYERS) & (timeline.wide >= _WIDE_SHARE))


def find(playing: NDArray[np.bool_], timeline: Timeline, sides: Sides) -> tuple[Period, ...]:
    """Both halves, or nothing where no half-time is to be seen."""
    if not playing.any():
        return ()
    share = _share_around(playing, timeline.start_s)
    starts, ends = timeline.start_s[playing], timeline.end_s[playing]
    best: tuple[float, tuple[Period, ...]] = (0.0, ())
    for low_start_s, low_end_s in _runs(share < _PLAY_SHARE, timeline):
        before = ends[starts <= low_start_s + _AROUND_S]
        after = starts[starts >= low_end_s - _AROUND_S]
        if not len(before) or not len(after) or low_end_s - low_start_s < _MIN_BREAK_S:
            continue
        first_s = _kick_off(starts, share[playing])
        halves = (
            Period(1, first_s, float(before[-1])),
            Period(2, float(after[0]), float(np.nextafter(ends[-1], np.inf))),
        )
        lasted = float(after[0] - before[-1])
        if lasted > best[0] and _is_half_time(halves, lasted, sides):
            best = lasted, halves
    return best[1]


def _share_around(playing: NDArray[np.bool_], time_s: Array) -> Array:
    """For each block the share of play among those within `_AROUND_S` of it."""
    heaped = np.concatenate([[0], np.cumsum(playing)])
    first = np.searchsorted(time_s, time_s - _AROUND_S)
    last = np.searchsorted(time_s, time_s + _AROUND_S, side="right")
    return np.asarray((heaped[last] - heaped[first]) / (last - first))


def _runs(low: NDArray[np.bool_], timeline: Timeline) -> list[tuple[float, float]]:
    """When each run of true blocks begins and ends."""
    edges = np.diff(low.astype(np.int8), prepend=0, append=0)
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return list(zip(timeline.start_s[first].tolist(), timeline.end_s[last].tolist(), strict=True))


def _kick_off(starts: Array, share: Array) -> float:
    """The first block of play with as much play around it as half-time never has."""
    return float(starts[int((share >= _PLAY_SHARE).argmax())])


def _is_half_time(halves: Sequence[Period], lasted_s: float, sides: Sides) -> bool:
    shorter = min(half.end_s - half.start_s for half in halves)
    apart = [sides.apart(half.start_s, half.end_s, _MIN_BLOCKS) for half in halves]
    if all(abs(metres) >= APART_M for metres in apart):
        return shorter >= _MIN_HALF_S and bool(apart[0] * apart[1] < 0)
    return shorter >= _LONG_HALF_S and lasted_s >= _LONG_BREAK_S


def with_directions(
    periods: Sequence[Period], sides: Sides
) -> tuple[tuple[Period, ...], Sequence[int]]:
    """The periods with the side that home attacks, and the numbers of those it was estimated for.

    Home attacks away from where it stands on the mean. Where that does not tell, it is the other
    side than in the period with which this one makes a pair: halves, or those of extra time.
    """
    found = {each.number: each.home_attacks or _toward(sides, each) for each in periods}
    partner = {1: 2, 2: 1, 3: 4, 4: 3}
    other: dict[Side | None, Side | None] = {"left": "right", "right": "left", None: None}
    full = {
        number: side or other[found.get(partner.get(number, 0))] for number, side in found.items()
    }
    estimated = [p.number for p in periods if p.home_attacks is None and full[p.number]]
    return tuple(replace(each, home_attacks=full[each.number]) for each in periods), estimated


def _toward(sides: Sides, period: Period) -> Side | None:
    apart = sides.apart(period.start_s, period.end_s)
    if not abs(apart) >= APART_M:  # NaN as well
        return None
    return "right" if apart < 0 else "left"
