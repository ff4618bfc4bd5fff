"""From the ball's pixels to metres, if it is on the ground, and how far off that may be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from application.stage import MatchFacts
from stages import ground
from stages.ball_tracking.state import Frames

FloatArray = NDArray[np.float64]

BALL_RADIUS_M = 0.11
# hardly any ball rolls faster: what seems to is in the air, nearer to the camera than it looks
ROLLING_MPS = 30.0
FLIGHT_S = 0.3
NOWHERE_M = 20.0


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

    A ball high above the ground is seen against a place far behind it. Two signs give that away,
    and widen the deviation: a place outside the pitch, and a speed that no rolling ball has.
    """
    touching = pixel + np.column_stack([np.zeros(len(pixel)), BALL_RADIUS_M * frames.scale])
    bottom = (facts.width / 2, float(facts.height))
    place, jacobian = ground.to_pitch(frames.homography, touching, bottom)
    spread = np.sqrt(variance)
    noise_m = ground.noise_m(jacobian, spread, spread)
    speed = np.hypot(*(jacobian * velocity[:, None, :]).sum(axis=2).T)
    limits = np.array([facts.pitch.half_length_m, facts.pitch.half_width_m])
    outside = np.maximum(np.abs(place) - limits, 0.0).max(axis=1, initial=0.0)
    flight = FLIGHT_S * np.maximum(speed - ROLLING_MPS, 0.0)
    bias = np.nan_to_num(frames.error_m) ** 2 / 2
    sigma_m = np.sqrt(noise_m**2 + bias + outside**2 + flight**2)
    somewhere = np.isfinite(sigma_m) & (outside <= NOWHERE_M)
    return Path(
        pixel, np.where(somewhere[:, None], place, np.nan), np.where(somewhere, sigma_m, np.nan)
    )
