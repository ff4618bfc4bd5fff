"""A lens that bends straight lines: the first term of radial distortion.

Points are offsets from the picture's middle; where a straight lens would show r, this one shows
r (1 + k r^2) in the same direction (Brown, 1971; OpenCV's convention with k1 alone). In focal
lengths k is k1; in pixels it is k1 / focal^2. Negative is a barrel, positive a pincushion.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# r (1 + k r^2) stops growing where 3 k r^2 = -1: beyond, a lens would show things twice
FOLD = -0.9
NEWTON_STEPS = 6


def bent(offsets: Array, k: ArrayLike) -> Array:
    """Where offsets (..., 2) of a straight lens appear, NaN past the fold; `k` is one or (...)."""
    k_r2 = np.asarray(k) * (offsets**2).sum(axis=-1)
    factor = np.where(3 * k_r2 > FOLD, 1 + k_r2, np.nan)
    return np.asarray(offsets * factor[..., None])


def straightened(offsets: Array, k: ArrayLike) -> Array:
    """The inverse of `bent`: offsets (..., 2) as a straight lens would show them.

    What a barrel lens cannot show, past the fold, stays at the fold.
    """
    shown = np.sqrt((offsets**2).sum(axis=-1))
    radius, _ = _radius(shown, np.asarray(k, np.float64))
    return np.asarray(offsets * _ratio(radius, shown)[..., None])


def straightening(offsets: Array, k: Array) -> tuple[Array, Array]:
    """`straightened` offsets (n, 2) with `k` (n,), and the derivatives (n, 2, 2) by `offsets`."""
    shown = np.sqrt((offsets**2).sum(axis=-1))
    radius, slope = _radius(shown, k)
    ratio = _ratio(radius, shown)
    along = offsets / np.where(shown > 0, shown, 1.0)[:, None]
    outward = along[:, :, None] * along[:, None, :]
    jacobian = ratio[:, None, None] * np.eye(2) + (slope - ratio)[:, None, None] * outward
    return offsets * ratio[:, None], jacobian


def _radius(shown: Array, k: Array) -> tuple[Array, Array]:
    """The straight radius of a shown one, by Newton's method, and its derivative."""
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = np.where(k < 0, np.sqrt(FOLD / (3 * k)), np.inf)
    radius = np.minimum(shown, limit)
    for _ in range(NEWTON_STEPS):
        k_r2 = k * radius**2
        step = (radius * (1 + k_r2) - shown) / (1 + 3 * k_r2)
        radius = np.clip(radius - step, 0.0, limit)
    return radius, 1 / (1 + 3 * k * radius**2)


def _ratio(radius: Array, shown: Array) -> Array:
    return np.asarray(np.where(shown > 0, radius / np.where(shown > 0, shown, 1.0), 1.0))
