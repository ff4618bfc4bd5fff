"""A drawn match: a camera on its stand that pans and zooms over a painted pitch and a crowd."""

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import MatchFacts
from domain import tables
from domain.pitch import Pitch
from stages.pitch_calibration import camera as cameras

Array = NDArray[np.float64]

WIDTH, HEIGHT, RATE = 1280, 720, 25.0
FACTS = MatchFacts(WIDTH, HEIGHT, RATE)
CENTRE = np.array([WIDTH, HEIGHT]) / 2
POINTS = Pitch().points()
# a wide picture from the same stand, from which all others are cut out
_WHOLE = np.array([0.0, -0.22, 0.0, np.log(1700.0), -2.0, -68.0, 18.0, 0.0, 0.0])
_WHOLE_SIZE = (3400, 1300)


def camera_path(count: int, turn: float = 1.0) -> Array:
    """Cameras (count, 9) that pan by up to 17 degrees and zoom by a third, in slow waves."""
    time = np.arange(count) / RATE * turn
    path = np.tile(_WHOLE, (count, 1))
    path[:, cameras.PAN] = 0.3 * np.sin(time / 1.5 + 1)
    path[:, cameras.TILT] += 0.02 * np.sin(time)
    path[:, cameras.LOG_FOCAL] = np.log(2000 + 300 * np.sin(time / 2))
    return path


def motion(before: Array, after: Array) -> Array:
    """The homography (3, 3) by which the picture moves as the camera turns and zooms."""
    matrix = _rays(after, CENTRE) @ np.linalg.inv(_rays(before, CENTRE))
    return np.asarray(matrix / matrix[2, 2])


def _rays(camera: Array, centre: Array) -> Array:
    return np.asarray(cameras.intrinsics(camera, centre) @ cameras.rotation(camera))


class DrawnMatch:
    """Pictures of the pitch through any camera of `camera_path`, with players that run."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._middle = np.array(_WHOLE_SIZE) / 2
        self._whole = _painted(rng, self._middle)
        self._feet = rng.uniform([-45, -30], [45, 30], (20, 2))
        self._velocity = rng.normal(0, 4.0, (20, 2))

    def picture(self, camera: Array, time_s: float = 0.0) -> NDArray[np.uint8]:
        """The picture (720, 1280, 3), with 20 players at their places of `time_s`."""
        turn = _rays(camera, CENTRE - 0.5) @ np.linalg.inv(_rays(_WHOLE, self._middle - 0.5))
        image = cv2.warpPerspective(self._whole, turn, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
        pixels, _ = cameras.view(camera, CENTRE, self._feet + self._velocity * time_s)
        for x, y in pixels[np.isfinite(pixels).all(axis=1)]:
            foot = (int(np.clip(x, -99, 9999)), int(np.clip(y, -99, 9999)))
            cv2.rectangle(image, (foot[0] - 6, foot[1] - 30), foot, (240, 240, 240), -1)
            cv2.rectangle(image, (foot[0] - 6, foot[1] - 14), foot, (160, 30, 30), -1)
        return np.asarray(image, np.uint8)


def _painted(rng: np.random.Generator, middle: Array) -> NDArray[np.uint8]:
    """A crowd of speckles, turf with lines and a little texture: (1300, 3400, 3)."""
    width, height = _WHOLE_SIZE
    crowd = rng.integers(0, 255, (height // 4, width // 4, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(crowd, _WHOLE_SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
    corners = np.array([[-60.0, 37.0], [60.0, 37.0], [60.0, -40.0], [-60.0, -40.0]])
    turf, _ = cameras.view(_WHOLE, middle, corners)
    cv2.fillConvexPoly(image, turf.astype(np.int32), (50, 140, 60))
    for line in Pitch().lines():
        pixels, _ = cameras.view(_WHOLE, middle, line)
        cv2.polylines(image, [pixels.astype(np.int32)], False, (235, 235, 235), 4, cv2.LINE_AA)
    grain = rng.normal(0, 4, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def seen_points(
    path: Array,
    rng: np.random.Generator,
    noise_px: float = 2.0,
    drop: float = 0.3,
    wrong: float = 0.02,
) -> Array:
    """What a network would see: (n, 32, 3) of x, y and confidence, noisy, some lost, some wrong."""
    points = np.zeros((len(path), len(POINTS), 3))
    for index, camera in enumerate(path):
        pixels, _ = cameras.view(camera, CENTRE, POINTS)
        inside = ((pixels >= 0) & (pixels <= [WIDTH, HEIGHT])).all(axis=1)
        pixels = pixels + rng.normal(0, noise_px, pixels.shape)
        astray = inside & (rng.random(len(POINTS)) < wrong)
        pixels[astray] = rng.uniform([0, 0], [WIDTH, HEIGHT], (int(astray.sum()), 2))
        points[index, :, :2] = np.nan_to_num(pixels)
        points[index, :, 2] = 0.95 * (inside & (rng.random(len(POINTS)) >= drop))
    return points


def observation_tables(
    path: Array,
    points: Array | None,
    cuts: tuple[int, ...] = (),
    unobserved: tuple[int, ...] = (),
    lines: list[Array] | None = None,
) -> dict[str, pa.Table]:
    """The tables `video_frames` and `pitch_observations` of a camera's path and its points.

    A frame of `unobserved` did not decode and has no row in the second.
    """
    count = len(path)
    seen = [row for row in range(count) if row not in unobserved]
    rows = {
        "frame": seen,
        "points": [None if points is None else points[row].ravel() for row in seen],
        "lines": [None if lines is None else lines[row] for row in seen],
        "camera_motion": [_motion_at(path, row, cuts, unobserved) for row in seen],
        "cut": [row in cuts for row in seen],
        "view": ["wide"] * len(seen),
        "grass_share": [0.7] * len(seen),
        "change": [None] * len(seen),
        "glance": np.full((len(seen), tables.GLANCE_SIZE), 90, np.uint8),
    }
    frames = {
        "frame": np.arange(count),
        "time_s": np.arange(count) / RATE,
        "segment": np.zeros(count, int),
        "decoded": [row not in unobserved for row in range(count)],
    }
    return {
        "video_frames": tables.make("video_frames", frames),
        "pitch_observations": tables.make("pitch_observations", rows),
    }


def _motion_at(
    path: Array, row: int, cuts: tuple[int, ...], unobserved: tuple[int, ...]
) -> Array | None:
    if row == 0 or row in cuts or row - 1 in unobserved:
        return None
    return motion(path[row - 1], path[row]).ravel()
