"""What the pitch network is trained on: frames seen through other cameras, with true points."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from training.disturbance import Image, degrade
from training.loop import Batch
from training.pitch_data import (
    FRAME_SIZE,
    GREY,
    LINES,
    MIRRORED,
    MIRRORED_LINES,
    POINTS,
    Floats,
    PitchFrame,
    letterbox_matrix,
    load_frame,
)
from training.pitch_drawn import draw_frame
from training.pitch_network import (
    GRID_HEIGHT,
    GRID_WIDTH,
    INPUT_HEIGHT,
    INPUT_WIDTH,
    LINE_COUNT,
    POINT_COUNT,
    STRIDE,
)


@dataclass(frozen=True)
class ViewOptions:
    """How far the virtual camera may leave the true one."""

    smallest_zoom: float = 0.75
    largest_zoom: float = 2.0
    roll_deg: float = 4.0
    perspective: float = 0.12
    stretch: float = 0.12


def draw_view(options: ViewOptions, rng: np.random.Generator) -> Floats:
    """A random homography (3, 3) from frame pixels to frame pixels: zoom, roll, tilt, shift."""
    size = np.array(FRAME_SIZE, float)
    low, high = np.log(options.smallest_zoom), np.log(options.largest_zoom)
    zoom = float(np.exp(rng.uniform(low, high)))
    stretch = float(np.exp(rng.uniform(-options.stretch, options.stretch)))
    roll = np.deg2rad(rng.uniform(-options.roll_deg, options.roll_deg))
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    moved = corners + rng.uniform(-options.perspective, options.perspective, (4, 2)) * 0.5
    moved = (moved * size * [stretch, 1 / stretch]) @ turn.T * zoom
    room = np.abs(zoom - 1) * size * 0.5 + 0.06 * size
    moved = moved + size / 2 + rng.uniform(-room, room)
    source = ((corners + 0.5) * size).astype(np.float32)
    return np.asarray(cv2.getPerspectiveTransform(source, moved.astype(np.float32)), np.float64)


@dataclass(frozen=True)
class Example:
    """A network input (384, 640, 3) BGR with its truth in input pixels.

    `points` (32, 2), NaN where not in view; `known` (32,) says for which points that is certain;
    `lines` (12, 96, 160) uint8 0 or 1, or None where the lines are not known.
    """

    image: Image
    points: Floats
    known: npt.NDArray[np.bool_]
    lines: npt.NDArray[np.uint8] | None


def draw_example(frame: PitchFrame, options: ViewOptions, rng: np.random.Generator) -> Example:
    """The frame through a random camera, mirrored in half of the cases, degraded."""
    mirror = frame.mirrors and rng.random() < 0.5
    view = letterbox_matrix() @ draw_view(options, rng)
    if mirror:
        view = view @ np.array([[-1.0, 0, FRAME_SIZE[0]], [0, 1, 0], [0, 0, 1]])
    border = (GREY,) * 3 if rng.random() < 0.6 else (0, 0, 0)
    image = warp(frame.image, view, border)
    points, known, lines = _truth(frame, view, mirror)
    return Example(degrade(image, rng), points, known, lines)


def warp(image: Image, view: Floats, border: tuple[int, ...] = (GREY,) * 3) -> Image:
    """The frame through `view` (frame to input pixels); shrunk by area first where that helps."""
    scale = float(np.sqrt(abs(np.linalg.det(view[:2, :2]))))
    if scale < 0.7:
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        view = view @ np.diag([2.0, 2.0, 1.0])
    size = (INPUT_WIDTH, INPUT_HEIGHT)
    out = cv2.warpPerspective(image, view, size, flags=cv2.INTER_LINEAR, borderValue=border)
    return np.asarray(out, np.uint8)


def _truth(
    frame: PitchFrame, view: Floats, mirror: bool
) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.uint8] | None]:
    """Points, which of them are certain, and lines, in the input's pixels and our numbering."""
    order = MIRRORED if mirror else np.arange(POINT_COUNT)
    if frame.to_pixel is None:
        known = np.isfinite(frame.points[:, 0]) | frame.complete
        points = _project(view, frame.points)
        return _in_view(points, view)[order], known[order], None
    points = _in_view(_shown(frame, view, POINTS), view)
    masks = draw_lines([_shown(frame, view, line) for line in LINES], frame_corners(view))
    return points[order], np.ones(POINT_COUNT, bool), masks[MIRRORED_LINES] if mirror else masks


def _shown(frame: PitchFrame, view: Floats, ground: Floats) -> Floats:
    """Input pixels (n, 2) of places in metres, seen through the frame's lens and `view`."""
    assert frame.to_pixel is not None
    pixels = _project(view @ frame.to_pixel, ground)
    if not frame.bend:
        return pixels
    straight = _mapped(np.asarray(np.linalg.inv(view), np.float64), pixels)
    seen = frame.seen(straight)
    # far outside the frame lies what `view` maps to the other side of its own horizon
    near = (np.abs(seen / np.array(FRAME_SIZE) - 0.5) < 1.5).all(axis=1, keepdims=True)
    return np.where(near, _mapped(view, seen), np.nan)


def _mapped(matrix: Floats, pixels: Floats) -> Floats:
    """Pixels (n, 2) through a homography; NaN stays NaN."""
    mapped = np.column_stack([pixels, np.ones(len(pixels))]) @ matrix.T
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def _project(matrix: Floats, xy: Floats) -> Floats:
    """Map points (n, 2), NaN where a point is behind the camera.

    The sign is that of the frame's own points: cv2 scales a homography so that its last entry is
    1, which leaves w positive in front of the camera where the pitch's centre is in front of it.
    """
    mapped = np.column_stack([xy, np.ones(len(xy))]) @ matrix.T
    ahead = mapped[:, 2] * _front_sign(matrix) > 1e-9
    return np.where(ahead[:, None], mapped[:, :2] / mapped[:, 2:], np.nan)


def _front_sign(matrix: Floats) -> float:
    """The sign of w where the plane is in front of the camera: that at the input's bottom middle.

    The bottom of a picture is always nearer than the horizon, so it shows the plane, not the sky.
    """
    inverse = np.linalg.inv(matrix)
    ground = inverse @ [INPUT_WIDTH / 2, INPUT_HEIGHT - 1.0, 1.0]
    return float(np.sign(matrix[2] @ (ground / ground[2])))


def frame_corners(view: Floats) -> Floats:
    """The frame's outline (4, 2) in input pixels."""
    width, height = FRAME_SIZE
    corners = np.array([[0.0, 0], [width, 0], [width, height], [0, height]])
    mapped = np.column_stack([corners, np.ones(4)]) @ view.T
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def _in_view(points: Floats, view: Floats) -> Floats:
    """Points (n, 2) with NaN where they fall outside the input or the frame within it."""
    outline = frame_corners(view).astype(np.float32)
    inside = np.zeros(len(points), bool)
    for index in np.flatnonzero(np.isfinite(points[:, 0])):
        x, y = (float(v) for v in points[index])
        inside[index] = cv2.pointPolygonTest(outline, (x, y), False) > 0
    inside &= (points[:, 0] > 0) & (points[:, 0] < INPUT_WIDTH)
    inside &= (points[:, 1] > 0) & (points[:, 1] < INPUT_HEIGHT)
    return np.where(inside[:, None], points, np.nan)


def draw_lines(lines: Sequence[Floats], outline: Floats) -> npt.NDArray[np.uint8]:
    """Masks (12, 96, 160) of lines, each (n, 2) in input pixels, where they lie in `outline`."""
    masks = np.zeros((LINE_COUNT, GRID_HEIGHT, GRID_WIDTH), np.uint8)
    frame = np.zeros((GRID_HEIGHT, GRID_WIDTH), np.uint8)
    cv2.fillPoly(frame, [np.round(outline / STRIDE).astype(np.int32)], 1)
    for mask, line in zip(masks, lines, strict=True):
        pixels = line / STRIDE
        near = np.isfinite(pixels[:, 0]) & (np.abs(pixels) < 1e4).all(1)
        for start in np.flatnonzero(near[:-1] & near[1:]):
            ends = np.round((pixels[start : start + 2] - 0.5) * 16).astype(int)
            cv2.line(mask, tuple(ends[0]), tuple(ends[1]), 1, 1, cv2.LINE_8, 4)
    return masks * frame


def targets_of(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Stack the truths of a batch as tensors.

    `points` (n, 32, 2) with NaN, `known` (n, 32), `lines` (n, 12, 96, 160), `lines_known` (n,).
    """
    blank = np.zeros((LINE_COUNT, GRID_HEIGHT, GRID_WIDTH), np.uint8)
    lines = np.stack([blank if e.lines is None else e.lines for e in examples])
    return {
        "points": torch.from_numpy(np.stack([e.points for e in examples])).float(),
        "known": torch.from_numpy(np.stack([e.known for e in examples])),
        "lines": torch.from_numpy(lines),
        "lines_known": torch.tensor([e.lines is not None for e in examples]),
    }


@dataclass(frozen=True)
class PitchSource:
    """Draws batches: real, simulated and drawn frames through random cameras, and no pitch at all.

    Simulated frames are named by their files and read when they are drawn: there are many.
    """

    frames: list[PitchFrame]
    batch: int
    negative_share: float = 0.08
    drawn_share: float = 0.2
    simulated: Sequence[Path] = ()
    simulated_share: float = 0.0
    options: ViewOptions = ViewOptions()

    def draw(self, rng: np.random.Generator) -> Batch:
        """One batch of inputs (n, 3, 384, 640) with the targets of `targets_of`."""
        examples = [self._example(rng) for _ in range(self.batch)]
        pictures = np.stack([e.image[:, :, ::-1].transpose(2, 0, 1) for e in examples])
        return Batch(torch.from_numpy(pictures).float() / 255, targets_of(examples))

    def _example(self, rng: np.random.Generator) -> Example:
        frame = self.frames[int(rng.integers(len(self.frames)))]
        kind = rng.random()
        if kind < self.negative_share:
            return draw_negative(frame, rng)
        if kind < self.negative_share + self.drawn_share:
            frame = draw_frame(rng, backdrop=frame.image)
        elif self.simulated and rng.random() < self.simulated_share:
            frame = load_frame(self.simulated[int(rng.integers(len(self.simulated)))])
        return draw_example(frame, self.options, rng)


def draw_negative(frame: PitchFrame, rng: np.random.Generator) -> Example:
    """A picture on which nothing can be measured: noise, a shuffled frame or a close-up."""
    size = (INPUT_WIDTH, INPUT_HEIGHT)
    kind = rng.random()
    if kind < 0.2:
        coarse = rng.integers(0, 256, (int(rng.integers(1, 24)), int(rng.integers(1, 40)), 3))
        image = cv2.resize(coarse.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    elif kind < 0.5:
        image = cv2.resize(_shuffled(frame.image, rng), size, interpolation=cv2.INTER_AREA)
    else:
        width = int(rng.integers(90, 200))
        x = int(rng.integers(0, FRAME_SIZE[0] - width))
        y = int(rng.integers(0, FRAME_SIZE[1] - width // 2))
        part = frame.image[y : y + int(width * 0.6), x : x + width]
        image = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)
    nowhere = np.full((POINT_COUNT, 2), np.nan)
    blank = np.zeros((LINE_COUNT, GRID_HEIGHT, GRID_WIDTH), np.uint8)
    known = np.ones(POINT_COUNT, bool)
    return Example(degrade(image.astype(np.uint8), rng), nowhere, known, blank)


def _shuffled(image: Image, rng: np.random.Generator) -> Image:
    """The frame cut into tiles that are laid out again in random order."""
    rows, columns = int(rng.integers(2, 5)), int(rng.integers(3, 6))
    height, width = FRAME_SIZE[1] // rows, FRAME_SIZE[0] // columns
    tiles = [
        image[r * height : (r + 1) * height, c * width : (c + 1) * width]
        for r in range(rows)
        for c in range(columns)
    ]
    order = rng.permutation(len(tiles))
    lines = [
        np.hstack([tiles[order[r * columns + c]] for c in range(columns)]) for r in range(rows)
    ]
    return np.vstack(lines)
