"""Where the two teams stand along the pitch, block by block."""

import numpy as np
from numpy.typing import NDArray

from stages.team_classification.evidence import Blocks

Array = NDArray[np.float64]
_FIRST_S = 600.0


class Sides:
    """`apart_m` is home's mean x minus away's in each block that begins at `time_s`; NaN where a
    team has fewer than two placed players."""

    def __init__(self, blocks: Blocks, time_s: Array, team: NDArray[np.int64]) -> None:
        """`time_s` and `team` (0 home, 1 away, else neither) have a value a row of `blocks`."""
        self.time_s, block = np.unique(time_s, return_inverse=True)
        means = []
        for number in (0, 1):
            rows = (team == number) & np.isfinite(blocks.x)
            count = np.bincount(block[rows], minlength=len(self.time_s))
            total = np.bincount(block[rows], blocks.x[rows], len(self.time_s))
            means.append(np.where(count >= 2, total / np.maximum(count, 1), np.nan))
        self.apart_m = np.asarray(means[0] - means[1])

    def swap(self) -> None:
        """Home is the other team."""
        self.apart_m = -self.apart_m

    def apart(self, start_s: float, end_s: float, least_blocks: int = 1) -> float:
        """The median of `apart_m` between two moments; NaN where too little is known."""
        first, last = np.searchsorted(self.time_s, [start_s, end_s])
        known = self.apart_m[first:last]
        known = known[np.isfinite(known)]
        return float(np.median(known)) if len(known) >= least_blocks else np.nan

    def first(self, start_s: float, end_s: float) -> float:
        """The same of the first minutes between two moments in which both teams have places."""
        known = np.isfinite(self.apart_m) & (self.time_s >= start_s) & (self.time_s < end_s)
        if not known.any():
            return np.nan
        begin = float(self.time_s[known.argmax()])
        return self.apart(begin, min(begin + _FIRST_S, end_s))
