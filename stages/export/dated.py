"""The match with the periods that only all of it could tell written into its frames."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from application.stage import Frame, WholeMatch
from domain import tables
from domain.periods import Period
from stages import periods as match_time


class Dated:
    """`match`, but each frame without a period has that of `periods` in which its time is."""

    def __init__(self, match: WholeMatch, periods: Sequence[Period]) -> None:
        self._match = match
        self._periods = periods
        self.workspace: Path = match.workspace

    def table(self, name: str) -> pa.Table:
        if name == "frames":
            return pa.concat_tables([tables.empty(name), *self.parts(name)])
        return self._match.table(name)

    def parts(self, name: str) -> Iterator[pa.Table]:
        parts = self._match.parts(name)
        return map(self._dated, parts) if name == "frames" and self._periods else parts

    def has(self, name: str) -> bool:
        return self._match.has(name)

    def frames(self) -> Iterator[Frame]:
        return self._match.frames()

    def extract_audio(self, path: Path) -> None:
        self._match.extract_audio(path)

    def _dated(self, frames: pa.Table) -> pa.Table:
        if frames["period"].null_count < frames.num_rows:
            return frames
        found = match_time.columns(self._periods, frames["time_s"].to_numpy())
        columns = {name: frames[name] for name in frames.column_names}
        return tables.make("frames", columns | found)
