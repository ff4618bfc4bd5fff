"""The match with what only all of it could tell written into its rows: periods and replays."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from application.stage import Frame, WholeMatch
from domain import tables
from domain.periods import Period
from stages import periods as match_time
from stages.shots import Gaps

# what is measured in a replay is where people were before: no place of the time that is shown
PLACES = {
    "tracks": ("x", "y", "sigma_m", "speed_mps"),
    "ball": ("x", "y", "z", "sigma_m"),
}


class Concluded:
    """`match`, but frames have their period of `periods` where they had none, and `replay` is as
    `gaps` says; in replays, tracks and ball have pixels and no place."""

    def __init__(self, match: WholeMatch, periods: Sequence[Period], gaps: Gaps) -> None:
        self._match = match
        self._periods = periods
        self._gaps = gaps
        self.workspace: Path = match.workspace

    def table(self, name: str) -> pa.Table:
        if name == "frames" or name in PLACES:
            return pa.concat_tables([tables.empty(name), *self.parts(name)])
        return self._match.table(name)

    def parts(self, name: str) -> Iterator[pa.Table]:
        parts = self._match.parts(name)
        if name == "frames":
            return map(self._frames, parts)
        return (self._gaps.blanked(part, *PLACES.get(name, ())) for part in parts)

    def has(self, name: str) -> bool:
        return self._match.has(name)

    def frames(self) -> Iterator[Frame]:
        return self._match.frames()

    def extract_audio(self, path: Path) -> None:
        self._match.extract_audio(path)

    def _frames(self, frames: pa.Table) -> pa.Table:
        columns = {name: frames[name] for name in frames.column_names}
        if self._periods and frames["period"].null_count == frames.num_rows:
            columns |= match_time.columns(self._periods, frames["time_s"].to_numpy())
        replayed = self._gaps.replayed(frames["frame"].to_numpy())
        columns["replay"] = np.asarray(frames["replay"]) | replayed
        return tables.make("frames", columns)
