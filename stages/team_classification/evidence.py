"""What the whole match says of each track: its colour, its role, where it stood."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.tables import APPEARANCE_SIZE, PERSON_ROLES
from stages.clothing import SHARES
from stages.team_classification import colour
from stages.team_classification.attendance import Attendance
from stages.team_classification.places import log_densities

Array = NDArray[np.float64]
_LATER_BLOCK, _MOST_WORTH = 0.25, 3.0


@dataclass(frozen=True)
class Blocks:
    """The rows of `track_colours`: arrays with a value a track and block."""

    frame: NDArray[np.int64]
    track: NDArray[np.int64]
    boxes: Array
    coloured: Array
    votes: Array
    x: Array
    y: Array
    appearance: Array

    @classmethod
    def read(cls, parts: Iterable[pa.Table]) -> "Blocks":
        """All parts as one; appearance is brought to one light, NaN where a block has none."""
        table = pa.concat_tables(parts).combine_chunks()
        votes = table["votes"].combine_chunks().flatten().to_numpy()
        return cls(
            table["frame"].to_numpy(),
            table["track"].to_numpy(),
            table["boxes"].to_numpy().astype(np.float64),
            table["coloured"].to_numpy().astype(np.float64),
            votes.reshape(-1, len(PERSON_ROLES)).astype(np.float64),
            np.asarray(table["x"].to_numpy(), dtype=np.float64),
            np.asarray(table["y"].to_numpy(), dtype=np.float64),
            _appearance(table["appearance"].combine_chunks()),
        )


def _appearance(column: pa.Array) -> Array:
    known = np.asarray(column.is_valid())
    result = np.full((len(column), APPEARANCE_SIZE), np.nan)
    raw = column.drop_null().flatten().to_numpy().reshape(-1, APPEARANCE_SIZE)
    result[known] = colour.relight(raw.astype(np.float64))
    return result


@dataclass(frozen=True)
class Glimpses:
    """The blocks in which tracks have a colour: `row` of the track, `points` (m, d), boxes."""

    row: NDArray[np.int64]
    points: Array
    boxes: Array


@dataclass(frozen=True)
class TrackEvidence:
    """A value a track, in the order of `tracks`; `points` (n, d) is NaN where it has no colour.

    `places` (n, 3) says by how much its places speak for each of PERSON_ROLES, as log-likelihoods.
    """

    tracks: NDArray[np.int64]
    coloured: Array
    votes: Array
    points: Array
    appearance: Array
    places: Array
    attendance: Attendance
    glimpses: Glimpses


def gather(blocks: Blocks) -> TrackEvidence:
    """Sum and average the blocks of each track, weighted by the boxes that they hold."""
    tracks, of_row = np.unique(blocks.track, return_inverse=True)
    known = np.isfinite(blocks.appearance[:, 0])
    rows, weights = of_row[known], blocks.coloured[known]
    coloured = np.bincount(rows, weights, minlength=len(tracks)).astype(np.float64)
    appearance = np.full((len(tracks), APPEARANCE_SIZE), np.nan)
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.flatnonzero(coloured))
    colours = np.split(blocks.appearance[known][order], starts[1:])
    shares = np.split(weights[order], starts[1:])
    for track, of_track, share in zip(np.flatnonzero(coloured), colours, shares, strict=False):
        appearance[track] = _typical(of_track, share)
    votes = np.stack(
        [np.bincount(of_row, column, len(tracks)).astype(np.float64) for column in blocks.votes.T],
        axis=1,
    )
    return TrackEvidence(
        tracks,
        coloured,
        votes,
        colour.features(appearance),
        appearance,
        _places(blocks, of_row, len(tracks)),
        Attendance.of(blocks.frame, of_row, blocks.boxes),
        Glimpses(rows, colour.features(blocks.appearance[known]), weights),
    )


def _places(blocks: Blocks, of_row: NDArray[np.int64], count: int) -> Array:
    """The mean over a track's blocks: places that follow one another are no news. The longer it
    is seen, the more the mean tells."""
    known = np.isfinite(blocks.x) & np.isfinite(blocks.y)
    rows = of_row[known]
    logs = log_densities(blocks.x[known], blocks.y[known])
    seen = np.bincount(rows, minlength=count)
    total = np.stack([np.bincount(rows, column, count) for column in logs.T], axis=1)
    worth = np.minimum(1 + _LATER_BLOCK * (seen - 1), _MOST_WORTH) / np.maximum(seen, 1)
    return np.asarray(total * worth[:, None])


def _typical(colours: Array, weights: Array) -> Array:
    """Weighted medians of the columns of (n, 64); of the shares weighted means."""
    order = np.argsort(colours, axis=0, kind="stable")
    heaped = np.cumsum(weights[order], axis=0)
    middle = (heaped < weights.sum() / 2).sum(axis=0)
    result = colours[order[middle, np.arange(colours.shape[1])], np.arange(colours.shape[1])]
    result[SHARES] = np.average(colours[:, SHARES], axis=0, weights=weights)
    return np.asarray(result)
