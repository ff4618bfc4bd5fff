"""Rows of several tables side by side, a stretch of frames at a time, so that memory stays flat."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import WholeMatch
from domain import tables

FRAMES_AT_ONCE = 500


class Cursor:
    """Walks once through a table that is sorted by frame; one part of it is in memory."""

    def __init__(self, match: WholeMatch, name: str) -> None:
        self._parts = match.parts(name) if match.has(name) else iter(())
        self._held = tables.empty(name)

    def until(self, frame: int) -> pa.Table:
        """The rows of the frames before `frame` that were not given yet."""
        taken = []
        part: pa.Table | None = self._held
        while part is not None:
            count = int(np.searchsorted(part["frame"].to_numpy(), frame))
            taken.append(part.slice(0, count))
            self._held = part.slice(count)
            part = None if self._held.num_rows else next(self._parts, None)
        return pa.concat_tables(taken)


def frames_table(match: WholeMatch) -> str | None:
    """The table that lists the match's frames, if the plan makes one."""
    return next((name for name in ("frames", "video_frames") if match.has(name)), None)


def stretches(match: WholeMatch) -> Iterator[pa.Table]:
    """The rows of the match's frames, at most `FRAMES_AT_ONCE` at a time; none is empty."""
    name = frames_table(match)
    for part in match.parts(name) if name else ():
        for start in range(0, part.num_rows, FRAMES_AT_ONCE):
            yield part.slice(start, FRAMES_AT_ONCE)


def floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A numeric column as float64; null becomes NaN."""
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)
