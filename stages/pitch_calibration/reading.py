"""Reads the stage's input tables: a row for each frame, and the pitch points seen in it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import Rows
from domain.pitch import PITCH_POINT_COUNT
from stages.pitch_calibration.belief import Lines, Sighting
from stages.pitch_calibration.following import Row

Array = NDArray[np.float64]

# the network's noise in a picture 640 wide: of a point that it is sure of, and what doubt adds
SURE_NOISE_PX, DOUBT_NOISE_PX = 1.0, 3.5
# of a place on a line: each is better than that, but those of one line miss together
LINE_NOISE_PX = 1.0


@dataclass(frozen=True)
class Seen:
    """The network's points (96,) and the sights of lines (6 n,) of a frame, None if not sought."""

    points: Array | None = None
    lines: Array | None = None


def joined(rows: Rows) -> Iterator[tuple[Row, Seen, bool]]:
    """Each frame of `video_frames` as a row, what is seen of the pitch in it, and whether it cuts.

    Frames that were not decoded, or not observed, have no motion and no points, and view "".
    """
    frames, observed = rows["video_frames"], rows["pitch_observations"]
    place = {number: index for index, number in enumerate(observed["frame"].to_pylist())}
    views, cuts = observed["view"].to_pylist(), observed["cut"].to_pylist()
    motions = lists(observed["camera_motion"])
    points, lines = lists(observed["points"]), uneven(observed["lines"])
    for frame in frames.to_pylist():
        row = Row(frame["frame"], frame["time_s"], frame["segment"], frame["decoded"])
        index = place.get(row.frame) if row.decoded else None
        if index is None:
            yield row, Seen(), False
            continue
        row.view, row.motion = views[index], motions[index]
        yield row, Seen(points[index], lines[index]), cuts[index]


def lists(column: pa.ChunkedArray) -> list[Array | None]:
    """The lists of a fixed-size list column as arrays, null as None."""
    array = column.combine_chunks()
    values = array.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    filled = iter(values.reshape(-1, array.type.list_size))
    return [next(filled) if valid else None for valid in array.is_valid().to_pylist()]


def uneven(column: pa.ChunkedArray) -> list[Array | None]:
    """The lists of a column of lists as arrays, null as None."""
    rows = column.combine_chunks()
    return [np.asarray(row.values, np.float64) if row.is_valid else None for row in rows]


def sighting(seen: Seen, ground: Array, width: float) -> Sighting:
    """What was seen in a frame, the points against their places `ground` (32, 2) on the pitch."""
    if seen.points is None:
        return Sighting(np.empty((0, 2)), np.empty((0, 2)), np.empty(0))
    table = seen.points.reshape(PITCH_POINT_COUNT, 3)
    found = table[:, 2] > 0
    noise = SURE_NOISE_PX + DOUBT_NOISE_PX * (1 - table[found, 2])
    points = (ground[found], table[found, :2], noise * width / 640)
    if seen.lines is None or not len(seen.lines):
        return Sighting(*points)
    return Sighting(*points, Lines(seen.lines.reshape(-1, 6), LINE_NOISE_PX * width / 640))
