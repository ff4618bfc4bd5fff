"""Pitch calibration: how many metres an image point is misplaced, over the visible pitch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from domain.errors import TableError
from domain.lens import straightened
from domain.pitch import Pitch, project
from evaluation.scores import Scores, percentile, share
from evaluation.yolo_labels import images_in, labelled_images, read_image, read_points

Homography = NDArray[np.float64]

GRID_COLUMNS, GRID_ROWS = 48, 27
MIN_POINTS = 4
# half again the labels' own 95th percentile: beyond it a labelled point is misplaced
RANSAC_THRESHOLD_M = 1.5
# an answer cannot be worse than this: the diagonal of the largest legal pitch, 120 by 90 m
MAX_ERROR_M = 150.0


@dataclass(frozen=True)
class ImageCamera:
    """What is answered for one image.

    Attributes:
        homography: (3, 3) from the pixels of a straight lens to metres.
        bend: k1 / focal^2 of the lens (domain.lens), 0 for a straight one.

    Raises:
        TableError: the homography is not a finite (3, 3) array.
    """

    homography: Homography
    bend: float = 0.0

    def __post_init__(self) -> None:
        shape = self.homography.shape
        if shape != (3, 3) or not np.isfinite(self.homography).all():
            raise TableError(f"calibrate: expected a finite array (3, 3), actual shape {shape}")

    def ground(self, pixels: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        """Metres (n, 2) of pixels (n, 2) of an image of width and height `size`."""
        middle = np.array(size) / 2
        return project(self.homography, straightened(pixels - middle, self.bend) + middle)


Calibrate = Callable[[NDArray[np.uint8]], ImageCamera | None]
"""Gives an image's camera, None where the pitch is not measured."""


@dataclass(frozen=True)
class TrueCamera:
    """The homography fitted to labelled points, and how well it fits them.

    Attributes:
        homography: (3, 3) pixel to metre.
        pixels: (n, 2) the labelled points.
        residual_m: (n,) distance from each labelled point, mapped, to where it belongs.
    """

    homography: Homography
    pixels: NDArray[np.float64]
    residual_m: NDArray[np.float64]


def score_pitch(
    images_dir: Path,
    labels_dir: Path,
    calibrate: Calibrate,
    *,
    matches: Sequence[str] = (),
    unstretch: bool = False,
) -> Scores:
    """Score `calibrate` on images with the 32 labelled pitch points.

    The error is the distance in metres between where truth and answer put an image point, over
    a grid of 48 by 27 points of the image, those that truth puts on the pitch; median and
    percentile are over all points of all answered frames. A frame without a labelled point shows
    no pitch: an answer there is a false one. A frame whose labels determine no homography (fewer
    than four, or all on a line) is left out and counted as unscored.

    Args:
        matches: only images whose name starts with one of these; all when empty.
        unstretch: images were squeezed from 16:9 and are brought back first.

    Returns:
        `images`; `frames` (with a true homography), `answered` of these, `median_error_m`,
        `p95_error_m`; `inner_median_error_m`, `inner_p95_error_m` (only points between the
        labelled ones, where truth need not be extrapolated); `label_median_error_m`,
        `label_p95_error_m` (truth against its own labels: no answer can be better);
        `non_pitch_frames`, `false_answers` of these, `unscored_frames`.

    Raises:
        InputError: a folder, an image or a label is missing or malformed.
        TableError: an answer is not a finite (3, 3) array.
    """
    tally = _Tally()
    for pair in labelled_images(images_dir, labels_dir, matches):
        image = read_image(pair.image, unstretch=unstretch)
        size = (image.shape[1], image.shape[0])
        points = read_points(pair.label)
        tally.add(points, size, calibrate(image))
    return tally.scores()


def score_non_pitch(images_dir: Path, calibrate: Calibrate) -> Scores:
    """Count the pictures without a pitch, a folder of them, for which `calibrate` claims a camera.

    Returns:
        `images`, `false_answers`, `false_answer_share`.

    Raises:
        InputError: the folder or an image in it is missing or malformed.
        TableError: an answer is not a finite (3, 3) array.
    """
    paths = images_in(images_dir)
    false = sum(calibrate(read_image(path)) is not None for path in paths)
    return {
        "images": len(paths),
        "false_answers": false,
        "false_answer_share": share(false, len(paths)),
    }


def true_camera(points: NDArray[np.float64], size: tuple[int, int]) -> TrueCamera | None:
    """Fit a homography to labelled points (RANSAC, then least squares over the inliers).

    Args:
        points: (32, 3) x, y in fractions of the image and visibility, in domain.pitch's order.
        size: width and height of the image in pixels.

    Returns:
        None where fewer than four points agree, or they lie on a line.
    """
    seen = points[:, 2] > 0
    pixels, metres = points[seen, :2] * size, Pitch().points()[seen]
    if len(pixels) < MIN_POINTS or not _spans_plane(metres) or not _spans_plane(pixels):
        return None
    homography, inliers = cv2.findHomography(pixels, metres, cv2.RANSAC, RANSAC_THRESHOLD_M)
    if (
        homography is None
        or inliers.sum() < MIN_POINTS
        or not _spans_plane(metres[inliers[:, 0] > 0])
    ):
        return None
    fitted = np.asarray(homography, dtype=np.float64)
    return TrueCamera(fitted, pixels, np.linalg.norm(project(fitted, pixels) - metres, axis=1))


def image_grid(
    size: tuple[float, float], origin: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Centres (1296, 2) of 48 by 27 equal cells of an image of width and height `size`."""
    x = (np.arange(GRID_COLUMNS) + 0.5) / GRID_COLUMNS * size[0] + origin[0]
    y = (np.arange(GRID_ROWS) + 0.5) / GRID_ROWS * size[1] + origin[1]
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def on_pitch(
    homography: Homography, pixels: NDArray[np.float64], ground_pixel: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether each pixel (n, 2) shows the pitch, `ground_pixel` (2,) being one that shows ground.

    A pixel above the horizon maps to ground behind the camera: its third coordinate has the other
    sign.
    """
    depth = np.column_stack([pixels, np.ones(len(pixels))]) @ homography[2]
    below_horizon = depth * (np.append(ground_pixel, 1.0) @ homography[2]) > 0
    return np.asarray(Pitch().contains(project(homography, pixels)) & below_horizon)


def misplacement_m(
    truth: Homography, answer: ImageCamera, pixels: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Metres (n,) between where truth and answer put pixels (n, 2) of an image, at most 150 m."""
    return apart_m(project(truth, pixels), answer.ground(pixels, size))


def apart_m(truth: NDArray[np.float64], answer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance in metres (n,) between places (n, 2), at most 150 m; an unknown one is 150 m off."""
    distance = np.linalg.norm(truth - answer, axis=1)
    return np.asarray(np.minimum(np.nan_to_num(distance, nan=MAX_ERROR_M), MAX_ERROR_M))


@dataclass
class _Tally:
    """What adds up over frames: counts, and errors in metres with a list entry a frame."""

    images: int = 0
    frames: int = 0
    answered: int = 0
    non_pitch_frames: int = 0
    false_answers: int = 0
    unscored_frames: int = 0
    errors: list[NDArray[np.float64]] = field(default_factory=list)
    inner_errors: list[NDArray[np.float64]] = field(default_factory=list)
    residuals: list[NDArray[np.float64]] = field(default_factory=list)

    def add(
        self, points: NDArray[np.float64], size: tuple[int, int], answer: ImageCamera | None
    ) -> None:
        """Count one frame with labelled points (32, 3) and image width and height."""
        self.images += 1
        if not (points[:, 2] > 0).any():
            self.non_pitch_frames += 1
            self.false_answers += answer is not None
            return
        truth = true_camera(points, size)
        if truth is None:
            self.unscored_frames += 1
            return
        self.frames += 1
        self.residuals.append(truth.residual_m)
        if answer is not None:
            self.answered += 1
            self._add_errors(truth, size, answer)

    def _add_errors(self, truth: TrueCamera, size: tuple[int, int], answer: ImageCamera) -> None:
        grid = image_grid(size)
        visible = grid[on_pitch(truth.homography, grid, truth.pixels.mean(axis=0))]
        errors = misplacement_m(truth.homography, answer, visible, size)
        self.errors.append(errors)
        self.inner_errors.append(errors[_inside_hull(visible, truth.pixels)])

    def scores(self) -> Scores:
        return {
            "images": self.images,
            "frames": self.frames,
            "answered": self.answered,
            **_summary("", self.errors),
            **_summary("inner_", self.inner_errors),
            **_summary("label_", self.residuals),
            "non_pitch_frames": self.non_pitch_frames,
            "false_answers": self.false_answers,
            "unscored_frames": self.unscored_frames,
        }


def _summary(prefix: str, errors: list[NDArray[np.float64]]) -> Scores:
    pooled = np.concatenate(errors) if errors else np.zeros(0)
    return {
        f"{prefix}median_error_m": percentile(pooled, 50),
        f"{prefix}p95_error_m": percentile(pooled, 95),
    }


def _spans_plane(points: NDArray[np.float64]) -> bool:
    """Whether points (n, 2) include four of which no three need lie on one line.

    The spread across their main line must be a hundredth of that along it, also after any one
    point is left out: three on a line and one beside it determine no homography.
    """
    keep = ~np.eye(len(points), dtype=bool)
    subsets = [points, *(points[row] for row in keep)]
    return all(_flatness(subset) > 0.01 for subset in subsets)


def _flatness(points: NDArray[np.float64]) -> float:
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(spread[1] / spread[0]) if spread[0] > 0 else 0.0


def _inside_hull(points: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each point (n, 2) lies in the convex hull of `corners` (m, 2)."""
    hull = cv2.convexHull(corners.astype(np.float32))
    sides = [cv2.pointPolygonTest(hull, (float(x), float(y)), False) for x, y in points]
    return np.array(sides, dtype=np.float64).reshape(-1) >= 0
