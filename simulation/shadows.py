"""Shadows on the ground: cast by lamps or the sun, and the dark where feet and ball touch."""

import cv2
import numpy as np

from simulation.arrays import Floats, Pixels
from simulation.ball_flight import BALL_RADIUS_M
from simulation.camera import NEAR_M, Eye
from simulation.figures import FIRST, L_ANKLE, R_ANKLE, SECOND
from simulation.patches import box_within, darken
from simulation.variety import Light

ENLARGEMENT = 2
FOOT_M, BODY_M = 0.17, 0.36  # radii of the dark under a foot and under the whole body
RING = np.column_stack(
    [np.cos(np.linspace(0, 2 * np.pi, 12, endpoint=False)),
     np.sin(np.linspace(0, 2 * np.pi, 12, endpoint=False)), np.zeros(12)]
)  # fmt: skip


def body_shadow(
    image: Pixels, eye: Eye, body: Floats, radius_px: Floats, light: Light, sunlit: float
) -> None:
    """Shadows of a figure with joints `body` (18, 3), of which a share `sunlit` is in the sun."""
    _contact(image, eye, body, light.contact)
    for dx, dy, dark in light.shadows:
        strength = dark * sunlit
        if strength < 0.04:
            continue
        cast = body.copy()
        cast[:, 0] += dx * body[:, 2]
        cast[:, 1] += dy * body[:, 2]
        cast[:, 2] = 0.0
        pixels, depth = eye.pixels(cast)
        if depth.min() > NEAR_M:
            _cast(image, pixels, radius_px, strength)


def ball_shadow(image: Pixels, eye: Eye, ball: Floats, light: Light) -> None:
    """The dark under a ball at `ball` (3), fainter and wider the higher it flies."""
    height = float(ball[2]) - BALL_RADIUS_M
    radius = 1.15 * BALL_RADIUS_M + 0.02 * height
    under = np.array([ball[0], ball[1], 0.0])
    pixels, depth = eye.pixels(RING * radius + under)
    if depth.min() > NEAR_M:
        _soft_shapes(image, [pixels], [255], (0.2 + light.contact) / (1 + 0.4 * height))


def _contact(image: Pixels, eye: Eye, body: Floats, dark: float) -> None:
    """Where the sky does not reach: under the feet, and less under the body."""
    feet = body[[L_ANKLE, R_ANKLE]].copy()
    lifted = np.clip(feet[:, 2] - 0.1, 0.0, 0.5)
    feet[:, 2] = 0.0
    middle = feet.mean(axis=0)
    rings = [RING * BODY_M + middle, *(RING * FOOT_M + foot for foot in feet)]
    pixels, depth = eye.pixels(np.stack(rings))
    if depth.min() < NEAR_M:
        return
    levels = [120, *(int(120 + 135 * (1 - lift / 0.5)) for lift in lifted)]
    _soft_shapes(image, list(pixels), levels, dark)


def _soft_shapes(image: Pixels, shapes: list[Floats], levels: list[int], dark: float) -> None:
    wide = float(np.ptp(shapes[0][:, 0]))
    blur = 2 * int(np.clip(wide / 8, 1, 12)) + 1
    box = box_within(image, np.concatenate(shapes), blur)
    if box is None:
        return
    x1, y1, x2, y2 = box
    mask = np.zeros((y2 - y1, x2 - x1), dtype=np.uint8)
    for shape, level in zip(shapes, levels, strict=True):
        fixed = np.rint((shape - [x1, y1]) * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, fixed, level, cv2.LINE_AA, 4)
    darken(image, (x1, y1), np.asarray(cv2.blur(mask, (blur, max(blur // 2, 1)))), dark)


def _cast(image: Pixels, pixels: Floats, radius: Floats, dark: float) -> None:
    box = box_within(image, pixels, float(radius.max()))
    if box is None:
        return
    x1, y1, x2, y2 = box
    mask = np.zeros(((y2 - y1) * ENLARGEMENT, (x2 - x1) * ENLARGEMENT), dtype=np.uint8)
    fixed = np.rint((pixels - [x1, y1]) * ENLARGEMENT * 16).astype(np.int32).tolist()
    for a, b, r in zip(FIRST, SECOND, radius, strict=True):
        width_px = max(round(1.4 * float(r) * ENLARGEMENT), 1)
        cv2.line(mask, fixed[a], fixed[b], 255, width_px, cv2.LINE_8, 4)
    small = cv2.resize(mask, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)
    darken(image, (x1, y1), np.asarray(small), dark)
