"""A drone's camera: it hovers beside the pitch or over it, and drifts a little in the wind."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from simulation.arrays import Floats
from simulation.camera import CameraPath

HALF_WIDTH_M = 34.0
# Beside or over the near half of the pitch, at most 120 m up as most countries' rules have it; who
# films a match stays low enough to tell players apart.
BACK_M, HEIGHT_M, SIDE_M = (-12.0, 22.0), (18.0, 50.0), (-20.0, 20.0)
# lenses of 22 to 28 mm on 36 mm of film, corrected in the camera
FOCAL_WIDTHS, K1 = (0.61, 0.78), (-0.02, 0.01)
DRIFT_M, DRIFT_S = 0.35, 4.0  # satellite navigation and gusts
SHARE, SMOOTH_S = (0.75, 0.35), 1.5  # of the ball's way; the gimbal turns softly
ROLL_DEG = 0.4
AHEAD_M = np.array([0.0, 4.0])  # the play beyond the ball is what a pilot keeps in view


def drone(ball: Floats, fps: float, size: tuple[int, int], rng: np.random.Generator) -> CameraPath:
    """A hovering camera on a ball at `ball` (n, 3)."""
    count = len(ball)
    side, back, height = (rng.uniform(*limits) for limits in (SIDE_M, BACK_M, HEIGHT_M))
    raw = gaussian_filter1d(rng.standard_normal((count, 3)), DRIFT_S * fps, axis=0, mode="wrap")
    drift = raw * DRIFT_M * np.sqrt(2.0 * np.sqrt(np.pi) * DRIFT_S * fps)
    place = np.array([side, -HALF_WIDTH_M - back, height]) + drift
    inside = np.clip(ball[:, :2], [-52.5, -HALF_WIDTH_M], [52.5, HALF_WIDTH_M])
    aim = gaussian_filter1d(inside * SHARE, SMOOTH_S * fps, axis=0, mode="nearest") + AHEAD_M
    offset = np.column_stack([aim, np.zeros(count)]) - place
    flat = np.hypot(offset[:, 0], offset[:, 1])
    return CameraPath(
        size[0],
        size[1],
        focal_px=np.full(count, size[0] * rng.uniform(*FOCAL_WIDTHS)),
        pan_deg=np.degrees(np.arctan2(offset[:, 0], offset[:, 1])),
        tilt_deg=np.degrees(np.arctan2(-offset[:, 2], flat)),
        roll_deg=np.full(count, rng.uniform(-ROLL_DEG, ROLL_DEG)),
        position=place,
        k1=np.full(count, rng.uniform(*K1)),
    )
