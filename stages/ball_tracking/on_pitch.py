"""From the ball's pixels to metres, if it is on the ground, and how far off that may be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from application.stage import MatchFacts
from stages import ground
from stages.ball_tracking.state import Frames

FloatArray = NDArray[np.float64]

BALL_RADIUS_M = 0.11
# how high the ball may be, by how fast it seems to go: about two thirds of what simulated matches
# and optical tracking have lie below, up to 16 m/s
ROLLING_MPS = 6.0
HEIGHT_S = 0.2
MAX_HEIGHT_M = 3.0
NOWHERE_M = 10.0


@dataclass(frozen=True)
class Path:
    """Places in pixels and metres (n, 2) and deviations (n,) in metres; NaN where unknown."""

    pixel: FloatArray
    place: FloatArray
    sigma_m: FloatArray


def locate(
    frames: Frames,
    pixel: FloatArray,
    velocity: FloatArray,
    variance: FloatArray,
    facts: MatchFacts,
) -> Path:
    """Project the ball's centre (n, 2), moved down to where it touches the ground.

    A ball above the ground is seen against a place behind it, the farther the lower the camera.
    Its height is not known, but a fast ball is often in the air, and one that seems to be outside
    the pitch is so nearly always: both widen the deviation.
    """
    touching = pixel + np.column_stack([np.zeros(len(pixel)), BALL_RADIUS_M * frames.scale])
    middle = (facts.width / 2, facts.height / 2)
    place, jacobian = ground.to_pitch(frames.camera, touching, middle)
    spread = np.sqrt(variance)
    noise_m = ground.noise_m(jacobian, spread, spread)
    speed = np.hypot(*(jacobian * velocity[:, None, :]).sum(axis=2).T)
    limits = np.array([facts.pitch.half_length_m, facts.pitch.half_width_m])
    outside = np.maximum(np.abs(place) - limits, 0.0).max(axis=1, initial=0.0)
    height = np.clip(HEIGHT_S * (speed - ROLLING_MPS), 0.0, MAX_HEIGHT_M)
    flight = height * _behind_per_height(jacobian)
    bias = np.nan_to_num(frames.error_m) ** 2 / 2
    sigma_m = np.sqrt(noise_m**2 + bias + outside**2 + flight**2)
    somewhere = np.isfinite(sigma_m) & (outside <= NOWHERE_M)
    return Path(
        pixel, np.where(somewhere[:, None], place, np.nan), np.where(somewhere, sigma_m, np.nan)
    )


def _behind_per_height(jacobian: FloatArray) -> FloatArray:
    """Metres behind that a point seems to lie for each metre of its height (n,).

    That is the cotangent of the line of sight's elevation, whose sine is the ground's
    foreshortening: metres a pixel across over metres a pixel down.
    """
    across = np.hypot(jacobian[:, 0, 0], jacobian[:, 1, 0])
    down = np.hypot(jacobian[:, 0, 1], jacobian[:, 1, 1])
    return np.asarray(np.sqrt(np.maximum((down / across) ** 2 - 1, 0.0)))
