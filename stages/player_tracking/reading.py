"""The stage's input tables as arrays, frame by frame."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from application.stage import MatchFacts, Rows
from domain.tables import APPEARANCE_SIZE, PERSON_ROLES
from stages import ground
from stages.player_tracking import motion
from stages.player_tracking.association import Boxes, FloatArray, IntArray
from stages.player_tracking.state import take

# further outside than this stand coaches, ball kids and spectators; assistant referees do not
OUTSIDE_M = 6.0
SHIRT = slice(0, 3)
SHIRT_SHARE = 9
MIN_SHIRT_SHARE = 0.25


@dataclass(frozen=True)
class Frames:
    """Frames in order: numbers, times, shots, (n, 10) cameras and (n, 9) camera motions.

    `wide` frames are those in which people are followed.
    """

    number: IntArray
    time_s: FloatArray
    shot: IntArray
    camera: FloatArray
    error_m: FloatArray
    camera_motion: FloatArray
    wide: NDArray[np.bool_]


def read_frames(rows: Rows) -> Frames:
    """The frames of `rows`; where nothing is calibrated, or not wide, cameras are NaN."""
    table = rows["frames"]
    number = table["frame"].to_numpy()
    camera = np.full((len(number), ground.CAMERA_SIZE), np.nan)
    error_m = np.full(len(number), np.nan)
    calibration = rows.get("calibration")
    if calibration is not None and calibration.num_rows:
        row = np.searchsorted(number, calibration["frame"].to_numpy())
        camera[row] = ground.camera_rows(calibration)
        error_m[row] = calibration["error_m"].to_numpy()
    wide = pc.equal(table["view"], "wide").to_numpy()
    camera[~wide] = np.nan
    return Frames(
        number,
        table["time_s"].to_numpy(),
        table["shot"].to_numpy(),
        camera,
        error_m,
        ground.homography_rows(table["camera_motion"]),
        wide,
    )


def read_persons(rows: Rows, frames: Frames, facts: MatchFacts) -> tuple[Boxes, IntArray]:
    """The persons on and around the pitch, and where each frame's begin, (n + 1,).

    Who is seen to stand more than `OUTSIDE_M` outside the pitch is left out, and everybody in
    frames that are not wide: nobody can be told or measured in a close-up.
    """
    table = rows["detections"]
    table = table.filter(pc.is_in(table["role"], pa.array(PERSON_ROLES))).combine_chunks()
    row = np.searchsorted(frames.number, table["frame"].to_numpy())
    box = np.column_stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")])
    box = box.astype(np.float64)
    place, noise_m = project_feet(box, frames.camera[row], facts)
    appearance, length = _appearance(table["appearance"])
    persons = Boxes(
        box=box,
        confidence=table["confidence"].to_numpy().astype(np.float64),
        role=pc.index_in(table["role"], pa.array(PERSON_ROLES)).to_numpy().astype(np.int8),
        ground=place,
        noise_m=noise_m,
        colour=_shirt(appearance, length),
        appearance=appearance,
        length=length,
    )
    limits = np.array([facts.pitch.half_length_m, facts.pitch.half_width_m]) + OUTSIDE_M
    near = np.asarray(~(np.abs(place) > limits).any(axis=1)) & frames.wide[row]
    starts = np.searchsorted(row[near], np.arange(len(frames.number) + 1))
    return take(persons, near), starts


def project_feet(
    box: FloatArray, camera: FloatArray, facts: MatchFacts
) -> tuple[FloatArray, FloatArray]:
    """Foot points of boxes (n, 4) in metres (n, 2), and what the box's noise makes of them (n,)."""
    middle = (facts.width / 2, facts.height / 2)
    height = box[:, 3] - box[:, 1]
    standing = motion.stands_at(motion.feet_of(box), height)
    place, jacobian = ground.to_pitch(camera, standing, middle)
    sigma = motion.STANDING_NOISE * height
    return place, ground.noise_m(jacobian, sigma, sigma)


def _appearance(column: pa.ChunkedArray) -> tuple[NDArray[np.float16], NDArray[np.int8]]:
    lists = column.combine_chunks()
    length = pc.fill_null(pc.list_value_length(lists), -1).to_numpy().astype(np.int64)
    count = np.maximum(length, 0)
    row = np.repeat(np.arange(len(count)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    values = np.zeros((len(count), APPEARANCE_SIZE), np.float16)
    values[row, place] = lists.flatten().to_numpy()
    return values, length.astype(np.int8)


def _shirt(appearance: NDArray[np.float16], length: NDArray[np.int8]) -> FloatArray:
    """The shirt's colour (n, 3) in CIELab, NaN where hardly any of it was seen."""
    colour = appearance[:, SHIRT].astype(np.float64)
    colour[(length <= SHIRT_SHARE) | (appearance[:, SHIRT_SHARE] < MIN_SHIRT_SHARE)] = np.nan
    return colour
