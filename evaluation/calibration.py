"""Calibration of a match: the answers' error over the visible pitch, against true homographies."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.match_tables import column
from evaluation.pitch import Homography, image_grid, misplacement_m, on_pitch
from evaluation.scores import Scores, percentile, share


def score_calibration(
    truth: pa.Table,
    result: pa.Table,
    frames: NDArray[np.int64],
    view: tuple[float, float, float, float],
) -> Scores:
    """Median and 95th percentile error in metres over the visible pitch of all answered frames.

    Args:
        frames: the frames that are scored.
        view: x1 y1 x2 y2 of the image in pixels, whose grid of points is compared.
    """
    true, found = _homographies(truth, frames), _homographies(result, frames)
    errors = [frame_errors_m(true[n], found[n], view) for n in true.keys() & found.keys()]
    pooled = np.concatenate(errors) if errors else np.zeros(0)
    return {
        "calibration_median_error_m": percentile(pooled, 50),
        "calibration_p95_error_m": percentile(pooled, 95),
        "calibration_answered_share": share(len(errors), len(true)),
        "calibration_false_answers": len(found.keys() - true.keys()),
    }


def frame_errors_m(
    truth: Homography, answer: Homography, view: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Errors in metres of the image points in `view` that truth puts on the pitch."""
    x1, y1, x2, y2 = view
    grid = image_grid((x2 - x1, y2 - y1), (x1, y1))
    # the lowest image row shows ground whenever anything does
    bottom = np.array([(x1 + x2) / 2, y2])
    return misplacement_m(truth, answer, grid[on_pitch(truth, grid, bottom)])


def _homographies(table: pa.Table, frames: NDArray[np.int64]) -> dict[int, Homography]:
    scored = set(frames.tolist())
    rows = zip(column(table, "frame").tolist(), table["homography"].to_pylist(), strict=True)
    return {
        number: np.array(values, dtype=np.float64).reshape(3, 3)
        for number, values in rows
        if values is not None and number in scored
    }
