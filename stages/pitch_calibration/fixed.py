"""A camera that the user fixed by pairs of picture and pitch places: the same for each frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from domain.configuration import PointPair
from domain.errors import ConfigurationError
from domain.pitch import project
from stages.pitch_calibration import camera as cameras

Array = NDArray[np.float64]

# how well a person clicks, in a picture 1920 wide
CLICK_NOISE_PX = 3.0


@dataclass(frozen=True)
class FixedCamera:
    """`homography` (3, 3) from pixels to metres, the camera (8,) where it has one, the error."""

    homography: Array
    camera: Array | None
    error_m: float

    @classmethod
    def from_pairs(cls, pairs: Sequence[PointPair], centre: Array) -> "FixedCamera":
        """The homography that fits all pairs best in pixels.

        Raises:
            ConfigurationError: the pairs lie on one line, or describe no view of a plane.
        """
        pixels = np.array([pair.pixel for pair in pairs])
        ground = np.array([pair.metre for pair in pairs])
        to_pixels, _ = cv2.findHomography(ground, pixels, 0)
        if to_pixels is None or abs(np.linalg.det(to_pixels / np.linalg.norm(to_pixels))) < 1e-12:
            raise ConfigurationError(
                "pitch_calibration.fixed_points: expected four or more places of which no three "
                f"lie on a line, actual {ground.tolist()}"
            )
        homography = np.linalg.inv(to_pixels)
        # positive third coordinate in front of the camera
        homography *= np.sign(homography[2] @ np.append(pixels.mean(axis=0), 1.0))
        homography /= np.linalg.norm(homography)
        camera = cameras.from_homography(homography, centre)
        return cls(homography, camera, _error(homography, pixels, ground, centre))


def _error(homography: Array, pixels: Array, ground: Array, centre: Array) -> float:
    """The expected error: the misses where there are enough pairs to show them, else a click's."""
    click = CLICK_NOISE_PX * centre[0] / 960
    moved = [project(homography, pixels + click * axis) for axis in np.eye(2)]
    clicks = sum(((place - project(homography, pixels)) ** 2).sum(axis=1) for place in moved)
    misses = ((project(homography, pixels) - ground) ** 2).sum(axis=1)
    # n pairs give 2n numbers, of which 8 are fitted
    freedom = max(2 * len(pixels) - 8, 0)
    shown = misses.sum() * 2 / freedom if freedom else 0.0
    return float(np.sqrt(max(np.mean(clicks), shown)))
