"""Drawn pictures of other sports: fields with lines on which no football pitch should be seen.

Sizes and markings are those of the sports' rules, in metres from the field's middle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

SIZE = (1280, 720)
FINER = 2
"""Pictures are drawn so many times larger and shrunk, which smooths every edge."""
APRON_M = 8.0
GRASS, BLUE, CLAY, WOOD = (60, 130, 70), (150, 90, 40), (60, 90, 170), (110, 165, 205)


@dataclass(frozen=True)
class Field:
    """A sport's field: its size in metres, its lines (n, 2) each, and colours (BGR) it may have."""

    name: str
    length_m: float
    width_m: float
    lines: Sequence[Floats]
    colours: Sequence[Colour]


def drawn(field: Field, rng: np.random.Generator) -> Image:
    """The field seen by a random camera in its stands, or behind one end, (720, 1280, 3) BGR."""
    to_pixel = _camera(field, rng)
    picture = _stands(rng)
    texture, to_texel = _ground(field, rng)
    warp, size = to_pixel @ np.linalg.inv(to_texel), (SIZE[0] * FINER, SIZE[1] * FINER)
    ground = cv2.warpPerspective(texture, warp, size, flags=cv2.INTER_AREA)
    there = cv2.warpPerspective(np.full(texture.shape[:2], 255, np.uint8), warp, size)
    picture[there > 127] = ground[there > 127]
    _people(picture, field, to_pixel, rng)
    small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
    noisy = small * rng.uniform(0.7, 1.15) + rng.normal(0, rng.uniform(1, 5), small.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _camera(field: Field, rng: np.random.Generator) -> Floats:
    """Metres to pixels (3, 3) of a camera that looks at the field from outside."""
    reach = max(field.length_m, field.width_m)
    behind = rng.random() < 0.25
    away = (field.length_m if behind else field.width_m) / 2 + reach * rng.uniform(0.2, 0.6)
    place = np.array([rng.normal(0, 0.1 * reach), -away, reach * rng.uniform(0.12, 0.4)])
    along = 0.4 * (field.width_m if behind else field.length_m)
    aim = np.array([rng.uniform(-along, along), rng.uniform(-0.2, 0.2) * field.width_m, 0.0])
    forward = (aim - place) / np.linalg.norm(aim - place)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    focal = FINER * SIZE[0] / rng.uniform(0.35, 1.1)
    lens = np.array([[focal, 0, FINER * SIZE[0] / 2], [0, focal, FINER * SIZE[1] / 2], [0, 0, 1.0]])
    seen = lens @ np.column_stack([turn[:, :2], -turn @ place])
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    return np.asarray(seen @ quarter if behind else seen)


def _stands(rng: np.random.Generator) -> Image:
    """A crowd of coloured grains over a row of boards."""
    cells = np.clip(rng.normal(rng.uniform(30, 140, 3), rng.uniform(20, 60), (120, 213, 3)), 0, 255)
    size = (SIZE[0] * FINER, SIZE[1] * FINER)
    return np.asarray(cv2.resize(cells.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC))


def _ground(field: Field, rng: np.random.Generator) -> tuple[Image, Floats]:
    """The field from above, and metres to its texels (3, 3)."""
    half = np.array([field.length_m, field.width_m]) / 2 + APRON_M
    scale = 2400 / (2 * half[0])
    to_texel = np.array([[scale, 0, scale * half[0]], [0, -scale, scale * half[1]], [0, 0, 1.0]])
    width, height = (int(v) for v in np.ceil(2 * half * scale))
    colour = np.array(field.colours[int(rng.integers(len(field.colours)))])
    inner = np.clip(colour * rng.uniform(0.75, 1.25, 3), 0, 255)
    texture = np.empty((height, width, 3), np.float32)
    texture[:] = inner if rng.random() < 0.5 else np.clip(inner * rng.uniform(0.6, 1.3, 3), 0, 255)
    edge = int(APRON_M * scale)
    texture[edge:-edge, edge:-edge] = inner
    if rng.random() < 0.6:
        stripe = (np.arange(width) // max(int(scale * rng.uniform(4, 9)), 1)) % 2
        texture *= 1 - rng.uniform(0.03, 0.15) * stripe[None, :, None]
    painted = np.asarray(texture, np.uint8)
    white = (float(rng.uniform(190, 250)),) * 3
    thick = max(round(scale * max(0.1, 0.001 * field.length_m)), 1)
    for line in field.lines:
        texels = np.round((line * [scale, -scale] + scale * half) * 8).astype(np.int32)
        cv2.polylines(painted, [texels], False, white, thick, cv2.LINE_AA, 3)
    return painted, to_texel


def _people(picture: Image, field: Field, to_pixel: Floats, rng: np.random.Generator) -> None:
    """Players as upright ellipses in the colours of two sides."""
    sides = rng.uniform(0, 255, (2, 3))
    for _ in range(int(rng.integers(4, 24))):
        place = rng.uniform(-0.45, 0.45, 2) * [field.length_m, field.width_m]
        feet, beside = (to_pixel @ np.array([*(place + step), 1.0]) for step in ([0, 0], [0.9, 0]))
        if feet[2] < 1.0:
            continue
        foot, height = (
            feet[:2] / feet[2],
            np.linalg.norm(feet[:2] / feet[2] - beside[:2] / beside[2]),
        )
        centre = (int(foot[0]), int(foot[1] - height))
        axes = (max(int(0.3 * height), 1), max(int(height), 1))
        cv2.ellipse(picture, centre, axes, 0, 0, 360, sides[int(rng.integers(2))].tolist(), -1)


def _box(x0: float, x1: float, y: float) -> Floats:
    """A rectangle's outline (5, 2) from x0 to x1, `y` to both sides."""
    return np.array([[x0, -y], [x1, -y], [x1, y], [x0, y], [x0, -y]])


def _across(x: float, y: float) -> Floats:
    return np.array([[x, -y], [x, y]])


def _arc(x: float, radius: float, start_deg: float = 0, end_deg: float = 360) -> Floats:
    turn = np.radians(np.linspace(start_deg, end_deg, 60))
    return np.column_stack([x + radius * np.cos(turn), radius * np.sin(turn)])


def _both_ends(*lines: Floats) -> list[Floats]:
    """Lines of the right half, and their mirror images in the left one."""
    return [line * [side, 1] for line in lines for side in (1, -1)]


def _dashed(line: Floats, dash_m: float = 1.5) -> list[Floats]:
    length = float(np.linalg.norm(line[1] - line[0]))
    starts = np.arange(0, length - dash_m, 2 * dash_m)
    step = (line[1] - line[0]) / length
    return [np.stack([line[0] + step * s, line[0] + step * (s + dash_m)]) for s in starts]


def _along(y: float, x: float) -> list[Floats]:
    return [np.array([[-x, side * y], [x, side * y]]) for side in (1, -1)]


RUGBY = Field(
    "rugby", 120.0, 68.0,
    [
        _box(-60, 60, 34), _across(0, 34),
        *_both_ends(_across(50, 34), _across(28, 34)),
        *(dash for x in (-10, 10) for dash in _dashed(_across(x, 34))),
        *(dash for y in (19.0, 29.0) for line in _along(y, 45) for dash in _dashed(line, 2.5)),
    ],
    [GRASS],
)  # fmt: skip
AMERICAN_FOOTBALL = Field(
    "American football", 109.7, 48.8,
    [
        _box(-54.85, 54.85, 24.4),
        *(_across(x, 24.4) for x in np.linspace(-45.72, 45.72, 21)),
        *(dash for line in _along(2.8, 45.7) for dash in _dashed(line, 0.5)),
    ],
    [GRASS],
)  # fmt: skip
FIELD_HOCKEY = Field(
    "field hockey", 91.4, 55.0,
    [
        _box(-45.7, 45.7, 27.5), _across(0, 27.5),
        *_both_ends(_across(22.8, 27.5), _arc(45.7, 14.63, 90, 270)),
    ],
    [GRASS, BLUE],
)  # fmt: skip
TENNIS = Field(
    "tennis", 23.77, 10.97,
    [
        _box(-11.885, 11.885, 5.485), *_along(4.115, 11.885), _across(0, 5.485),
        *_both_ends(_across(6.4, 4.115)), np.array([[-6.4, 0], [6.4, 0]]),
    ],
    [GRASS, BLUE, CLAY],
)  # fmt: skip
BASKETBALL = Field(
    "basketball", 28.0, 15.0,
    [
        _box(-14, 14, 7.5), _across(0, 7.5), _arc(0, 1.8),
        *_both_ends(_box(8.2, 14, 2.45), _arc(12.4, 6.75, 90, 270), _arc(8.2, 1.8, 90, 270)),
    ],
    [WOOD],
)  # fmt: skip
HANDBALL = Field(
    "handball", 40.0, 20.0,
    [
        _box(-20, 20, 10), _across(0, 10),
        *_both_ends(_arc(20, 7.5, 90, 270), _arc(20, 10.5, 120, 240), _across(13, 0.5)),
    ],
    [WOOD, BLUE],
)  # fmt: skip
CRICKET = Field(
    "cricket",
    140.0,
    130.0,
    [_arc(0, 65), _arc(0, 27), _box(-10.06, 10.06, 1.5), *_both_ends(_across(8.8, 1.8))],
    [GRASS],
)
BASEBALL = Field(
    "baseball", 120.0, 120.0,
    [
        np.array([[60.0, -55.0], [-50.0, 0.0], [60.0, 55.0]]),
        np.array([[-50, 0], [-31, -19.4], [-11, 0], [-31, 19.4], [-50, 0]]), _arc(-31, 29, -80, 80),
    ],
    [GRASS],
)  # fmt: skip
FIELDS = (
    RUGBY, AMERICAN_FOOTBALL, FIELD_HOCKEY, TENNIS, BASKETBALL, HANDBALL, CRICKET, BASEBALL,
)  # fmt: skip
