"""Reads the stage's input tables: a row for each frame, and what of the pitch is seen in it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import Rows
from domain.pitch import PITCH_POINT_COUNT
from domain.tables import GLANCE_SIZE
from stages.pitch_calibration.belief import Lines, Sighting
from stages.pitch_calibration.following import Row
from stages.pitch_calibration.persons import Persons
from stages.pitch_calibration.shots import Arrival, Seen

Array = NDArray[np.float64]

# the network's noise in a picture 640 wide: of a point that it is sure of, and what doubt adds
SURE_NOISE_PX, DOUBT_NOISE_PX = 1.0, 3.5
# of a place on a line: each is better than that, but those of one line miss together
LINE_NOISE_PX = 1.0
WIDE_POINTS = 4


def joined(rows: Rows, height: int) -> Iterator[Arrival]:
    """Each frame of `video_frames` with what was observed in it, in a picture `height` high.

    Frames that were not decoded, or not observed, have no motion, see nothing and have no view.
    """
    frames, observed = rows["video_frames"], rows["pitch_observations"]
    place = {number: index for index, number in enumerate(observed["frame"].to_pylist())}
    columns = {name: observed[name].to_pylist() for name in ("view", "cut", "grass_share")}
    changes = np.asarray(observed["change"].to_numpy(), np.float64)
    glances = observed["glance"].combine_chunks().flatten().to_numpy().reshape(-1, GLANCE_SIZE)
    motions = lists(observed["camera_motion"])
    points, lines = lists(observed["points"], np.float32), uneven(observed["lines"])
    persons = Persons.read(rows.get("detections"), height)
    for frame in frames.to_pylist():
        row = Row(frame["frame"], frame["time_s"], frame["segment"], frame["decoded"])
        index = place.get(row.frame) if row.decoded else None
        if index is None:
            yield Arrival(row)
            continue
        row.motion, seen = motions[index], Seen(points[index], lines[index])
        told = _told(columns["view"][index], seen, persons, row.frame)
        near, view = persons.view(row.frame, columns["grass_share"][index], told)
        change = float(changes[index])
        yield Arrival(row, seen, columns["cut"][index], change, glances[index], view, near)


def _told(view: str, seen: Seen, persons: Persons, frame: int) -> str:
    """The view that the pitch alone tells; "" without points, when only the grass did."""
    if seen.points is None:
        return ""
    found = int((seen.points.reshape(-1, 3)[:, 2] > 0).sum())
    return "close" if view == "wide" and found < WIDE_POINTS and persons.loom(frame) else view


def lists(column: pa.ChunkedArray, kind: type = np.float64) -> list[NDArray[Any] | None]:
    """The lists of a fixed-size list column as arrays of `kind`, null as None."""
    array = column.combine_chunks()
    values = array.flatten().to_numpy(zero_copy_only=False).astype(kind)
    filled = iter(values.reshape(-1, array.type.list_size))
    return [next(filled) if valid else None for valid in array.is_valid().to_pylist()]


def uneven(column: pa.ChunkedArray) -> list[NDArray[np.float32] | None]:
    """The lists of a column of lists as arrays, null as None."""
    rows = column.combine_chunks()
    return [np.asarray(row.values, np.float32) if row.is_valid else None for row in rows]


def sighting(seen: Seen, ground: Array, width: float) -> Sighting:
    """What was seen in a frame, the points against their places `ground` (32, 2) on the pitch."""
    if seen.points is None:
        return Sighting(np.empty((0, 2)), np.empty((0, 2)), np.empty(0))
    table = seen.points.astype(np.float64).reshape(PITCH_POINT_COUNT, 3)
    found = table[:, 2] > 0
    noise = SURE_NOISE_PX + DOUBT_NOISE_PX * (1 - table[found, 2])
    points = (ground[found], table[found, :2], noise * width / 640)
    if seen.lines is None or not len(seen.lines):
        return Sighting(*points)
    return Sighting(
        *points, Lines(seen.lines.astype(np.float64).reshape(-1, 6), LINE_NOISE_PX * width / 640)
    )
