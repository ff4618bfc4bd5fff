"""Who is seen together: how likely it is that those of two teams are seen in such numbers.

Both teams have eleven on the pitch. Of those in the picture, about half are each one's: twenty of
one and two of the other is no football.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[np.float64]
TEAM = 11
_MOST_BLOCKS = 200
# what each player beyond eleven costs: tracks are joined wrongly, boxes double
_TOO_MANY = 3.0


@dataclass(frozen=True)
class Attendance:
    """Rows of tracks seen in blocks of frames, `share` of the block long, sorted by block.

    `starts` is each block's first row.
    """

    row_track: NDArray[np.int64]
    share: Array
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, frame: NDArray[np.int64], track: NDArray[np.int64], boxes: Array) -> "Attendance":
        """Of at most 200 blocks, evenly spread. `frame` ascends; `track` is a row of evidence."""
        blocks = np.unique(frame)
        chosen = blocks[:: max(-(-len(blocks) // _MOST_BLOCKS), 1)]
        rows = np.isin(frame, chosen)
        frame, track, boxes = frame[rows], track[rows], boxes[rows]
        starts = np.flatnonzero(np.diff(frame, prepend=-1))
        longest = np.maximum.reduceat(boxes, starts) if len(starts) else boxes
        lengths = np.diff(starts, append=len(frame))
        return cls(track, boxes / np.repeat(longest, lengths), starts)

    def among(self, chosen: NDArray[np.bool_]) -> "Attendance":
        """The rows of the tracks chosen (n,), which are numbered anew."""
        block = np.searchsorted(self.starts, np.arange(len(self.row_track)), side="right")
        rows = chosen[self.row_track]
        starts = np.flatnonzero(np.diff(block[rows], prepend=0))
        return Attendance((np.cumsum(chosen) - 1)[self.row_track[rows]], self.share[rows], starts)

    def people(self, chosen: Array) -> Array:
        """How many of the tracks chosen (..., n), 0 to 1 each, are in each block (..., blocks)."""
        if not len(self.starts):
            return np.zeros((*chosen.shape[:-1], 0))
        seen = chosen[..., self.row_track] * self.share
        return np.asarray(np.add.reduceat(seen, self.starts, axis=-1))

    def log_likelihood(self, first: Array, second: Array) -> Array:
        """Of tracks chosen (..., n) as two teams', per person seen.

        A block's is hypergeometric: so many of either team where so many of both are seen. Where
        more are seen than two teams have, tracks are broken, and each counts for less.
        """
        one, other = self.people(first), self.people(second)
        seen = float(self.share.sum())
        if not seen:
            return np.zeros(first.shape[:-1])
        scale = np.minimum(2 * TEAM / np.maximum(one + other, 1e-9), 1)
        one, other = one * scale, other * scale
        extra = np.maximum(one - TEAM, 0) + np.maximum(other - TEAM, 0)
        one, other = np.minimum(one, TEAM), np.minimum(other, TEAM)
        chance = _log_choose(TEAM, one) + _log_choose(TEAM, other)
        chance -= _log_choose(2 * TEAM, one + other)
        return np.asarray((chance - _TOO_MANY * extra).sum(axis=-1) / seen)


def _log_choose(n: int, k: Array) -> Array:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
