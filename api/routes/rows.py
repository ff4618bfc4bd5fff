"""Reading rows of a result's Parquet file, a row group at a time: memory never holds a table."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from api.problems import ProblemError

_PLAYER_COLUMNS = ("player", "receiver", "subject", "players")
FileOf = Callable[[str], Path]


@dataclass(frozen=True)
class Wanted:
    """Which rows of a table: those that touch [from_s, to_s), of a player, of a track."""

    from_s: float | None = None
    to_s: float | None = None
    player: str | None = None
    track: int | None = None


@dataclass(frozen=True)
class Choice:
    """Rows of one table file. `ranges` says which values of a column, low and high, are wanted."""

    path: Path
    ranges: Mapping[str, tuple[float | None, float | None]]
    player: str | None = None
    tracks: Collection[int] | None = None

    @property
    def is_all(self) -> bool:
        return not self.ranges and self.player is None and self.tracks is None

    def groups(self, first_row: int = 0) -> Iterator[tuple[int, pa.Table]]:
        """The wanted rows of each row group from `first_row` on, with the group's first row's
        number; their own numbers are in the column `row`.
        """
        with pq.ParquetFile(self.path) as file:
            start = 0
            for number in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(number)
                begin, start = start, start + group.num_rows
                if start > first_row and self._may_hold(group):
                    yield begin, self._wanted(file.read_row_group(number), begin, first_row)

    @property
    def schema(self) -> pa.Schema:
        return pq.read_schema(self.path)

    def _may_hold(self, group: Any) -> bool:
        """By the group's own statistics, whether there can be a wanted row in it."""
        for position in range(group.num_columns):
            column = group.column(position)
            low, high = self.ranges.get(column.path_in_schema, (None, None))
            known = column.statistics
            if known is None or not known.has_min_max:
                continue
            if (low is not None and known.max < low) or (high is not None and known.min >= high):
                return False
        return True

    def _wanted(self, rows: pa.Table, begin: int, first_row: int) -> pa.Table:
        numbers = np.arange(begin, begin + rows.num_rows)
        mask = pa.array(numbers >= first_row)
        for name, (low, high) in self.ranges.items():
            if low is not None:
                mask = pc.and_(mask, pc.greater_equal(rows[name], low))
            if high is not None:
                mask = pc.and_(mask, pc.less(rows[name], high))
        if self.tracks is not None:
            mask = pc.and_(mask, pc.is_in(rows["track"], pa.array(self.tracks, pa.int64())))
        if self.player is not None:
            mask = pc.and_(mask, _of_player(rows, self.player))
        return rows.append_column("row", pa.array(numbers)).filter(mask)


def choose(table: str, wanted: Wanted, file_of: FileOf) -> Choice:
    """The rows of `table` that are wanted; `file_of` gives the file of a table.

    Raises:
        ProblemError: the table has nothing that a filter could go by.
    """
    path = file_of(table)
    names = set(pq.read_schema(path).names)
    tracks = None
    player = wanted.player
    if wanted.track is not None:
        tracks = [wanted.track]
        _need("track" in names, table, "track")
    if player is not None and not names & set(_PLAYER_COLUMNS):
        _need("track" in names, table, "player")
        known = _tracks_of(player, file_of)
        tracks = known if tracks is None else sorted(set(tracks) & set(known))
        player = None
    return Choice(path, _ranges(table, names, wanted, file_of), player, tracks)


def page(choice: Choice, first_row: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
    """Up to `limit` wanted rows from `first_row` on, and the row at which the next page begins."""
    found: list[dict[str, Any]] = []
    for _, rows in choice.groups(first_row):
        rest = rows.slice(0, limit - len(found) + 1)
        found += _as_dicts(rest)
        if len(found) > limit:
            return [_without_number(row) for row in found[:limit]], int(found[limit]["row"])
    return [_without_number(row) for row in found], None


def arrow_stream(choice: Choice) -> Iterator[bytes]:
    """The wanted rows as an Arrow IPC stream, piece by piece."""
    sink = _Pieces()
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), choice.schema) as writer:
        for _, rows in choice.groups():
            writer.write_table(rows.drop_columns("row"))
            yield sink.taken()
    yield sink.taken()


def write_parquet(choice: Choice, path: Path) -> None:
    """The wanted rows as a Parquet file of their own."""
    with pq.ParquetWriter(path, choice.schema, compression="zstd") as writer:
        for _, rows in choice.groups():
            writer.write_table(rows.drop_columns("row"))


class _Pieces:
    """A file that is read while it is written."""

    closed = False

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: Any) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it."""

    def taken(self) -> bytes:
        held, self._held = b"".join(self._held), []
        return held


def _ranges(
    table: str, names: Collection[str], wanted: Wanted, file_of: FileOf
) -> Mapping[str, tuple[float | None, float | None]]:
    low, high = wanted.from_s, wanted.to_s
    if low is None and high is None:
        return {}
    if "time_s" in names:
        return {"time_s": (low, high)}
    if {"start_s", "end_s"} <= set(names):
        return {"end_s": (low, None), "start_s": (None, high)}
    _need("frame" in names, table, "time")
    return {"frame": _frames_between(low, high, file_of)}


def _frames_between(
    low: float | None, high: float | None, file_of: FileOf
) -> tuple[float | None, float | None]:
    """The numbers of the frames in that time, first and one past the last."""
    frames = pq.read_table(file_of("frames"), columns=["frame", "time_s"])
    times, numbers = frames["time_s"].to_numpy(), frames["frame"].to_numpy()
    bounds = [
        None if time is None else int(np.append(numbers, 1 << 62)[np.searchsorted(times, time)])
        for time in (low, high)
    ]
    return bounds[0], bounds[1]


def _tracks_of(player: str, file_of: FileOf) -> list[int]:
    people = pq.read_table(file_of("identities"), columns=["track", "player"])
    return people.filter(pc.equal(people["player"], player))["track"].to_pylist()  # type: ignore[no-any-return]


def _of_player(rows: pa.Table, player: str) -> Any:
    mask = pa.array(np.zeros(rows.num_rows, bool))
    for name in set(_PLAYER_COLUMNS) & set(rows.column_names):
        if pa.types.is_string(rows[name].type):
            found = pc.fill_null(pc.equal(rows[name], player), False)
        else:
            found = pa.array(
                [player in (names or ()) for names in rows[name].to_pylist()], pa.bool_()
            )
        mask = pc.or_(mask, found)
    return mask


def _as_dicts(rows: pa.Table) -> list[dict[str, Any]]:
    """Plain values; what Python has no half floats for becomes whole ones."""
    half = pa.list_(pa.float16())
    for position, field in enumerate(rows.schema):
        if field.type == half:
            values = rows[field.name].combine_chunks()
            whole = pa.array(
                [None if row is None else [float(v) for v in row] for row in values.to_pylist()],
                pa.list_(pa.float32()),
            )
            rows = rows.set_column(position, field.name, whole)
    return rows.to_pylist()  # type: ignore[no-any-return]


def _without_number(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "row"}


def _need(there: bool, table: str, filtered_by: str) -> None:
    if not there:
        raise ProblemError(
            422, "no-such-filter", f"the table {table} cannot be filtered by {filtered_by}"
        )
