"""Puts the tables `frames` and `calibration` together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain import tables
from domain.periods import Period
from domain.pitch import Pitch
from stages import periods as match_time
from stages.pitch_calibration import camera as cameras
from stages.pitch_calibration.belief import Belief
from stages.pitch_calibration.camera import K1, LOG_FOCAL, PAN, ROLL, TILT, X, Y, Z
from stages.pitch_calibration.fixed import FixedCamera
from stages.pitch_calibration.following import Mix, Row
from stages.pitch_calibration.settling import expected_errors

Array = NDArray[np.float64]

# a picture whose lower edge shows less of the pitch is a close one
WIDE_M = 15.0
NO_GLANCE = np.zeros(0, np.uint8)


def frames_table(
    rows: Sequence[Row], wide: NDArray[np.bool_], periods: Sequence[Period]
) -> pa.Table:
    """The table `frames`; where the camera is known to see much of the pitch, the view is wide."""
    columns = {
        "frame": [row.frame for row in rows],
        "time_s": [row.time_s for row in rows],
        **match_time.columns(periods, np.array([row.time_s for row in rows], dtype=np.float64)),
        "segment": [row.segment for row in rows],
        "decoded": [row.decoded for row in rows],
        "view": ["wide" if is_wide else row.view for row, is_wide in zip(rows, wide, strict=True)],
        "shot": [row.shot for row in rows],
        "replay": [False] * len(rows),
        "camera_motion": [row.motion for row in rows],
    }
    return tables.make("frames", columns)


def followed_tables(
    rows: Sequence[Row],
    beliefs: Sequence[Belief | None],
    centre: Array,
    pitch: Pitch,
    max_error_m: float,
    periods: Sequence[Period] = (),
) -> dict[str, pa.Table]:
    """Both tables for rows whose final beliefs are `beliefs`.

    A picture that persons fill, or that shows two shots at once, has no camera.
    """
    errors, widths = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    known = [index for index, belief in enumerate(beliefs) if belief is not None]
    found = [belief for belief in beliefs if belief is not None]
    if found:
        misfits = np.array([rows[index].misfit for index in known])
        errors[known], widths[known] = expected_errors(found, misfits, centre, pitch)
    shown = np.array([not (row.near or row.mixed) for row in rows], bool)
    good = (errors <= max_error_m) & shown
    answers = [
        _answer(row, belief, float(error), centre) if ok and belief else _none(row)
        for row, belief, error, ok in zip(rows, beliefs, errors, good, strict=True)
    ]
    return {
        "frames": frames_table(rows, good & (widths >= WIDE_M), periods),
        "calibration": _calibration(answers),
    }


def fixed_tables(
    rows: Sequence[Row], fixed: FixedCamera, periods: Sequence[Period] = ()
) -> dict[str, pa.Table]:
    """Both tables for a camera that never moves."""
    known = _camera_columns(fixed.camera)
    answers = [
        {
            "frame": row.frame,
            "homography": fixed.homography.ravel(),
            **known,
            "error_m": fixed.error_m,
            "status": "measured",
        }
        for row in rows
    ]
    return {
        "frames": frames_table(rows, np.zeros(len(rows), bool), periods),
        "calibration": _calibration(answers),
    }


def shot_changes_table(rows: Sequence[Row], shot_before: int) -> pa.Table:
    """The table `shot_changes` of rows in order, the first after a row of `shot_before`."""
    before = [shot_before, *(row.shot for row in rows)]
    first = [row for row, earlier in zip(rows, before, strict=False) if row.shot != earlier]
    mixes = [row.change or Mix(row.frame, row.frame, row.frame, NO_GLANCE) for row in first]
    columns = {
        "frame": [row.frame for row in first],
        "shot": [row.shot for row in first],
        "start_frame": [mix.start for mix in mixes],
        "end_frame": [mix.end for mix in mixes],
        "glances": [mix.glances for mix in mixes],
    }
    return tables.make("shot_changes", columns)


def _answer(row: Row, belief: Belief, error_m: float, centre: Array) -> dict[str, Any]:
    return {
        "frame": row.frame,
        "homography": cameras.pixel_to_ground(belief.mean, centre).ravel(),
        **_camera_columns(belief.mean),
        "error_m": error_m,
        "status": "measured" if row.measured else "propagated",
    }


def _none(row: Row) -> dict[str, Any]:
    return {
        "frame": row.frame,
        "homography": None,
        **_camera_columns(None),
        "error_m": None,
        "status": "none",
    }


def _camera_columns(camera: Array | None) -> dict[str, float | None]:
    names = (
        "focal_px",
        "pan_deg",
        "tilt_deg",
        "roll_deg",
        "camera_x",
        "camera_y",
        "camera_z",
        "k1",
    )
    if camera is None:
        return dict.fromkeys(names)
    angles = np.degrees(camera[[PAN, TILT, ROLL]])
    values = [np.exp(camera[LOG_FOCAL]), *angles, *camera[[X, Y, Z, K1]]]
    return dict(zip(names, map(float, values), strict=True))


def _calibration(answers: Sequence[dict[str, Any]]) -> pa.Table:
    names = tables.SCHEMAS["calibration"].names
    return tables.make("calibration", {name: [row[name] for row in answers] for name in names})
