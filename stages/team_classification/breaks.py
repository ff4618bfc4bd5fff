"""Who is who after a cut: the tracks of two views of one play, joined where place and shirt allow.

Everybody goes on moving while the picture shows something else, most of it together: a team follows
the ball. So the common shift and the one-to-one assignment (Kuhn, 1955) are found by turns, from
several starts, and a pair is believed where every assignment without it is much less likely. Spread
and shift were measured on three minutes of optical tracking: after velocities, which fade within
1.5 s, and the shift are taken off, places scatter by 0.7, 1.7, 2.6, 4.1, 5.6 m (an axis) after 1,
2, 3, 5 and 8 seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stages.team_classification.spans import Spans

Array = NDArray[np.float64]

MAX_GAP_S = 10.0
# tracks that begin so soon after a cut may be those of people seen before it
SOON_S = 1.0
FADING_S = 1.5
SPREAD_M, SPREAD_S = 7.5, 6.5
PLACE_M = 0.7
SHIFT_MPS = 0.9
# somebody who was not seen before may be anywhere in the picture
PICTURE_M2 = 2400.0
# how much less likely everything must be without a pair: e^1.5 is four to five times
MARGIN = 1.5
_STEPS, _STARTS = 4, (-1.5, -0.75, 0.0, 0.75, 1.5)
_NEVER = 1e6


@dataclass(frozen=True)
class _Meeting:
    """The earlier and later tracks of one kind at a break, the misses (n, m, 2) in metres that the
    velocities leave, and the variances (n, m) along an axis."""

    earlier: list[int]
    later: list[int]
    miss: Array
    variance: Array

    def costs(self, shift: Array) -> Array:
        """Minus log-likelihoods (n, m) of pairs, over those of two strangers."""
        square = ((self.miss - shift) ** 2).sum(axis=2)
        cost = square / (2 * self.variance) + np.log(2 * np.pi * self.variance / PICTURE_M2)
        return np.where(np.isfinite(cost), cost, _NEVER)


def joins(
    kinds: Mapping[int, tuple[str, int]], spans: Spans, breaks: Sequence[tuple[float, float]]
) -> dict[int, int]:
    """The next track of the same person, for tracks that end before a break and go on after it.

    Args:
        kinds: by track, what it must have in common with the next: team and role.
        breaks: when each stretch that was measured ends and the next one begins, in order.
    """
    found: dict[int, int] = {}
    for end_s, start_s in breaks:
        meetings = _meetings(kinds, spans, (end_s, start_s), found)
        if meetings:
            found |= _sure_pairs(meetings, _shift(meetings, start_s - end_s))
    return found


def _meetings(
    kinds: Mapping[int, tuple[str, int]],
    spans: Spans,
    between: tuple[float, float],
    continued: Mapping[int, int],
) -> list[_Meeting]:
    end_s, start_s = between
    earlier = [
        track
        for track in kinds
        if start_s - MAX_GAP_S <= spans.end[track][0] <= end_s + 0.05 and track not in continued
    ]
    later = [
        track for track in kinds if start_s - 0.05 <= spans.start[track][0] <= start_s + SOON_S
    ]
    shared = {kinds[track] for track in earlier} & {kinds[track] for track in later}
    return [
        _meeting(
            [track for track in earlier if kinds[track] == kind],
            [track for track in later if kinds[track] == kind],
            spans,
        )
        for kind in sorted(shared)
    ]


def _meeting(earlier: list[int], later: list[int], spans: Spans) -> _Meeting:
    ends = np.array([spans.end[track] for track in earlier])[:, None]
    starts = np.array([spans.start[track] for track in later])[None]
    gap_s = np.maximum(starts[..., 0] - ends[..., 0], 0.0)
    lasting_s = FADING_S * (1 - np.exp(-gap_s / FADING_S))
    expected = ends[..., 1:3] + ends[..., 3:5] * lasting_s[..., None]
    spread = SPREAD_M * (1 - np.exp(-gap_s / SPREAD_S))
    miss = starts[..., 1:3] - expected
    return _Meeting(earlier, later, miss, spread**2 + 2 * PLACE_M**2)


def _shift(meetings: Sequence[_Meeting], gap_s: float) -> Array:
    """How far everybody went together, (2,) metres."""
    deviation = max(SHIFT_MPS * gap_s, 0.1)
    starts = [deviation * np.array(start) for start in product(_STARTS, (-0.75, 0.0, 0.75))]
    options = [_settled(meetings, start, deviation) for start in starts]
    return min(options, key=lambda option: option[0])[1]


def _settled(meetings: Sequence[_Meeting], shift: Array, deviation: float) -> tuple[float, Array]:
    for _ in range(_STEPS):
        total, weights = np.zeros(2), deviation**-2
        for meeting in meetings:
            rows, columns = _assigned(meeting.costs(shift))
            weight = 1 / meeting.variance[rows, columns]
            total = total + (weight[:, None] * meeting.miss[rows, columns]).sum(axis=0)
            weights += weight.sum()
        shift = total / weights
    cost = sum(_total(meeting.costs(shift)) for meeting in meetings)
    return float(cost + (shift**2).sum() / (2 * deviation**2)), shift


def _assigned(costs: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The best pairs that are likelier than two strangers."""
    rows, columns = linear_sum_assignment(np.minimum(costs, 0.0))
    real = costs[rows, columns] < 0
    return rows[real], columns[real]


def _total(costs: Array) -> float:
    rows, columns = _assigned(costs)
    return float(costs[rows, columns].sum())


def _sure_pairs(meetings: Sequence[_Meeting], shift: Array) -> dict[int, int]:
    """The pairs without which everything is much less likely."""
    found: dict[int, int] = {}
    for meeting in meetings:
        costs = meeting.costs(shift)
        best = _total(costs)
        for row, column in zip(*_assigned(costs), strict=True):
            without = costs.copy()
            without[row, column] = _NEVER
            if _total(without) - best >= MARGIN:
                found[meeting.earlier[row]] = meeting.later[column]
    return found
