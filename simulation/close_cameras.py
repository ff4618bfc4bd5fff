"""Cameras that show no play to measure: close-ups, the touchline's camera, the crowd."""

import numpy as np

from simulation.arrays import Floats
from simulation.camera import CameraPath
from simulation.operators import HALF_WIDTH_M, Stance, aimed, operator_aim

TOUCHLINE_BACK_M = 3.6  # in front of the boards
EYE_HEIGHT_M = (1.5, 2.1)
CLOSE_VIEW_M = (1.7, 5.0)
TOUCHLINE_VIEW_M = (14.0, 20.0)
CROWD_M, CROWD_VIEW_M = (48.0, 4.2), (5.0, 10.5)  # y and height of the spectators' middle
LOW_SHARE = 0.6  # of close-ups are taken from the touchline, the others from the stand


def close_up(
    subject: Floats, stand: Floats, fps: float, size: tuple[int, int], rng: np.random.Generator
) -> CameraPath:
    """Somebody at `subject` (n, 2), from the touchline or from a camera at `stand` (3)."""
    low = rng.random() < LOW_SHARE
    place = _on_touchline(float(subject[:, 0].mean()), rng) if low else stand
    view_m = float(np.exp(rng.uniform(*np.log(CLOSE_VIEW_M))))
    flat = operator_aim(subject, fps, slack=0.3)
    chest_m = np.interp(view_m, CLOSE_VIEW_M, (1.5, 0.95))
    aim = np.column_stack([flat, np.full(len(flat), chest_m)])
    return aimed(size, place, aim, np.full(len(aim), view_m), fps, rng, shake=view_m / 25.0)


def touchline_stance(near_x: float, rng: np.random.Generator) -> Stance:
    """A camera at eye height beside the pitch, level with `near_x` or nearly so."""
    return Stance(_on_touchline(near_x, rng), rng.uniform(*TOUCHLINE_VIEW_M))


def _on_touchline(near_x: float, rng: np.random.Generator) -> Floats:
    x = float(np.clip(near_x + rng.uniform(-12.0, 12.0), -48.0, 48.0))
    return np.array([x, -HALF_WIDTH_M - TOUCHLINE_BACK_M, rng.uniform(*EYE_HEIGHT_M)])


def crowd_shot(
    count: int, stand: Floats, fps: float, size: tuple[int, int], rng: np.random.Generator
) -> CameraPath:
    """A slow pan over the spectators in the far stand, from a camera at `stand` (3)."""
    start, drift = rng.uniform(-8.0, 8.0), rng.uniform(-1.2, 1.2)
    x = start + drift * np.arange(count) / fps
    aim = np.column_stack([x, np.full(count, CROWD_M[0]), np.full(count, CROWD_M[1])])
    view_m = np.full(count, rng.uniform(*CROWD_VIEW_M))
    return aimed(size, stand, aim, view_m, fps, rng, shake=0.15)
