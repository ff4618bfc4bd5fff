"""Painted lines, found in the picture beside where the pitch points say that they are.

The points give a first homography. Along each line of the pitch that it puts into the picture,
samples look across the line for the paint: a ridge, lighter than the grass on both sides. What a
line's samples say must lie on a smooth curve; what does not is somebody's socks. The homography
that fits points and lines is then looked along once more, and reaches the lines that the first one
missed.
"""

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from application.stage import Image
from domain.pitch import Pitch

Array = NDArray[np.float64]
Chosen = NDArray[np.bool_]

SIGHT_SIZE = 6
"""Numbers of a sight: x, y (metres) of a place on a line, the pixel u, v on the paint, and the unit
normal of the line there in the picture. Only across the line does the pixel belong to the place."""

PAINT_M = 0.11  # lines are at most 12 cm wide (Laws of the Game, law 1)
STEP_M = 0.75
FEWEST_POINTS, FEWEST_SAMPLES = 4, 5
RANSAC_M = 1.5
# pixels are those of a picture 1280 wide: how far to either side of a guess the paint is sought
REACH_M, REACH_PX = 1.5, (4.0, 14.0)
# where, from the paint's edge, the grass beside it is looked at
SIDE_PX = (1.5, 4.0)
CONTRAST, GREEN = 9.0, 4.0  # of 255: paint over grass; how green grass is at least
RIVAL = 0.7  # a second ridge with a larger share of the best leaves open which is the line
SMOOTH_PX = 1.2
TRIALS = 24
# samples of one line that are put together to one sight
TOGETHER_PX = 40.0
POINT_SIGMA_PX, LINE_SIGMA_PX = 2.0, 0.7


@dataclass(frozen=True)
class _Samples:
    """Places along the lines that the picture shows, line after line.

    `line` (n,) numbers the lines, `ground` (n, 2) metres, `tangent` (n, 2) of the line there,
    `pixels` and `normal` (n, 2) in the picture, `reach` and the paint's `width` (n,) in pixels.
    """

    line: NDArray[np.int64]
    ground: Array
    tangent: Array
    pixels: Array
    normal: Array
    reach: Array
    width: Array

    def only(self, chosen: Chosen) -> "_Samples":
        return _Samples(*(getattr(self, field.name)[chosen] for field in fields(self)))


class LineFinder:
    """Finds the lines of a pitch in pictures of `size`, width and height in pixels."""

    def __init__(self, pitch: Pitch, size: tuple[int, int]) -> None:
        self._points = pitch.points()
        parts = [part for line in pitch.lines(STEP_M) for part in _smooth_parts(line)]
        self._line = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        self._ground = np.concatenate(parts)
        self._tangent = np.concatenate([_tangents(part) for part in parts])
        self._size = np.array(size, np.float64)
        self._unit = size[0] / 1280

    def find(self, image: Image, points: NDArray[np.float32]) -> Array:
        """Sights (n, SIGHT_SIZE) in `image` (height, width, 3) BGR, given its points (32, 3)."""
        nothing = np.empty((0, SIGHT_SIZE))
        seen = points[:, 2] > 0
        if seen.sum() < FEWEST_POINTS:
            return nothing
        ground, pixels = self._points[seen], points[seen, :2].astype(np.float64)
        to_ground, mask = cv2.findHomography(pixels, ground, cv2.RANSAC, RANSAC_M, maxIters=500)
        if to_ground is None or mask.sum() < FEWEST_POINTS:
            return nothing
        trusted = mask[:, 0] > 0
        try:
            samples, along = self._look(image, np.asarray(to_ground, np.float64), pixels[trusted])
            if len(samples.line) < FEWEST_SAMPLES:
                return nothing
            to_ground = _fitted(to_ground, ground[trusted], pixels[trusted], samples, self._unit)
            samples, along = self._look(image, to_ground, pixels[trusted])
        except np.linalg.LinAlgError:  # wrong points may all lie on one line: no view of a plane
            return nothing
        return _grouped(samples, along, TOGETHER_PX * self._unit)

    def _look(self, image: Image, to_ground: Array, near: Array) -> tuple[_Samples, Array]:
        """The samples whose paint was found, moved onto it, and how far along their lines."""
        samples = self._samples(to_ground, near)
        offset, found = _ridges(image, samples, self._unit)
        steps = np.linalg.norm(np.diff(samples.pixels, axis=0, prepend=samples.pixels[:1]), axis=1)
        along = np.cumsum(steps)
        smooth = np.zeros(len(found), bool)
        for line in np.unique(samples.line):
            here = np.flatnonzero((samples.line == line) & found)
            smooth[here] = _on_a_curve(along[here], offset[here], SMOOTH_PX * self._unit)
        moved = samples.pixels + offset[:, None] * samples.normal
        on_paint = _Samples(
            **{field.name: getattr(samples, field.name) for field in fields(samples)}
            | {"pixels": moved}
        )
        return on_paint.only(smooth), along[smooth]

    def _samples(self, to_ground: Array, near: Array) -> _Samples:
        """Every place that the picture shows; `near` (n, 2) are pixels before the camera."""
        to_pixel: Array = np.asarray(np.linalg.inv(to_ground), np.float64)
        depth = np.column_stack([near, np.ones(len(near))]) @ to_ground[2]
        to_pixel *= np.sign(np.median(depth))  # one over it is the depth of a ground point
        pixels, depths = _mapped(to_pixel, self._ground)
        ahead, _ = _mapped(to_pixel, self._ground + 0.05 * self._tangent)
        beside, _ = _mapped(to_pixel, self._ground + 0.05 * self._tangent[:, ::-1] * [-1.0, 1.0])
        with np.errstate(all="ignore"):  # places on the horizon are not finite, and left out below
            direction = (ahead - pixels) / np.linalg.norm(ahead - pixels, axis=1, keepdims=True)
            normal = direction[:, ::-1] * [-1.0, 1.0]
            per_m = np.abs(((beside - pixels) * normal).sum(axis=1)) / 0.05
        margin = REACH_PX[0] * self._unit
        inside = (depths > 0) & np.isfinite(normal).all(axis=1)
        inside &= ((pixels > margin) & (pixels < self._size - margin)).all(axis=1)
        reach = np.clip(REACH_M * per_m, *(np.array(REACH_PX) * self._unit))
        width = np.maximum(PAINT_M * per_m, 1.2 * self._unit)
        every = (self._line, self._ground, self._tangent, pixels, normal, reach, width)
        return _Samples(*every).only(inside)


def _smooth_parts(line: Array) -> list[Array]:
    """A polyline (n, 2) cut at its corners; a circle stays whole."""
    step = np.diff(line, axis=0)
    angle = np.arctan2(step[:, 1], step[:, 0])
    turn = np.abs((np.diff(angle) + np.pi) % (2 * np.pi) - np.pi)
    edges = [0, *(np.flatnonzero(turn > 0.5) + 1).tolist(), len(line) - 1]
    return [line[a : b + 1] for a, b in zip(edges[:-1], edges[1:], strict=True) if b > a + 1]


def _tangents(part: Array) -> Array:
    tangent = np.gradient(part, axis=0)
    return np.asarray(tangent / np.linalg.norm(tangent, axis=1, keepdims=True))


def _mapped(homography: Array, points: Array) -> tuple[Array, Array]:
    mapped = np.column_stack([points, np.ones(len(points))]) @ homography.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return mapped[:, :2] / mapped[:, 2:], mapped[:, 2]


def _ridges(image: Image, samples: _Samples, unit: float) -> tuple[Array, Chosen]:
    """Offsets (n,) in pixels along the normals at which the paint is, and whether it was found."""
    if not len(samples.line):
        return np.zeros(0), np.zeros(0, bool)
    furthest = np.ceil(REACH_PX[1] + SIDE_PX[1] + 4)
    offsets = np.arange(-furthest, furthest + 1) * unit
    places = samples.pixels[:, None] + offsets[None, :, None] * samples.normal[:, None]
    u, v = (places[..., axis].astype(np.float32) - 0.5 for axis in (0, 1))
    colour = cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    blue, green, red = (colour[..., band].astype(np.float32) for band in range(3))
    # grass has little red and blue, paint much of both
    response = _response((blue + red) / 2, green - (blue + red) / 2, samples.width / unit)
    response[np.abs(offsets)[None] > samples.reach[:, None]] = 0
    row, best = np.arange(len(response)), response.argmax(axis=1)
    top = response[row, best]
    apart = np.abs(offsets[None] - offsets[best][:, None])
    elsewhere = apart > np.maximum(samples.width, 2 * unit)[:, None] + unit
    rival = np.where(elsewhere, response, 0).max(axis=1)
    found = (top > CONTRAST) & (rival < RIVAL * top)
    return offsets[best] + _vertex(response, best) * unit, found


def _response(light: NDArray[np.float32], green: NDArray[np.float32], width: Array) -> Array:
    """How much lighter each place (n, k) is than the lighter of its sides, if both are green."""
    half = np.maximum(np.rint(width / 2), 0).astype(int)
    near, far = round(SIDE_PX[0]), round(SIDE_PX[1])
    response = np.zeros(light.shape)
    sums = [np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1) for values in (light, green)]
    for size in np.unique(half):
        rows = np.flatnonzero(half == size)[:, None]
        at = np.arange(size + far, light.shape[1] - size - far)
        if not len(at):
            continue
        spans = (
            (at - size, at + size + 1),
            (at - size - far, at - size - near + 1),
            (at + size + near, at + size + far + 1),
        )
        means = [[(total[rows, b] - total[rows, a]) / (b - a) for a, b in spans] for total in sums]
        (paint, left, right), (_, left_green, right_green) = means
        on_grass = np.minimum(left_green, right_green) > GREEN
        response[rows, at] = np.where(on_grass, paint - np.maximum(left, right), 0)
    return response


def _vertex(response: Array, best: NDArray[np.int64]) -> Array:
    """The summit between steps, by the parabola through three of them."""
    row = np.arange(len(best))
    inner = np.clip(best, 1, response.shape[1] - 2)
    before, at, after = (response[row, inner + k] for k in (-1, 0, 1))
    curve = before - 2 * at + after
    shift = np.where(curve < 0, (before - after) / np.where(curve < 0, 2 * curve, 1), 0)
    return np.where(best == inner, np.clip(shift, -0.5, 0.5), 0)


def _on_a_curve(along: Array, offset: Array, near: float) -> Chosen:
    """Which offsets (n,) lie within `near` of one parabola: RANSAC on three of them."""
    count = len(along)
    if count < FEWEST_SAMPLES or not (np.diff(along) > 0).all():  # or seen from its own plane
        return np.zeros(count, bool)
    place = (along - along[0]) / max(along[-1] - along[0], 1.0)
    base = np.column_stack([np.ones(count), place, place**2])
    # one of each third of the line, the same ones for the same count
    rng = np.random.default_rng(count)
    thirds = [rng.integers(k * count // 3, (k + 1) * count // 3, TRIALS) for k in range(3)]
    three = np.stack(thirds, axis=1)
    curves = np.linalg.solve(base[three], offset[three][..., None])[..., 0]
    agrees = np.abs(base @ curves.T - offset[:, None]) < near
    best = agrees[:, agrees.sum(axis=0).argmax()]
    enough = best.sum() >= max(FEWEST_SAMPLES, 0.5 * count)
    return np.asarray(best if enough else np.zeros(count, bool))


def _fitted(
    to_ground: Array, ground: Array, pixels: Array, samples: _Samples, unit: float
) -> Array:
    """The homography (pixels to metres) that fits points (n, 2) and samples on the paint.

    A pixel belongs to a line of the ground (a, b, c) where (a, b, c) H (u, v, 1) = 0; a point lies
    on two such lines. Linear least squares, each row weighed by what a pixel means there.

    Raises:
        LinAlgError: the points are no view of a plane.
    """
    one, none = np.ones(len(ground)), np.zeros(len(ground))
    across = samples.tangent[:, ::-1] * [-1.0, 1.0]
    lines = np.concatenate(
        [
            np.column_stack([one, none, -ground[:, 0]]),
            np.column_stack([none, one, -ground[:, 1]]),
            np.column_stack([across, -(across * samples.ground).sum(axis=1)]),
        ]
    )
    # pixels to about 1 and the pitch too, or squares would differ by powers of ten
    scale = np.diag([1 / (640 * unit), 1 / (640 * unit), 1.0])
    lines = lines * [1, 1, 1 / 50]
    seen = np.concatenate([pixels, pixels, samples.pixels])
    seen = np.column_stack([seen, np.ones(len(seen))]) @ scale
    sigma = np.repeat([POINT_SIGMA_PX, LINE_SIGMA_PX], [2 * len(ground), len(samples.line)])
    answer = np.diag([1 / 50, 1 / 50, 1.0]) @ to_ground @ np.linalg.inv(scale)
    for _ in range(3):
        slope = lines @ answer  # of the row's error by the pixel, times the depth
        per_pixel = np.linalg.norm(slope[:, :2] - _error(lines, answer, seen), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # not finite: refused below
            weight = 1 / (per_pixel * sigma)
            rows = (lines[:, :, None] * seen[:, None, :]).reshape(-1, 9) * weight[:, None]
        if not np.isfinite(rows).all():
            raise np.linalg.LinAlgError("a row that no pixel moves: the points are no view")
        answer = np.linalg.svd(rows, full_matrices=False)[2][-1].reshape(3, 3)
    return np.asarray(np.diag([50.0, 50.0, 1.0]) @ answer @ scale)


def _error(lines: Array, answer: Array, seen: Array) -> Array:
    """What depth adds to the slope of each row's error, (n, 2)."""
    mapped = seen @ answer.T
    distance = (lines * mapped).sum(axis=1) / mapped[:, 2]
    return np.asarray(distance[:, None] * answer[2, :2])


def _grouped(samples: _Samples, along: Array, length: float) -> Array:
    """Means of the samples in each stretch of `length` pixels of a line, as sights."""
    key = samples.line * 1_000_000 + (along // length).astype(np.int64)
    _, group, count = np.unique(key, return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), SIGHT_SIZE))
    np.add.at(sums, group, np.column_stack([samples.ground, samples.pixels, samples.normal]))
    mean = sums / count[:, None]
    mean[:, 4:] /= np.linalg.norm(mean[:, 4:], axis=1, keepdims=True)
    return mean
