"""Reads the stage's input tables: a row for each frame, and the pitch points seen in it."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import Rows
from domain.pitch import PITCH_POINT_COUNT
from stages.pitch_calibration.belief import Sighting
from stages.pitch_calibration.following import Row

Array = NDArray[np.float64]

# the network's noise in a picture 640 wide: of a point that it is sure of, and what doubt adds
SURE_NOISE_PX, DOUBT_NOISE_PX = 1.0, 3.5


def joined(rows: Rows) -> Iterator[tuple[Row, Array | None, bool]]:
    """Each frame of `video_frames` as a row with view and motion, its points and whether it cuts.

    Frames that were not decoded, or not observed, have no motion and no points, and view "".
    """
    frames, observed = rows["video_frames"], rows["pitch_observations"]
    place = {number: index for index, number in enumerate(observed["frame"].to_pylist())}
    views, cuts = observed["view"].to_pylist(), observed["cut"].to_pylist()
    motions = lists(observed["camera_motion"])
    points = lists(observed["points"])
    for frame in frames.to_pylist():
        row = Row(frame["frame"], frame["time_s"], frame["segment"], frame["decoded"])
        index = place.get(row.frame) if row.decoded else None
        if index is None:
            yield row, None, False
            continue
        row.view, row.motion = views[index], motions[index]
        yield row, points[index], cuts[index]


def lists(column: pa.ChunkedArray) -> list[Array | None]:
    """The lists of a fixed-size list column as arrays, null as None."""
    array = column.combine_chunks()
    values = array.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    filled = iter(values.reshape(-1, array.type.list_size))
    return [next(filled) if valid else None for valid in array.is_valid().to_pylist()]


def sighting(points: Array | None, ground: Array, width: float) -> Sighting:
    """The points (96,) that were seen, against their places `ground` (32, 2) on the pitch."""
    if points is None:
        return Sighting(np.empty((0, 2)), np.empty((0, 2)), np.empty(0))
    table = points.reshape(PITCH_POINT_COUNT, 3)
    seen = table[:, 2] > 0
    noise = SURE_NOISE_PX + DOUBT_NOISE_PX * (1 - table[seen, 2])
    return Sighting(ground[seen], table[seen, :2], noise * width / 640)
