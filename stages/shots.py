"""The shots as the END cells of later stages see them: what counts, and what does not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from application.stage import WholeMatch
from domain import tables

Array = NDArray[np.float64]

# a track is lost when its shot is not measured for so long
LOST_S = 0.5


@dataclass(frozen=True)
class Gaps:
    """The time in which nobody was measured: close-ups, replays and what is neither.

    `start_s` and `end_s` are ascending and do not overlap; `replays` are the ranges of frames of
    replays, `tracks` those that were followed in one. `breaks` are when each measured stretch ends
    and the next one, of another shot or after a gap, begins.
    """

    start_s: Array = field(default_factory=lambda: np.empty(0))
    end_s: Array = field(default_factory=lambda: np.empty(0))
    replays: tuple[tuple[int, int], ...] = ()
    tracks: frozenset[int] = frozenset()
    breaks: tuple[tuple[float, float], ...] = ()

    @classmethod
    def read(cls, match: WholeMatch) -> "Gaps":
        """What the table `shots` says; no gap where the plan does not make it."""
        return cls.of(match.table("shots") if match.has("shots") else tables.empty("shots"))

    @classmethod
    def of(cls, shots: pa.Table) -> "Gaps":
        """The gaps of the table `shots`."""
        lost = shots.filter(pc.invert(shots["measured"]))
        replays = shots.filter(shots["replay"])
        tracks = pc.list_flatten(replays["tracks"]).to_pylist()
        frames = zip(
            replays["start_frame"].to_pylist(), replays["end_frame"].to_pylist(), strict=True
        )
        start_s, end_s = lost["start_s"].to_numpy(), lost["end_s"].to_numpy()
        return cls(start_s, end_s, tuple(frames), frozenset(tracks), tuple(_breaks(shots)))

    def parts(self, start_s: float, end_s: float) -> bool:
        """Whether a break lies between two moments."""
        return any(start_s <= end and begin <= end_s for end, begin in self.breaks)

    def lost_s(self, start_s: float, end_s: float) -> float:
        """How long nobody was measured between two moments."""
        low, high = np.maximum(self.start_s, start_s), np.minimum(self.end_s, end_s)
        return float(np.maximum(high - low, 0.0).sum())

    def hold(self, time_s: Array) -> NDArray[np.bool_]:
        """Which moments (n,) lie in a gap."""
        if not len(self.start_s):
            return np.zeros(len(time_s), bool)
        at = np.searchsorted(self.start_s, time_s, side="right") - 1
        return np.asarray((at >= 0) & (time_s < self.end_s[np.maximum(at, 0)]))

    def replayed(self, frame: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which frames (n,) belong to a replay."""
        found = np.zeros(len(frame), bool)
        for start, end in self.replays:
            found |= (frame >= start) & (frame < end)
        return found

    def without_replays(self, table: pa.Table) -> pa.Table:
        """The rows of a table of tracks but those that were followed in a replay."""
        if not self.tracks:
            return table
        replayed = pc.is_in(table["track"], pa.array(sorted(self.tracks), pa.int64()))
        return table.filter(pc.invert(replayed))

    def blanked(self, part: pa.Table, *names: str) -> pa.Table:
        """The same rows, with the columns `names` null in the frames of replays."""
        if not (self.replays and names):
            return part
        replayed = self.replayed(part["frame"].to_numpy())
        if not replayed.any():
            return part
        mask = pa.array(replayed)
        for name in names:
            column = part.schema.get_field_index(name)
            kept = pc.if_else(mask, pa.scalar(None, part.schema.field(name).type), part[name])
            part = part.set_column(column, part.schema.field(column), kept)
        return part


NO_GAPS = Gaps()


def _breaks(shots: pa.Table) -> Iterator[tuple[float, float]]:
    seen = shots.filter(shots["measured"]).select(["shot", "start_s", "end_s"]).to_pylist()
    for before, after in pairwise(seen):
        if after["shot"] != before["shot"] or after["start_s"] - before["end_s"] > LOST_S:
            yield before["end_s"], after["start_s"]
