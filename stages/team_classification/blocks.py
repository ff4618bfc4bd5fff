"""The evidence of a block of frames as one row a track: votes, place, medians of colour.

Blocks are cut by frame number, never by how the input arrives, so that their rows are the same
however it is cut.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain import tables
from domain.tables import APPEARANCE_SIZE, PERSON_ROLES
from stages.clothing import SHARES

BLOCK_FRAMES = 50


def split(rows: pa.Table, end: int, *, final: bool) -> tuple[pa.Table, pa.Table, int]:
    """Rows of the blocks that are complete before frame `end`, the others, and their border."""
    border = end if final else end // BLOCK_FRAMES * BLOCK_FRAMES
    count = int(np.searchsorted(rows["frame"].to_numpy(), border))
    return rows.slice(0, count), rows.slice(count), border


def reduce(rows: pa.Table) -> pa.Table:
    """The table `track_colours` of whole blocks of `track_evidence`, ordered by block and track."""
    block = rows["frame"].to_numpy() // BLOCK_FRAMES
    track = rows["track"].to_numpy()
    order = np.lexsort((track, block))
    block, track = block[order], track[order]
    new = (np.diff(block, prepend=-1) != 0) | (np.diff(track, prepend=-1) != 0)
    starts = np.flatnonzero(new)
    colours = _appearance(rows)[order]
    groups = np.split(colours, starts[1:]) if len(starts) else []
    summaries = [_summary(group) for group in groups]
    coloured = np.array([np.isfinite(group[:, 0]).sum() for group in groups], dtype=np.int32)
    columns = {
        "frame": block[starts] * BLOCK_FRAMES,
        "track": track[starts],
        "boxes": np.diff(starts, append=len(track)).astype(np.int32),
        "coloured": coloured,
        "votes": _votes(rows, order, starts),
        "x": _medians(rows["x"], order, starts),
        "y": _medians(rows["y"], order, starts),
        "appearance": [
            list(row) if n else None for row, n in zip(summaries, coloured, strict=True)
        ],
    }
    return tables.make("track_colours", columns)


def _appearance(rows: pa.Table) -> NDArray[np.float64]:
    """The appearance columns as (n, 64), NaN where a box has none."""
    result = np.full((rows.num_rows, APPEARANCE_SIZE), np.nan)
    column = rows["appearance"].combine_chunks()
    lengths = np.nan_to_num(column.value_lengths().to_numpy(zero_copy_only=False))
    full = lengths == APPEARANCE_SIZE
    if full.any():
        kept = column.filter(pa.array(full)).flatten().to_numpy(zero_copy_only=False)
        result[full] = kept.reshape(-1, APPEARANCE_SIZE)
    return result


def _summary(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """The medians (and the shares' means) of a track's boxes (n, 64) that have a colour."""
    colours = colours[np.isfinite(colours).all(axis=1)]
    if not len(colours):
        return np.full(APPEARANCE_SIZE, np.nan)
    result = np.median(colours, axis=0)
    result[SHARES] = colours[:, SHARES].mean(axis=0)
    return np.asarray(result)


def _votes(
    rows: pa.Table, order: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int32]:
    """How often each group's boxes were called each of PERSON_ROLES, as (groups, 3)."""
    codes = pa.compute.index_in(rows["role"], pa.array(PERSON_ROLES)).to_numpy()[order]
    one_hot = np.asarray(np.eye(len(PERSON_ROLES), dtype=np.int32)[codes])
    if not len(starts):
        return one_hot
    return np.asarray(np.add.reduceat(one_hot, starts, axis=0), dtype=np.int32)


def _medians(
    column: pa.ChunkedArray, order: NDArray[np.int64], starts: NDArray[np.int64]
) -> np.ma.MaskedArray:
    """The median of the known values of each group; masked where none is known."""
    values = np.asarray(column.to_numpy(), dtype=np.float64)[order]
    groups = np.split(values, starts[1:]) if len(starts) else []
    known = [group[np.isfinite(group)] for group in groups]
    medians = np.array([np.median(group) if len(group) else np.nan for group in known])
    return np.ma.masked_invalid(medians)
