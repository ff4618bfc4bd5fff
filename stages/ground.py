"""Where points of the image lie on the pitch, row by row, and what pixel noise means there.

Both trackers need it for many rows of many frames at once. Arithmetic is element by element, so a
row's result never depends on the rows beside it.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.lens import straightening

FloatArray = NDArray[np.float64]
CAMERA_SIZE = 10
"""Numbers that take a pixel to the ground: the homography's nine, and the lens's k1 / focal^2."""


def homography_rows(column: pa.ChunkedArray) -> FloatArray:
    """A nullable column of nine numbers as an array (n, 9); null rows become NaN."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    result = np.full((len(array), 9), np.nan)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    result[valid] = np.asarray(array.flatten(), np.float64).reshape(-1, 9)
    return result


def camera_rows(calibration: pa.Table) -> FloatArray:
    """The table `calibration` as an array (n, CAMERA_SIZE); NaN where there is no homography.

    A lens of which nothing is known is straight.
    """
    k1, focal = (calibration[name].to_numpy(zero_copy_only=False) for name in ("k1", "focal_px"))
    bend = np.nan_to_num(k1 / focal**2)
    return np.column_stack([homography_rows(calibration["homography"]), bend])


def to_pitch(
    camera: FloatArray, pixels: FloatArray, centre: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Points of the image on the ground plane.

    Args:
        camera: (n, 10) or (1, 10), as of `camera_rows`; NaN where there is none.
        pixels: (n, 2) source pixels.
        centre: the picture's middle, about which the lens bends. The middle of the lower edge
            always shows ground before the camera: a point beyond the horizon is none of the pitch.

    Returns:
        Metres (n, 2) and the Jacobian d(metre)/d(pixel) (n, 2, 2); NaN where unknown.
    """
    bend = np.broadcast_to(camera[:, 9], len(pixels))
    offsets, straight = straightening(pixels - np.array(centre), np.nan_to_num(bend))
    bottom = (centre[0], 2 * centre[1])
    place, jacobian = _mapped(camera[:, :9], offsets + np.array(centre), bottom)
    return place, jacobian @ straight


def _mapped(
    homography: FloatArray, pixels: FloatArray, near: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Points (n, 2) by homographies (n, 9) or (1, 9), and the Jacobian (n, 2, 2).

    NaN for what lies on the other side of the horizon than the point `near`.
    """
    h = homography.T
    u, v = pixels[:, 0], pixels[:, 1]
    depth = h[6] * u + h[7] * v + h[8]
    ahead = depth * (h[6] * near[0] + h[7] * near[1] + h[8]) > 0
    depth = np.where(ahead, depth, np.nan)
    x = (h[0] * u + h[1] * v + h[2]) / depth
    y = (h[3] * u + h[4] * v + h[5]) / depth
    jacobian = np.empty((len(pixels), 2, 2))
    jacobian[:, 0, 0] = (h[0] - x * h[6]) / depth
    jacobian[:, 0, 1] = (h[1] - x * h[7]) / depth
    jacobian[:, 1, 0] = (h[3] - y * h[6]) / depth
    jacobian[:, 1, 1] = (h[4] - y * h[7]) / depth
    return np.column_stack([x, y]), jacobian


def noise_m(jacobian: FloatArray, sigma_u: FloatArray, sigma_v: FloatArray) -> FloatArray:
    """Standard deviation in metres along one axis (the root mean of both axes' variances).

    `sigma_u` and `sigma_v` (n,) are the point's deviations in pixels, across and down.
    """
    across = (jacobian[:, 0, 0] ** 2 + jacobian[:, 1, 0] ** 2) * sigma_u**2
    down = (jacobian[:, 0, 1] ** 2 + jacobian[:, 1, 1] ** 2) * sigma_v**2
    return np.asarray(np.sqrt((across + down) / 2))


def move(motion: FloatArray, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Points (n, 2) of the frame before as points of this one, and the Jacobian (n, 2, 2).

    `motion` (9,) is the frame's camera motion; NaN (unknown) leaves the points where they are.
    """
    if not np.isfinite(motion).all():
        return points, np.broadcast_to(np.eye(2), (len(points), 2, 2))
    # the picture's own corner is surely on its near side
    moved, jacobian = _mapped(motion[None], points, (0.0, 0.0))
    lost = ~np.isfinite(moved).all(axis=1)
    moved[lost], jacobian[lost] = points[lost], np.eye(2)
    return moved, jacobian


def scale_of(jacobian: FloatArray) -> FloatArray:
    """How much longer lengths become, (n,): the root of the Jacobian's determinant."""
    determinant = jacobian[:, 0, 0] * jacobian[:, 1, 1] - jacobian[:, 0, 1] * jacobian[:, 1, 0]
    return np.asarray(np.sqrt(np.abs(determinant)))
