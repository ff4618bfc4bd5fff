"""What the player tracker carries: live tracks, and rows that are not final yet."""

from typing import TypeVar

import msgspec
import numpy as np

from domain.tables import APPEARANCE_SIZE
from stages.ground import CAMERA_SIZE

ColumnsT = TypeVar("ColumnsT", bound=msgspec.Struct)


def _array(dtype: type, *shape: int) -> np.ndarray:
    return msgspec.field(default_factory=lambda: np.zeros((0, *shape), dtype))


class Tracks(msgspec.Struct):
    """Live tracks, one row each, in order of birth.

    `position` is the foot point (pixels), `velocity` pixels a second, `size` width and height.
    `covariance` holds the variance of the position, its covariance with the velocity and the
    velocity's variance, the same along both axes. `colour` is the shirt's CIELab, NaN if unknown.
    `age` counts frames since birth, `hits` those with a box.
    """

    number: np.ndarray = _array(np.int64)
    position: np.ndarray = _array(np.float64, 2)
    velocity: np.ndarray = _array(np.float64, 2)
    size: np.ndarray = _array(np.float64, 2)
    covariance: np.ndarray = _array(np.float64, 3)
    colour: np.ndarray = _array(np.float64, 3)
    born_s: np.ndarray = _array(np.float64)
    seen_s: np.ndarray = _array(np.float64)
    age: np.ndarray = _array(np.int64)
    hits: np.ndarray = _array(np.int64)
    confirmed: np.ndarray = _array(np.bool_)


class HeldRows(msgspec.Struct):
    """Rows of tracks that wait for what comes after them.

    `box` is the detected box, or the predicted one where `observed` is False. `predicted` is what
    the motion alone said, and `since_s` when the track was seen last before this row.
    `length` is the number of values in `appearance`, -1 where there is none.
    """

    frame: np.ndarray = _array(np.int64)
    time_s: np.ndarray = _array(np.float64)
    track: np.ndarray = _array(np.int64)
    box: np.ndarray = _array(np.float32, 4)
    predicted: np.ndarray = _array(np.float32, 4)
    since_s: np.ndarray = _array(np.float64)
    observed: np.ndarray = _array(np.bool_)
    confidence: np.ndarray = _array(np.float32)
    role: np.ndarray = _array(np.int8)
    appearance: np.ndarray = _array(np.float16, APPEARANCE_SIZE)
    length: np.ndarray = _array(np.int8)


class HeldFrames(msgspec.Struct):
    """Frames whose rows wait, `elapsed_s` after the frame before each.

    `camera` (as of `stages.ground`) and `error_m` are NaN where nothing is calibrated.
    """

    frame: np.ndarray = _array(np.int64)
    time_s: np.ndarray = _array(np.float64)
    elapsed_s: np.ndarray = _array(np.float64)
    camera: np.ndarray = _array(np.float64, CAMERA_SIZE)
    error_m: np.ndarray = _array(np.float64)


class PlayerTrackingState(msgspec.Struct):
    """All that the stage knows between two calls. `void` names dropped tracks with rows held."""

    tracks: Tracks = msgspec.field(default_factory=Tracks)
    rows: HeldRows = msgspec.field(default_factory=HeldRows)
    frames: HeldFrames = msgspec.field(default_factory=HeldFrames)
    void: list[int] = msgspec.field(default_factory=list)
    next_number: int = 0
    shot: int = -1
    clock_s: float = 0.0
    emitted: int = 0


def take(columns: ColumnsT, index: np.ndarray | slice) -> ColumnsT:
    """The rows `index` (numbers, a mask or a slice) of a struct of columns."""
    kind = type(columns)
    return kind(**{name: getattr(columns, name)[index] for name in columns.__struct_fields__})


def join(parts: list[ColumnsT]) -> ColumnsT:
    """Structs of columns, one after the other."""
    names = parts[0].__struct_fields__
    return type(parts[0])(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})
