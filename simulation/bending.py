"""Bends a picture drawn as through a straight lens into the picture of the lens there is."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from domain.lens import straightened
from simulation.arrays import Floats, Pixels
from simulation.camera import Eye

NODES = (97, 55)  # the bend is computed at so many places across and down, and is smooth between
FOCAL_STEP = 1e-3  # a zoom by less moves nothing by a tenth of a pixel


@dataclass(frozen=True)
class Bend:
    """Where each pixel (h, w) of a bent picture lies in one drawn straight and `margin` wider."""

    margin: int
    maps: tuple[np.ndarray, np.ndarray] | None

    def canvas(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size of the straight picture."""
        return size[0] + 2 * self.margin, size[1] + 2 * self.margin

    def shifted(self, matrix: Floats) -> Floats:
        """The projection (3, 4) onto the straight picture."""
        shift = np.array([[1.0, 0.0, self.margin], [0.0, 1.0, self.margin], [0.0, 0.0, 1.0]])
        return np.asarray(shift @ matrix)

    def apply(self, straight: Pixels) -> Pixels:
        if self.maps is None:
            return straight
        return np.asarray(cv2.remap(straight, *self.maps, cv2.INTER_LINEAR), dtype=np.uint8)


class Bending:
    """The bend of each frame's lens; computed again when the camera has zoomed.

    Focal lengths are taken in steps, so that no frame depends on which was drawn before it.
    """

    def __init__(self) -> None:
        self._focal_px, self._k1 = 1.0, 0.0
        self._bend = Bend(0, None)

    def at(self, eye: Eye) -> Bend:
        """The bend of `eye`."""
        focal_px = math.exp(round(math.log(eye.focal_px) / FOCAL_STEP) * FOCAL_STEP)
        if (focal_px, eye.k1) != (self._focal_px, self._k1):
            self._focal_px, self._k1 = focal_px, eye.k1
            stepped = replace(eye, focal_px=focal_px)
            self._bend = Bend(0, None) if eye.k1 == 0.0 else _bend(stepped)
        return self._bend


def _bend(eye: Eye) -> Bend:
    # pixel i covers i to i + 1: its middle is at i + 0.5
    nodes = [
        np.linspace(0.0, n - 1, k) for n, k in zip((eye.width, eye.height), NODES, strict=True)
    ]
    at = np.stack(np.meshgrid(*nodes), axis=2)
    offset = at + 0.5 - np.array([eye.width, eye.height]) / 2
    moved = straightened(offset, eye.k1 / eye.focal_px**2) - offset
    beyond = np.maximum(-(at + moved), at + moved - [eye.width - 1, eye.height - 1]).max()
    margin = max(math.ceil(float(beyond)), 0)
    spread = np.array(
        [[(NODES[0] - 1) / (eye.width - 1), 0, 0], [0, (NODES[1] - 1) / (eye.height - 1), 0]]
    )
    maps = cv2.warpAffine(
        moved.astype(np.float32),
        spread,
        (eye.width, eye.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    maps[..., 0] += np.arange(eye.width, dtype=np.float32) + margin
    maps[..., 1] += np.arange(eye.height, dtype=np.float32)[:, None] + margin
    return Bend(margin, cv2.convertMaps(maps, None, cv2.CV_16SC2))
