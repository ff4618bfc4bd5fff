"""An amateur's camera: a phone held beside the pitch by somebody who watches the match too."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from simulation.arrays import Floats
from simulation.camera import CameraPath

HALF_LENGTH_M, HALF_WIDTH_M = 52.5, 34.0
BACK_M = (5.0, 14.0)  # behind the near touchline: a bank, a small stand
HEIGHT_M = (3.0, 6.0)
SIDE_M = (-16.0, 16.0)
# A phone's main lens is 24 to 28 mm on 36 mm of film; action cameras and cheap lenses bend more.
FOCAL_WIDTHS = (0.68, 0.9)
K1 = (-0.12, 0.035)
ZOOM, ZOOM_EVERY_S, ZOOM_TAKES_S = (1.0, 2.4), (3.0, 8.0), 0.25
LAG_S, SMOOTH_S = 0.4, 0.5
AWAY_EVERY_S, AWAY_S, AWAY_M = 14.0, (0.8, 2.2), 13.0  # when the ball is lost from sight
TREMOR_DEG, TREMOR_S = 0.07, 0.05  # the hands
SWAY_DEG, SWAY_S = 0.7, 0.6  # the arms
ROLL_DEG = 2.0


def amateur(
    ball: Floats, fps: float, size: tuple[int, int], rng: np.random.Generator
) -> CameraPath:
    """A hand-held camera on a ball at `ball` (n, 3)."""
    count = len(ball)
    side, back, height = (rng.uniform(*limits) for limits in (SIDE_M, BACK_M, HEIGHT_M))
    place = np.array([side, -HALF_WIDTH_M - back, height])
    offset = np.column_stack([_aim(ball, fps, rng), np.full(count, 1.0)]) - place
    flat = np.hypot(offset[:, 0], offset[:, 1])
    pan, tilt = np.arctan2(offset[:, 0], offset[:, 1]), np.arctan2(-offset[:, 2], flat)
    shake = _wander(count, fps, TREMOR_S, TREMOR_DEG, rng) + _wander(
        count, fps, SWAY_S, SWAY_DEG, rng
    )
    roll = rng.uniform(-1.2, 1.2) + 0.8 * shake[:, 2]
    return CameraPath(
        size[0],
        size[1],
        focal_px=size[0] * rng.uniform(*FOCAL_WIDTHS) * _zoom(count, fps, rng),
        pan_deg=np.degrees(pan) + shake[:, 0],
        tilt_deg=np.degrees(tilt) + shake[:, 1],
        roll_deg=np.clip(roll, -ROLL_DEG, ROLL_DEG),
        position=np.tile(place, (count, 1)),
        k1=np.full(count, rng.uniform(*K1)),
    )


def _aim(ball: Floats, fps: float, rng: np.random.Generator) -> Floats:
    """Where the camera points (n, 2): after the ball, and sometimes where it is not."""
    inside = np.clip(ball[:, :2], [-HALF_LENGTH_M, -HALF_WIDTH_M], [HALF_LENGTH_M, HALF_WIDTH_M])
    lag = min(round(LAG_S * fps), len(ball) - 1)
    late = np.concatenate([inside[:1].repeat(lag, axis=0), inside[: len(inside) - lag]])
    for start in np.flatnonzero(rng.random(len(ball)) < 1.0 / (AWAY_EVERY_S * fps)):
        stop = start + round(rng.uniform(*AWAY_S) * fps)
        late[start:stop] = late[start] + rng.normal(0.0, AWAY_M, 2)
    # from low beside the pitch a farther ball is hardly higher in the picture: less tilting
    late[:, 1] = 0.6 * late[:, 1]
    return np.asarray(gaussian_filter1d(late, SMOOTH_S * fps, axis=0, mode="nearest"))


def _zoom(count: int, fps: float, rng: np.random.Generator) -> Floats:
    """Factors (n): held for some seconds, then changed at once, too far and a little back."""
    factor, at = np.empty(count), 0
    level = rng.uniform(1.0, 1.5)
    while at < count:
        stop = at + max(round(rng.uniform(*ZOOM_EVERY_S) * fps), 1)
        factor[at:stop] = level
        level = rng.uniform(*ZOOM)
        overshoot = slice(stop, stop + round(0.5 * fps))
        factor[overshoot] = level * rng.uniform(0.9, 1.12)
        at = stop + round(0.5 * fps)
    return np.asarray(gaussian_filter1d(factor, ZOOM_TAKES_S * fps, mode="nearest"))


def _wander(
    count: int, fps: float, period_s: float, size_deg: float, rng: np.random.Generator
) -> Floats:
    """Smooth noise (n, 3) of standard deviation `size_deg` that changes within `period_s`."""
    width = max(period_s * fps, 0.3)
    raw = gaussian_filter1d(rng.standard_normal((count, 3)), width, axis=0, mode="nearest")
    # smoothing by a Gaussian of width w leaves 1 / sqrt(2 sqrt(pi) w) of white noise's deviation
    return np.asarray(raw * size_deg * np.sqrt(2.0 * np.sqrt(np.pi) * width))
