"""Pinhole cameras: where they stand, how an operator moves them, what they see.

Pan is measured from +y (away from the main camera) towards +x, tilt downwards from level, roll
clockwise, all in degrees. Camera axes are x right, y down, z forward; pixels start at the image's
top left, and the principal point is its middle.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from simulation.arrays import Bools, Floats

NEAR_M = 1.0  # nothing nearer than this is drawn

# The main camera of broadcast matches: near the halfway line, 20 to 35 m behind the near touchline
# and 12 to 25 m up (FIFA Stadium Guidelines, broadcast camera positions).
MAIN_BACK_M = (26.0, 34.0)
MAIN_HEIGHT_M = (15.0, 21.0)
MAIN_SIDE_M = (-3.0, 3.0)
# Metres across the picture at the ball.
MAIN_VIEW_M = (50.0, 66.0)
LAG_S = 0.22
SMOOTH_S = 0.75
BREATHE_S = 3.0


@dataclass(frozen=True)
class CameraPath:
    """A camera at each frame: arrays (n) and position (n, 3) in metres."""

    width: int
    height: int
    focal_px: Floats
    pan_deg: Floats
    tilt_deg: Floats
    roll_deg: Floats
    position: Floats

    def __len__(self) -> int:
        return len(self.focal_px)

    def matrices(self) -> Floats:
        """Projections (n, 3, 4) from pitch metres to pixels."""
        rotation = _rotations(self.pan_deg, self.tilt_deg, self.roll_deg)
        inner = np.zeros((len(self), 3, 3))
        inner[:, 0, 0] = inner[:, 1, 1] = self.focal_px
        inner[:, 0, 2], inner[:, 1, 2], inner[:, 2, 2] = self.width / 2, self.height / 2, 1.0
        shift = -np.einsum("nij,nj->ni", rotation, self.position)
        return np.asarray(inner @ np.concatenate([rotation, shift[:, :, None]], axis=2))

    def pixels(self, frame: int, points: Floats) -> tuple[Floats, Floats]:
        """Where points (..., 3) in metres are seen at `frame`: pixels and depths in metres."""
        return project(self.matrices()[frame], points)

    def homographies(self) -> Floats:
        """Homographies (n, 3, 3) from pixels to the pitch's ground, h33 = 1."""
        inverse = np.linalg.inv(self.matrices()[:, :, [0, 1, 3]])
        return np.asarray(inverse / inverse[:, 2:, 2:])


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
    """Pixels (..., 2) and depths (...) in metres of points (..., 3); only depths above 0 count."""
    mapped = points @ matrix[:, :3].T + matrix[:, 3]
    depth = mapped[..., 2]
    safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
    return mapped[..., :2] / safe[..., None], depth


def in_image(pixels: Floats, width: int, height: int) -> Bools:
    """Whether pixels (..., 2) lie inside the picture."""
    inside = (pixels >= 0) & (pixels < np.array([width, height]))
    return np.asarray(inside.all(axis=-1))


def camera_path(
    kind: str, ball: Floats, fps: float, size: tuple[int, int], rng: np.random.Generator
) -> CameraPath:
    """The camera `kind` over all frames of a match with a ball at `ball` (n, 3)."""
    if kind == "main":
        return _main(ball, fps, size, rng)
    if kind == "wide":
        return _static(len(ball), size, (0.0, -34.0 - 42.0, 26.0), (0.0, 0.0), 112.0)
    return _behind_goal(ball, fps, size, rng)


def _main(ball: Floats, fps: float, size: tuple[int, int], rng: np.random.Generator) -> CameraPath:
    place = np.array(
        [rng.uniform(*MAIN_SIDE_M), -34.0 - rng.uniform(*MAIN_BACK_M), rng.uniform(*MAIN_HEIGHT_M)]
    )
    aim = _operator_aim(ball, fps)
    aim[:, 0] = 0.9 * aim[:, 0]
    aim[:, 1] = 0.55 * aim[:, 1] + 1.5
    view = rng.uniform(*MAIN_VIEW_M) * _breathe(len(ball), fps, rng)
    view *= 1.0 - 0.14 * np.clip((np.abs(aim[:, 0]) - 25.0) / 20.0, 0.0, 1.0)
    return _aimed(size, place, aim, view, fps, rng)


def _behind_goal(
    ball: Floats, fps: float, size: tuple[int, int], rng: np.random.Generator
) -> CameraPath:
    place = np.array([-52.5 - rng.uniform(18.0, 26.0), rng.uniform(-2, 2), rng.uniform(13.0, 18.0)])
    aim = _operator_aim(ball, fps)
    aim = np.column_stack([0.45 * aim[:, 0] + 4.0, 0.5 * aim[:, 1]])
    view = np.full(len(ball), rng.uniform(58.0, 70.0))
    return _aimed(size, place, aim, view, fps, rng)


def _operator_aim(ball: Floats, fps: float) -> Floats:
    """The point (n, 2) that an operator keeps in the middle: the ball, late and smooth."""
    inside = np.clip(ball[:, :2], [-52.5, -34.0], [52.5, 34.0])
    lag = min(round(LAG_S * fps), len(ball) - 1)
    late = np.concatenate([inside[:1].repeat(lag, axis=0), inside[: len(inside) - lag]])
    return np.asarray(gaussian_filter1d(late, SMOOTH_S * fps, axis=0, mode="nearest"))


def _breathe(count: int, fps: float, rng: np.random.Generator) -> Floats:
    """A slow factor (n) around 1 with which operators zoom in and out."""
    knots = max(int(count / fps / BREATHE_S) + 4, 4)
    values = rng.uniform(0.92, 1.08, knots)
    seconds = np.arange(count) / fps
    raw = np.interp(seconds, (np.arange(knots) - 1) * BREATHE_S, values)
    return np.asarray(gaussian_filter1d(raw, 1.0 * fps, mode="nearest"))


def _aimed(
    size: tuple[int, int],
    place: Floats,
    aim: Floats,
    view_m: Floats,
    fps: float,
    rng: np.random.Generator,
) -> CameraPath:
    """A camera at `place` that looks at ground points `aim` (n, 2) with `view_m` across there."""
    offset = np.column_stack([aim, np.zeros(len(aim))]) - place
    flat = np.hypot(offset[:, 0], offset[:, 1])
    shake = gaussian_filter1d(
        rng.normal(0.0, 0.25, (len(aim), 2)), 0.3 * fps, axis=0, mode="nearest"
    )
    return CameraPath(
        width=size[0],
        height=size[1],
        focal_px=size[0] * np.hypot(flat, offset[:, 2]) / view_m,
        pan_deg=np.degrees(np.arctan2(offset[:, 0], offset[:, 1])) + 0.2 * shake[:, 0],
        tilt_deg=np.degrees(np.arctan2(-offset[:, 2], flat)) + 0.15 * shake[:, 1],
        roll_deg=np.full(len(aim), rng.uniform(-0.35, 0.35)),
        position=np.tile(place, (len(aim), 1)),
    )


def _static(
    count: int,
    size: tuple[int, int],
    place: tuple[float, float, float],
    aim: tuple[float, float],
    view_m: float,
) -> CameraPath:
    rng = np.random.default_rng(0)
    path = _aimed(size, np.array(place), np.tile(aim, (1, 1)), np.array([view_m]), 25.0, rng)
    repeated = {name: np.repeat(getattr(path, name), count, axis=0) for name in _ARRAYS}
    repeated["roll_deg"] = np.zeros(count)
    return CameraPath(size[0], size[1], **repeated)


_ARRAYS = ("focal_px", "pan_deg", "tilt_deg", "roll_deg", "position")
