"""The tables of a match as they lie in a folder, checked before anything is scored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain import tables
from domain.errors import InputError, TableError

SCORED_TABLES = (
    "frames",
    "calibration",
    "tracks",
    "ball",
    "identities",
    "match_events",
    "formations",
)
OPTIONAL_TABLES = ("metrics",)
"""Scored where both sides have them: a result without them is a run of fewer stages."""

_UNIQUE: Mapping[str, tuple[str, ...]] = {
    "frames": ("frame",),
    "calibration": ("frame",),
    "tracks": ("frame", "track"),
    "ball": ("frame",),
    "identities": ("track",),
    "match_events": ("event",),
}
MAX_TIME_APART_S = 0.2
"""Containers round times; of one video and cut, a frame's times differ by less."""
_FRAMEWISE = ("frames", "tracks", "ball", "calibration")
_TIMED = ("frames", "tracks", "ball")


@dataclass(frozen=True)
class MatchTables(Mapping[str, pa.Table]):
    """Tables of one folder by name; those that are not there are left out."""

    folder: Path
    tables: Mapping[str, pa.Table]

    def __contains__(self, name: object) -> bool:
        return name in self.tables

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def __getitem__(self, name: str) -> pa.Table:
        """The table `name`, without rows where the folder has none."""
        return self.tables[name] if name in self.tables else tables.empty(name)


def load_pair(truth_dir: Path, result_dir: Path) -> tuple[MatchTables, MatchTables]:
    """Load the tables that truth has, from both folders.

    Raises:
        InputError: a folder or a table is missing, truth has no rows to score, a table breaks its
            schema, or an id is repeated.
    """
    names = [*SCORED_TABLES, *OPTIONAL_TABLES]
    truth = load_tables(truth_dir, [name for name in names if _path(truth_dir, name).is_file()])
    if not any(len(table) for table in truth.tables.values()):
        raise InputError(f"{truth_dir}: no truth to score: expected rows in TABLE.parquet files")
    for name in _FRAMEWISE:
        if name in truth and not len(truth[name]):
            raise InputError(f"{_path(truth_dir, name)} is empty: expected a row for each frame")
    wanted = [
        name
        for name in truth.tables
        if name not in OPTIONAL_TABLES or _path(result_dir, name).is_file()
    ]
    result = load_tables(result_dir, wanted)
    return truth, result


def column(table: pa.Table, name: str) -> NDArray[Any]:
    """A column as a NumPy array; null becomes NaN in numbers and None in text."""
    return np.asarray(table[name].to_numpy(zero_copy_only=False))


def columns(table: pa.Table, *names: str) -> NDArray[np.float64]:
    """Number columns side by side, (rows, names) float64; null becomes NaN."""
    return np.column_stack([column(table, name).astype(np.float64) for name in names])


def require_unique(name: str, table: pa.Table, where: str) -> None:
    """Refuse a table whose ids repeat.

    Raises:
        InputError: the first repeated id is named.
    """
    keys = _UNIQUE.get(name)
    if not keys or not len(table):
        return
    ids = np.column_stack([column(table, key) for key in keys])
    order = np.lexsort(ids.T[::-1])
    repeats = (np.diff(ids[order], axis=0) == 0).all(axis=1)
    if repeats.any():
        twice = ids[order[repeats.argmax()]]
        count = int((ids == twice).all(axis=1).sum())
        named = ", ".join(f"{key} {value}" for key, value in zip(keys, twice, strict=True))
        raise InputError(f"{where}: {named} occurs {count} times, expected once")


def scored_frames(truth: MatchTables, result: MatchTables) -> NDArray[np.int64]:
    """The frame numbers that both sides answer for, ascending.

    A side answers for the decoded rows of its `frames` (all rows where none was decoded, as with
    tracking data), or, without that table, for every frame of its other tables. Empty where truth
    has no table with frames.

    Raises:
        InputError: both have frames, and none in common, or those in common at other times.
    """
    wanted, answered = _declared(truth), _declared(result)
    common = np.intersect1d(wanted, answered)
    if len(wanted) and not len(common):
        raise InputError(
            f"no frame in common: truth {truth.folder} has {_extent(wanted)}, "
            f"result {result.folder} has {_extent(answered)}"
        )
    _require_times(truth, result, common)
    return common


def _require_times(truth: MatchTables, result: MatchTables, frames: NDArray[np.int64]) -> None:
    """Refuse a video of another frame rate: its frames of the same number are other moments."""
    wanted, answered = (frame_times(tables, frames) for tables in (truth, result))
    apart = np.flatnonzero(np.abs(wanted - answered) > MAX_TIME_APART_S)
    if len(apart):
        at = apart[0]
        raise InputError(
            f"frame {frames[at]} is at {wanted[at]:.2f} s in truth {truth.folder} and at "
            f"{answered[at]:.2f} s in result {result.folder}: they are of different videos"
        )


def frame_times(truth: MatchTables, frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """The time in seconds of each of `frames` (n,), NaN where truth does not tell."""
    times = np.full(len(frames), np.nan)
    for name in (name for name in _TIMED if name in truth):
        numbers, first = np.unique(column(truth[name], "frame"), return_index=True)
        known = np.isin(frames, numbers) & np.isnan(times)
        seconds = column(truth[name], "time_s")[first]
        times[known] = seconds[np.searchsorted(numbers, frames[known])]
    return times


def load_tables(folder: Path, names: Sequence[str]) -> MatchTables:
    """Load the tables of these names, checked.

    Raises:
        InputError: the folder or a table is missing, a table breaks its schema, or an id is
            repeated.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}: give a folder of TABLE.parquet files")
    return MatchTables(folder, {name: _read(folder, name) for name in names})


def _read(folder: Path, name: str) -> pa.Table:
    path = _path(folder, name)
    if not path.is_file():
        raise InputError(f"no {path}: this table is needed to score the folder")
    try:
        table = tables.check(name, pq.read_table(path))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot read {path}: {error}".splitlines()[0]) from error
    except TableError as error:
        raise InputError(f"{path}: {_one_line(name, path, error)}") from error
    require_unique(name, table, str(path))
    return table


def _one_line(name: str, path: Path, error: TableError) -> str:
    """What is wrong with a table; a schema is told by the columns that differ, not in full."""
    expected, actual = tables.SCHEMAS[name], pq.read_schema(path)
    missing = sorted(set(expected.names) - set(actual.names))
    unknown = sorted(set(actual.names) - set(expected.names))
    if missing or unknown:
        return f"missing columns {missing}, unknown columns {unknown}"
    differing = [f.name for f in expected if not actual.field(f.name).equals(f)]
    if differing:
        return f"columns {differing}: expected the types and nullability of schema {name}"
    if actual.names != expected.names:
        return f"expected columns in the order {expected.names}"
    return str(error)


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"


def _declared(side: MatchTables) -> NDArray[np.int64]:
    if "frames" in side:
        decoded = column(side["frames"], "decoded").astype(bool)
        numbers = column(side["frames"], "frame")
        return np.unique(numbers[decoded] if decoded.any() else numbers).astype(np.int64)
    parts = [column(side[name], "frame") for name in _FRAMEWISE if name in side]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *parts])).astype(np.int64)


def _extent(frames: NDArray[np.int64]) -> str:
    return f"frames {frames[0]} to {frames[-1]}" if len(frames) else "none"
