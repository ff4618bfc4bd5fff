"""Training pictures for the pitch network: frames seen through other cameras, with true points."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import least_squares

from domain.lens import bent
from domain.pitch import Pitch, mirrored_points
from training.disturbance import Image
from training.loop import SIMULATED, match_of, read_picture, read_rows, refuse_held_out
from training.pitch_network import (
    INPUT_HEIGHT,
    INPUT_WIDTH,
    POINT_COUNT,
)

Floats = npt.NDArray[np.float64]
FRAME_SIZE = (1280, 720)
INNER_TOP = (INPUT_HEIGHT - INPUT_WIDTH * 9 // 16) // 2
"""Rows of grey above a 16:9 frame in the network's input (and as many below)."""
GREY = 114
BEHIND_GOAL = "_behind_goal_"
"""In the names of simulated frames from there, whose mirror image is of another kind."""


def semantic_lines(pitch: Pitch | None = None, step_m: float = 0.5) -> list[Floats]:
    """The 12 kinds of line as polylines (n, 2) in metres.

    Order: far, near touchline; left, right goal line; halfway line; left, right penalty area;
    left, right goal area; centre circle; left, right penalty arc.
    """
    pitch = pitch or Pitch()
    outline, halfway, *areas = pitch.lines(step_m)
    x, y = pitch.half_length_m, pitch.half_width_m
    sides = [(1, y), (1, -y), (0, -x), (0, x)]
    edges = [outline[np.isclose(outline[:, axis], value)] for axis, value in sides]
    edges = [e[np.argsort(e[:, 1 - axis])] for e, (axis, _) in zip(edges, sides, strict=True)]
    left_area, left_goal, right_area, right_goal, circle, left_arc, right_arc = areas
    return [
        *edges, halfway, left_area, right_area, left_goal, right_goal, circle, left_arc, right_arc
    ]  # fmt: skip


POINTS = Pitch().points()
MIRRORED = mirrored_points()
LINES = semantic_lines()
MIRRORED_LINES = np.array([0, 1, 3, 2, 4, 6, 5, 8, 7, 9, 11, 10])


@dataclass(frozen=True)
class PitchFrame:
    """One frame (720, 1280, 3) BGR with its labels.

    `to_pixel` maps metres to frame pixels (None where the labels do not fix it); `points` (32, 2)
    are labelled pixels, NaN where a point is not labelled.
    """

    match: str
    image: Image
    points: Floats
    to_pixel: Floats | None
    mirrors: bool = True
    """Whether the mirrored picture is one of the same kind: not so from behind a goal."""
    complete: bool = False
    """Whether a point without a label is known to be out of view."""
    bend: float = 0.0
    """k1 of the lens over its squared focal length in pixels (`domain.lens`), about the middle."""

    def seen(self, straight: Floats) -> Floats:
        """Where pixels (n, 2) of a straight lens appear in this frame; NaN where it shows none."""
        middle = np.array(FRAME_SIZE) / 2
        return bent(straight - middle, self.bend) + middle


def fit_homography(metres: Floats, pixels: Floats, most_m: float = 0.6) -> Floats | None:
    """Metres to pixels (3, 3) by RANSAC (Fischler and Bolles, 1981); None when not trustworthy.

    Trustworthy: six points and seven in ten agree, and their median error is below `most_m`.
    """
    if len(metres) < 6:
        return None
    found, inliers = cv2.findHomography(metres, pixels, cv2.RANSAC, 10.0)
    chosen = inliers.ravel() > 0 if found is not None else np.zeros(len(metres), bool)
    if chosen.sum() < 6 or chosen.mean() < 0.7:
        return None
    refined, _ = cv2.findHomography(metres[chosen], pixels[chosen], 0)
    back = cv2.perspectiveTransform(pixels[chosen][None], np.linalg.inv(refined))[0]
    error = float(np.median(np.linalg.norm(back - metres[chosen], axis=1)))
    return np.asarray(refined, np.float64) if error < most_m else None


def fit_bent(metres: Floats, pixels: Floats, most_px: float = 1.0) -> tuple[Floats, float] | None:
    """Homography (3, 3) and bend of exact points (n, 2) seen through a lens; None without a fit.

    A simulated frame's points are exact, but its lens bends: nine numbers by least squares.
    """
    if len(metres) < 6:
        return None
    start, _ = cv2.findHomography(metres, pixels, 0)
    if start is None or abs(start[2, 2]) < 1e-9:
        return None
    middle = np.array(FRAME_SIZE) / 2
    unit = middle[0] ** -2

    def misses(numbers: Floats) -> Floats:
        straight = cv2.perspectiveTransform(metres[None], _matrix(numbers[:8]))[0]
        off = straight - middle
        k_r2 = numbers[8] * unit * (off**2).sum(axis=1)
        return np.append((off * (1 + k_r2)[:, None] + middle - pixels).ravel(), 0.1 * numbers[8])

    first = np.append((start / start[2, 2]).ravel()[:8], 0.0)
    found = least_squares(misses, first, x_scale=np.abs(first) + 1e-4, max_nfev=200)
    if np.abs(found.fun[:-1]).max() > most_px:
        return None
    return _matrix(found.x[:8]), float(found.x[8] * unit)


def _matrix(eight: Floats) -> Floats:
    return np.append(eight, 1.0).reshape(3, 3)


def load_frame(image: Path) -> PitchFrame:
    """Load one frame, stretched or not, and fit its labels."""
    pixels = read_picture(image)
    way = cv2.INTER_AREA if pixels.shape[1] > FRAME_SIZE[0] else cv2.INTER_CUBIC
    pixels = cv2.resize(pixels, FRAME_SIZE, interpolation=way)
    labels = _read_points(image.parent.parent / "labels" / f"{image.stem}.txt")
    points = np.where(labels[:, 2:] > 0, labels[:, :2] * FRAME_SIZE, np.nan)
    seen = np.isfinite(points[:, 0])
    match, mirrors = match_of(image), BEHIND_GOAL not in image.stem
    picture = pixels.astype(np.uint8)
    if SIMULATED.fullmatch(image.stem):
        to_pixel, bend = fit_bent(POINTS[seen], points[seen]) or (None, 0.0)
        return PitchFrame(match, picture, points, to_pixel, mirrors, complete=True, bend=bend)
    return PitchFrame(match, picture, points, fit_homography(POINTS[seen], points[seen]), mirrors)


def _read_points(path: Path) -> Floats:
    """x, y in fractions and visibility (32, 3); an empty file says that none is in view."""
    rows = read_rows(path, 5 + 3 * POINT_COUNT)
    return rows[0, 5:].reshape(POINT_COUNT, 3) if len(rows) else np.zeros((POINT_COUNT, 3))


def load_training_frames(images: Sequence[Path]) -> list[PitchFrame]:
    """Load frames for training; raises `HeldOutMatchError` for a held-out match."""
    return [load_frame(image) for image in refuse_held_out(images)]


def letterbox_matrix() -> Floats:
    """Frame pixels to input pixels (3, 3): half the size, below `INNER_TOP` rows of grey."""
    scale = INPUT_WIDTH / FRAME_SIZE[0]
    return np.array([[scale, 0, 0], [0, scale, INNER_TOP], [0, 0, 1.0]])


def letterbox(image: Image) -> torch.Tensor:
    """Fit a 16:9 BGR frame into the input (1, 3, 384, 640), RGB in 0..1."""
    inner = (INPUT_WIDTH, INPUT_WIDTH * 9 // 16)
    canvas = np.full((INPUT_HEIGHT, INPUT_WIDTH, 3), GREY, np.uint8)
    small = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
    canvas[INNER_TOP : INNER_TOP + inner[1]] = small
    pixels = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1))
    return torch.from_numpy(pixels).float()[None] / 255
