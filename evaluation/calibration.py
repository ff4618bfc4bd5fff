"""The camera over a match: how far off, how often answered, and is its expected error right?"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.errors import InputError
from domain.lens import straightened
from domain.pitch import project
from evaluation.match_tables import column
from evaluation.pitch import Homography, apart_m, image_grid, on_pitch
from evaluation.scores import Scores, percentile, root_mean_square, share


@dataclass(frozen=True)
class View:
    """What part of the picture is compared, in pixels.

    Attributes:
        corners: x1 y1 x2 y2.
        centre: (2,) the middle of the picture; None where its size is not known, which is enough
            as long as no lens is bent.
    """

    corners: tuple[float, float, float, float]
    centre: NDArray[np.float64] | None

    @classmethod
    def of_size(cls, width: float, height: float) -> "View":
        """The whole of a picture."""
        return cls((0.0, 0.0, float(width), float(height)), np.array([width / 2, height / 2]))


@dataclass(frozen=True)
class Camera:
    """One answer: pixels without distortion to metres, and what bends them before.

    Attributes:
        homography: (3, 3)
        focal_px, k1: of the lens, in OpenCV's convention; k1 is 0 where nothing is said of it.
        error_m: the error that is expected, NaN where nothing is said of it.
    """

    homography: Homography
    focal_px: float = np.nan
    k1: float = 0.0
    error_m: float = np.nan

    def straight(self, pixels: NDArray[np.float64], view: View) -> NDArray[np.float64]:
        """Pixels (n, 2) of the picture as the homography takes them.

        Raises:
            InputError: the lens is bent, and its focal length or the picture's size is not known.
        """
        if self.k1 == 0:
            return pixels
        if view.centre is None or not self.focal_px > 0:
            raise InputError(
                "calibration: k1 is given, so the focal length and the picture's size are needed; "
                "`footanalytics simulate` tells the size in truth.json, which --truth lacks"
            )
        offsets = (pixels - view.centre) / self.focal_px
        return np.asarray(view.centre + straightened(offsets, self.k1) * self.focal_px)


def score_calibration(
    truth: pa.Table,
    result: pa.Table,
    frames: NDArray[np.int64],
    view: View,
    no_pitch: NDArray[np.int64] | None = None,
) -> Scores:
    """Errors in metres over the visible pitch, pooled over all answered frames.

    Args:
        frames: (n,) the frames that are scored.
        view: the part of the picture whose grid of points is compared.
        no_pitch: (m,) frames that show no wide view of the pitch: any answer there is false.

    Returns:
        `calibration_frames` (with a true camera), `calibration_answered_frames` of these and
        `calibration_answered_share`,
        `calibration_median_error_m`, `calibration_p95_error_m`; `calibration_sigma_coverage`: the
        share of frames whose root mean square error is within the expected one;
        `calibration_false_answers`, `calibration_no_pitch_frames` in which they may lie, and
        `calibration_false_share` of these.

    Raises:
        InputError: a lens is bent, and its focal length or the picture's size is not known.
    """
    nowhere = np.zeros(0, np.int64) if no_pitch is None else no_pitch
    true, found = cameras_of(truth, frames), cameras_of(result, frames)
    both = sorted(true.keys() & found.keys())
    errors = [frame_errors_m(true[n], found[n], view) for n in both]
    pooled = np.concatenate(errors) if errors else np.zeros(0)
    false = len(found.keys() - true.keys()) + len(cameras_of(result, nowhere))
    without = len(nowhere) + len(frames) - len(true)
    return {
        "calibration_frames": len(true),
        "calibration_median_error_m": percentile(pooled, 50),
        "calibration_p95_error_m": percentile(pooled, 95),
        "calibration_answered_frames": len(both),
        "calibration_answered_share": share(len(both), len(true)),
        "calibration_sigma_coverage": _coverage(errors, [found[n].error_m for n in both]),
        "calibration_false_answers": false if len(true) or len(nowhere) else None,
        "calibration_no_pitch_frames": without,
        "calibration_false_share": share(false, without),
    }


def frame_errors_m(truth: Camera, answer: Camera, view: View) -> NDArray[np.float64]:
    """Errors in metres of the image points in `view` that truth puts on the pitch."""
    x1, y1, x2, y2 = view.corners
    grid = image_grid((x2 - x1, y2 - y1), (x1, y1))
    # the lowest image row shows ground whenever anything does
    bottom = truth.straight(np.array([[(x1 + x2) / 2, y2]]), view)[0]
    straight = truth.straight(grid, view)
    seen = on_pitch(truth.homography, straight, bottom)
    answered = project(answer.homography, answer.straight(grid[seen], view))
    return apart_m(project(truth.homography, straight[seen]), answered)


def cameras_of(table: pa.Table, frames: NDArray[np.int64]) -> dict[int, Camera]:
    """The answers of a calibration table in `frames` (n,), by frame."""
    rows = table.filter(pa.array(np.isin(column(table, "frame"), frames)))
    return {row["frame"]: _camera(row) for row in rows.to_pylist() if row["homography"] is not None}


def _camera(row: dict[str, float]) -> Camera:
    focal_px, error_m = (
        np.nan if row[name] is None else row[name] for name in ("focal_px", "error_m")
    )
    matrix = np.array(row["homography"], dtype=np.float64).reshape(3, 3)
    return Camera(matrix, focal_px, row["k1"] or 0.0, error_m)


def _coverage(errors: list[NDArray[np.float64]], expected: list[float]) -> float | None:
    """Share of frames whose root mean square error is at most the expected one."""
    pairs = [
        (root_mean_square(frame), wanted)
        for frame, wanted in zip(errors, expected, strict=True)
        if len(frame) and not np.isnan(wanted)
    ]
    return share(sum(error is not None and error <= wanted for error, wanted in pairs), len(pairs))
