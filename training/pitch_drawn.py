"""Drawn training frames: a pitch seen by a random camera, with exact labels.

Few matches are labelled, and none from behind a goal. Drawn frames cannot look real, but their
geometry is exact and their colours, stripes, lenses and places are random (Tobin et al., domain
randomization, 2017), so the network meets views that the labelled footage lacks.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from domain.pitch import GOAL_HEIGHT_M, GOAL_WIDTH_M, Pitch
from training.disturbance import Image
from training.pitch_data import (
    FRAME_SIZE,
    Floats,
    PitchFrame,
    semantic_lines,
)
from training.pitch_network import POINT_COUNT

LINE_WIDTH_M = 0.12


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: `projection` (3, 4) from metres (x, y, z) to frame pixels."""

    projection: Floats

    @property
    def to_pixel(self) -> Floats:
        """Homography (3, 3) from the ground to frame pixels."""
        ground = self.projection[:, [0, 1, 3]]
        return np.asarray(ground / ground[2, 2])

    def project(self, xyz: Floats) -> Floats:
        """Pixels (n, 2) of points (n, 3); NaN behind the camera."""
        mapped = np.column_stack([xyz, np.ones(len(xyz))]) @ self.projection.T
        ahead = mapped[:, 2:] > 1.0
        return np.where(ahead, mapped[:, :2] / np.where(ahead, mapped[:, 2:], 1.0), np.nan)


def look_at(position: Floats, target: Floats, focal_px: float, roll: float) -> Camera:
    """The camera at `position` (3,) that sees `target` (3,) in the middle of the frame."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    right, down = turn @ np.stack([right, down])
    rotation = np.stack([right, down, forward])
    lens = np.array([[focal_px, 0, FRAME_SIZE[0] / 2], [0, focal_px, FRAME_SIZE[1] / 2], [0, 0, 1]])
    return Camera(lens @ np.column_stack([rotation, -rotation @ position]))


def draw_camera(rng: np.random.Generator, behind_goal_share: float = 0.35) -> Camera:
    """A camera in the main stand or, for some, high behind the left goal (+x is then away)."""
    if rng.random() < behind_goal_share:
        position = np.array([-52.5 - rng.uniform(12, 60), rng.normal(0, 6), rng.uniform(7, 32)])
        target = np.array([rng.uniform(-45, 15), rng.uniform(-12, 12), 0.0])
        width = rng.uniform(0.5, 1.3)
    else:
        position = np.array([rng.normal(0, 12), -34 - rng.uniform(15, 75), rng.uniform(9, 38)])
        target = np.array([rng.uniform(-48, 48), rng.uniform(-12, 18), 0.0])
        width = rng.uniform(0.3, 1.1)
    roll = float(np.deg2rad(rng.normal(0, 0.8)))
    return look_at(position, target, FRAME_SIZE[0] / width, roll)


def draw_frame(rng: np.random.Generator, backdrop: Image) -> PitchFrame:
    """One drawn frame; `backdrop` (720, 1280, 3) fills what is not ground."""
    camera = draw_camera(rng)
    image = _stands(rng, backdrop)
    grass = _paint_ground(image, camera, rng)
    _paint_lines(image, camera, Pitch(), rng)
    _paint_goals(image, camera)
    _paint_people(image, camera, rng)
    image = _light(image, grass, rng)
    nowhere = np.full((POINT_COUNT, 2), np.nan)
    return PitchFrame("drawn", image, nowhere, camera.to_pixel, mirrors=False)


def _stands(rng: np.random.Generator, backdrop: Image) -> Image:
    """What is behind the pitch: the crowd of a real frame, or coloured noise."""
    if rng.random() < 0.6:
        top = backdrop[: int(rng.integers(150, 260))]
        return np.asarray(cv2.resize(top, FRAME_SIZE, interpolation=cv2.INTER_LINEAR), np.uint8)
    cells = (int(rng.integers(8, 90)), int(rng.integers(14, 160)), 3)
    noise = np.clip(rng.normal(rng.uniform(20, 150, 3), rng.uniform(5, 60), cells), 0, 255)
    way = cv2.INTER_NEAREST if rng.random() < 0.4 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(noise.astype(np.uint8), FRAME_SIZE, interpolation=way), np.uint8)


def _fill(image: Image, camera: Camera, corners: Floats, colour: Floats) -> None:
    """Fill the polygon with corners (n, 3) in metres, cut finely so that none falls behind."""
    steps = np.linspace(0, 1, 40)[:, None]
    edges = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    outline = np.vstack([a + (b - a) * steps for a, b in edges])
    pixels = camera.project(outline)
    pixels = pixels[np.isfinite(pixels[:, 0])]
    if len(pixels) > 2:
        hull = np.clip(pixels, -2000, 4000)
        cv2.fillPoly(image, [np.round(hull * 8).astype(np.int32)], colour.tolist(), cv2.LINE_AA, 3)


def _ground(x0: float, x1: float, y0: float, y1: float, z: float = 0.0) -> Floats:
    """A rectangle (4, 3) on the ground."""
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]])


def _paint_ground(image: Image, camera: Camera, rng: np.random.Generator) -> Image:
    """Boards, run-off, grass and its stripes; returns the mask of the ground."""
    green = np.array([rng.uniform(20, 90), rng.uniform(80, 190), rng.uniform(30, 120)])
    apron = rng.uniform(3, 9)
    outside = green * rng.uniform(0.6, 1.1) if rng.random() < 0.7 else rng.uniform(20, 200, 3)
    x, y = 52.5 + apron, 34 + apron * rng.uniform(0.6, 1.2)
    _paint_boards(image, camera, x, y, rng)
    _fill(image, camera, _ground(-x, x, -y, y), outside)
    mask = np.zeros(image.shape[:2], np.uint8)
    _fill(mask, camera, _ground(-x, x, -y, y), np.array([255.0]))
    edge = rng.uniform(0.5, 4)
    _fill(image, camera, _ground(-52.5 - edge, 52.5 + edge, -34 - edge, 34 + edge), green)
    stripes, contrast = int(rng.choice([0, 10, 14, 18, 22])), rng.uniform(0.75, 0.97)
    along = rng.random() < 0.8
    reach = 52.5 if along else 34.0
    bounds = np.linspace(-reach, reach, stripes + 1)
    for low, high in list(zip(bounds[:-1], bounds[1:], strict=True))[::2]:
        strip = _ground(low, high, -34, 34) if along else _ground(-52.5, 52.5, low, high)
        _fill(image, camera, strip, green * contrast)
    return mask


def _paint_boards(
    image: Image, camera: Camera, x: float, y: float, rng: np.random.Generator
) -> None:
    """Advertising boards along the far side and both ends."""
    height = rng.uniform(0.7, 1.2)
    sides = [((-x, y), (x, y)), ((-x, -y), (-x, y)), ((x, -y), (x, y))]
    for start, end in sides:
        bounds = np.linspace(0, 1, int(rng.integers(2, 12)))
        for low, high in zip(bounds[:-1], bounds[1:], strict=True):
            a = np.array(start) + (np.array(end) - start) * low
            b = np.array(start) + (np.array(end) - start) * high
            board = np.array([[*a, 0], [*b, 0], [*b, height], [*a, height]])
            _fill(image, camera, board, rng.uniform(0, 255, 3))


def _paint_lines(image: Image, camera: Camera, pitch: Pitch, rng: np.random.Generator) -> None:
    """Every line as quadrilaterals of the true width, whiter or fainter from frame to frame."""
    quads = []
    half = LINE_WIDTH_M / 2 * rng.uniform(0.8, 1.4)
    for line in semantic_lines(pitch, 1.0):
        along = np.diff(line, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
        side = along[:, ::-1] * [-half, half]
        corners = np.stack([line[:-1] - side, line[1:] - side, line[1:] + side, line[:-1] + side])
        flat = np.concatenate([corners, np.zeros((*corners.shape[:2], 1))], axis=2)
        pixels = camera.project(flat.reshape(-1, 3)).reshape(4, -1, 2).transpose(1, 0, 2)
        near = np.isfinite(pixels).all((1, 2)) & (np.abs(pixels) < 4000).all((1, 2))
        quads += list(np.round(pixels[near] * 8).astype(np.int32))
    for x in (-pitch.half_length_m + 11.0, 0.0, pitch.half_length_m - 11.0):
        quads.append(_spot(camera, x))
    painted = image.copy()
    white = float(rng.uniform(190, 255))
    for quad in filter(len, quads):
        cv2.fillConvexPoly(painted, quad, (white, white, white), cv2.LINE_AA, 3)
    opacity = rng.uniform(0.45, 1.0)
    cv2.addWeighted(painted, opacity, image, 1 - opacity, 0, dst=image)


def _spot(camera: Camera, x: float, radius: float = 0.15) -> npt.NDArray[np.int32]:
    """The outline in eighths of a pixel of a spot at (x, 0); empty when behind the camera."""
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    disc = np.column_stack([x + radius * np.cos(turn), radius * np.sin(turn), np.zeros(12)])
    pixels = camera.project(disc)
    if not np.isfinite(pixels).all() or (np.abs(pixels) > 4000).any():
        return np.zeros((0, 2), np.int32)
    return np.round(pixels * 8).astype(np.int32)


def _paint_goals(image: Image, camera: Camera) -> None:
    """Posts and crossbars of both goals, and a coarse net behind them."""
    half = GOAL_WIDTH_M / 2
    for side in (-1.0, 1.0):
        x, back = side * 52.5, side * 54.3
        frame = np.array(
            [[x, -half, 0], [x, -half, GOAL_HEIGHT_M], [x, half, GOAL_HEIGHT_M], [x, half, 0]]
        )
        _stroke(image, camera, frame, (245, 245, 245), 2)
        for share in np.linspace(0, 1, 12):
            y = -half + 2 * half * share
            cord = np.array([[x, y, GOAL_HEIGHT_M], [back, y, 1.6], [back, y, 0.0]])
            _stroke(image, camera, cord, (170, 170, 170), 1)


def _stroke(
    image: Image, camera: Camera, points: Floats, colour: tuple[int, int, int], width: int
) -> None:
    """A thin polyline through points (n, 3), where all of them are ahead of the camera."""
    pixels = camera.project(points)
    if np.isfinite(pixels).all() and (np.abs(pixels) < 4000).all():
        cv2.polylines(image, [np.round(pixels).astype(np.int32)], False, colour, width, cv2.LINE_AA)


def _paint_people(image: Image, camera: Camera, rng: np.random.Generator) -> None:
    """Two teams and officials as upright ellipses: what hides lines in a real frame."""
    teams = rng.uniform(0, 255, (3, 3))
    middle = rng.uniform([-35, -10], [35, 10])
    for _ in range(int(rng.integers(6, 26))):
        x, y = np.clip(rng.normal(middle, [20, 14]), [-52, -34], [52, 34])
        pixels = camera.project(np.array([[x, y, 0.0], [x, y, 1.8]]))
        if not np.isfinite(pixels).all() or (np.abs(pixels) > 2000).any():
            continue
        height = float(np.linalg.norm(pixels[1] - pixels[0]))
        centre = tuple(int(v) for v in pixels.mean(0))
        axes = (max(int(height * rng.uniform(0.12, 0.28)), 1), max(int(height / 2), 1))
        colour = teams[int(rng.integers(3))]
        cv2.ellipse(image, centre, axes, 0, 0, 360, colour.tolist(), -1, cv2.LINE_AA)


def _light(image: Image, ground: Image, rng: np.random.Generator) -> Image:
    """Shadow of a stand, grain of the grass, and a little blur."""
    lit = image.astype(np.float32)
    if rng.random() < 0.35:
        shadow = np.ones(image.shape[:2], np.float32)
        corners = rng.uniform([-200, -100], [FRAME_SIZE[0] + 200, FRAME_SIZE[1]], (4, 2))
        cv2.fillConvexPoly(shadow, cv2.convexHull(corners.astype(np.int32)), rng.uniform(0.4, 0.8))
        lit *= np.where(ground > 0, shadow, 1.0)[..., None]
    cells = rng.normal(0, rng.uniform(1, 9), (180, 320)).astype(np.float32)
    lit += cv2.resize(cells, FRAME_SIZE, interpolation=cv2.INTER_LINEAR)[..., None]
    sharp = np.clip(lit, 0, 255).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(sharp, (0, 0), rng.uniform(0.3, 1.0)), np.uint8)
