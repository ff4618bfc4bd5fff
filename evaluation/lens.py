"""Radial lens distortion: where a pixel would be without it."""

import numpy as np
from numpy.typing import NDArray

_STEPS = 12


def undistorted(
    pixels: NDArray[np.float64], centre: NDArray[np.float64], focal_px: float, k1: float
) -> NDArray[np.float64]:
    """Pixels (n, 2) of a picture as a lens without distortion would show them.

    OpenCV's model with one coefficient and the principal point in the middle of the picture:
    distorted = straight (1 + k1 r^2), r being the straight radius in focal lengths. Solved for
    the straight radius by Newton's method; NaN beyond the radius at which such a lens folds over.

    Args:
        centre: (2,) the middle of the picture in pixels.
    """
    if k1 == 0:
        return pixels
    away = (pixels - centre) / focal_px
    bent = np.linalg.norm(away, axis=1)
    straight = bent.copy()
    # 3 k1 r^2 = -1 is the fold; a step that starts beside it would leap
    limit = np.inf if k1 > 0 else 0.999 / np.sqrt(-3 * k1)
    for _ in range(_STEPS):
        miss = straight + k1 * straight**3 - bent
        straight = np.clip(straight - miss / (1 + 3 * k1 * straight**2), 0, limit)
    solved = np.abs(straight + k1 * straight**3 - bent) < 1e-9
    # a lens is nothing but a factor along the radius, which is 1 in the middle
    factor = np.divide(straight, bent, out=np.ones_like(bent), where=bent > 0)
    factor[~solved] = np.nan
    return np.asarray(centre + away * factor[:, None] * focal_px)
