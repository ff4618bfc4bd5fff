"""Pinhole cameras: where they stand, where they look and what they see.

Pan is measured from +y (away from the main camera) towards +x, tilt downwards from level, roll
clockwise, all in degrees. Camera axes are x right, y down, z forward; pixels start at the image's
top left, and the principal point is its middle. A lens bends what it shows as `domain.lens` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.lens import FOLD
from simulation.arrays import Bools, Floats, Ints

NEAR_M = 1.0  # nothing nearer than this is drawn


@dataclass(frozen=True)
class Eye:
    """A camera at one moment: `matrix` (3, 4) from metres to the pixels of a lens that bends
    nothing, and the `k1` of the lens that it has.
    """

    width: int
    height: int
    matrix: Floats
    focal_px: float
    k1: float

    @property
    def place(self) -> Floats:
        """Where the camera is (3), in metres."""
        return np.asarray(-np.linalg.solve(self.matrix[:, :3], self.matrix[:, 3]))

    def pixels(self, points: Floats) -> tuple[Floats, Floats]:
        """Pixels (..., 2) and depths (...) in metres of points (..., 3); only depths above 0 count.

        Far outside the picture, where the formula of a barrel lens would fold back into it, points
        stay in their order.
        """
        straight, depth = project(self.matrix, points)
        if self.k1 == 0.0:
            return straight, depth
        middle = np.array([self.width, self.height]) / 2
        offset = straight - middle
        k_r2 = self.k1 / self.focal_px**2 * (offset**2).sum(axis=-1, keepdims=True)
        return middle + offset * (1 + np.maximum(k_r2, FOLD / 3)), depth


@dataclass(frozen=True)
class CameraPath:
    """A camera at each frame: arrays (n) and position (n, 3) in metres; `k1` of domain.lens."""

    width: int
    height: int
    focal_px: Floats
    pan_deg: Floats
    tilt_deg: Floats
    roll_deg: Floats
    position: Floats
    k1: Floats

    def __len__(self) -> int:
        return len(self.focal_px)

    def take(self, rows: Ints) -> "CameraPath":
        """The camera at some of its frames, in their order."""
        chosen = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return CameraPath(self.width, self.height, **chosen)

    def matrices(self) -> Floats:
        """Projections (n, 3, 4) from pitch metres to the pixels of a lens that bends nothing."""
        rotation = _rotations(self.pan_deg, self.tilt_deg, self.roll_deg)
        inner = np.zeros((len(self), 3, 3))
        inner[:, 0, 0] = inner[:, 1, 1] = self.focal_px
        inner[:, 0, 2], inner[:, 1, 2], inner[:, 2, 2] = self.width / 2, self.height / 2, 1.0
        shift = -np.einsum("nij,nj->ni", rotation, self.position)
        return np.asarray(inner @ np.concatenate([rotation, shift[:, :, None]], axis=2))

    def pixels(self, frame: int, points: Floats) -> tuple[Floats, Floats]:
        """Where points (..., 3) in metres are seen at `frame`: pixels and depths in metres."""
        return self.eye(frame).pixels(points)

    def eye(self, frame: int) -> Eye:
        """The camera at `frame`."""
        matrix = self.take(np.array([frame])).matrices()[0]
        focal_px, k1 = float(self.focal_px[frame]), float(self.k1[frame])
        return Eye(self.width, self.height, matrix, focal_px, k1)

    def homographies(self) -> Floats:
        """Homographies (n, 3, 3) from pixels of a straight lens to the ground, h33 = 1."""
        inverse = np.linalg.inv(self.matrices()[:, :, [0, 1, 3]])
        return np.asarray(inverse / inverse[:, 2:, 2:])


_ARRAYS = ("focal_px", "pan_deg", "tilt_deg", "roll_deg", "position", "k1")


def joined(paths: Sequence[CameraPath]) -> CameraPath:
    """Paths of one picture size, one after the other."""
    arrays = {name: np.concatenate([getattr(path, name) for path in paths]) for name in _ARRAYS}
    return CameraPath(paths[0].width, paths[0].height, **arrays)


def _rotations(pan_deg: Floats, tilt_deg: Floats, roll_deg: Floats) -> Floats:
    """Rotations (n, 3, 3) from pitch axes to camera axes."""
    pan, tilt, roll = (np.radians(angle) for angle in (pan_deg, tilt_deg, roll_deg))
    zero = np.zeros_like(pan)
    forward = np.stack(
        [np.sin(pan) * np.cos(tilt), np.cos(pan) * np.cos(tilt), -np.sin(tilt)], axis=1
    )
    level = np.stack([np.cos(pan), -np.sin(pan), zero], axis=1)
    below = np.cross(forward, level)
    cos, sin = np.cos(roll)[:, None], np.sin(roll)[:, None]
    return np.stack([cos * level + sin * below, cos * below - sin * level, forward], axis=1)


def project(matrix: Floats, points: Floats) -> tuple[Floats, Floats]:
    """Pixels (..., 2) and depths (...) of points (..., 3) in metres through a straight lens."""
    mapped = points @ matrix[:, :3].T + matrix[:, 3]
    depth = mapped[..., 2]
    safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
    return mapped[..., :2] / safe[..., None], depth


def in_image(pixels: Floats, width: int, height: int) -> Bools:
    """Whether pixels (..., 2) lie inside the picture."""
    inside = (pixels >= 0) & (pixels < np.array([width, height]))
    return np.asarray(inside.all(axis=-1))
