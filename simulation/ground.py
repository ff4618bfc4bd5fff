"""The grass from above as a texture: mowing pattern, wear, noise and the painted lines."""

from dataclasses import dataclass

import cv2
import numpy as np

from domain.pitch import PENALTY_SPOT_M, Pitch
from simulation.arrays import Floats, Pixels

LINE_WIDTH_M = 0.12  # Laws of the Game, law 1: at most 12 cm
SURROUND_M = (9.0, 8.0)  # grass beyond the goal lines and the touchlines
MOWING = ("bands", "bands", "bands", "checks", "rings", "plain")
PIXELS_PER_M_AT_1280 = 24.0
SPOT_RADIUS_M = 0.11
STRIPS = 24  # the softening changes this many times over the depth of the ground
SOFTNESS = 0.38  # standard deviation of the blur per texel that a pixel covers


@dataclass(frozen=True)
class Ground:
    """A texture (h, w, 3) of the ground and the map (3, 3) from pitch metres to its pixels."""

    texture: Pixels
    from_pitch: Floats


def draw_ground(pitch: Pitch, width: int, rng: np.random.Generator) -> Ground:
    """Grass for one match that is filmed `width` pixels wide."""
    scale = min(PIXELS_PER_M_AT_1280 * max(width, 480) / 1280, 36.0)
    half = np.array([pitch.half_length_m, pitch.half_width_m]) + SURROUND_M
    shape = (round(2 * half[1] * scale), round(2 * half[0] * scale))
    x = (np.arange(shape[1], dtype=np.float32) + 0.5) / scale - half[0]
    y = half[1] - (np.arange(shape[0], dtype=np.float32) + 0.5) / scale
    shade = _mowing(x, y, rng) + _unevenness(shape, scale, rng)
    texture = _grass_colour(shade, rng)
    _wear(texture, x, y, pitch, rng)
    _paint_lines(texture, pitch, half, scale, rng)
    return Ground(
        texture, np.array([[scale, 0, half[0] * scale], [0, -scale, half[1] * scale], [0, 0, 1]])
    )


def softened(ground: Ground, place: Floats, focal_px: float) -> Ground:
    """The ground as a camera at `place` (3) takes it: as soft as its resolution leaves it."""
    scale = float(ground.from_pitch[0, 0])
    half = ground.from_pitch[:2, 2] / scale
    texture = ground.texture.copy()
    _soften(texture, half, scale, place, focal_px)
    return Ground(texture, ground.from_pitch)


def _mowing(x: Floats, y: Floats, rng: np.random.Generator) -> np.ndarray:
    """Light and dark where the mower went towards or away from the camera."""
    kind, contrast = str(rng.choice(MOWING)), rng.uniform(4.0, 10.0)
    band_m = 105.0 / int(rng.choice([14, 16, 18, 20]))
    across = _edges(x / band_m)
    if kind == "bands":
        return np.asarray(contrast * np.broadcast_to(across, (len(y), len(x))))
    if kind == "checks":
        return np.asarray(0.7 * contrast * across[None] * _edges(y / band_m)[:, None])
    if kind == "rings":
        return np.asarray(contrast * _edges(np.hypot(x[None], y[:, None]) / band_m))
    return np.zeros((len(y), len(x)), dtype=np.float32)


def _edges(position: np.ndarray) -> np.ndarray:
    """A square wave of period 2 with slightly soft edges."""
    return np.tanh(9.0 * np.sin(np.pi * position)).astype(np.float32)


def _unevenness(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> np.ndarray:
    """Noise at several sizes: blades, tufts of half a metre, patches of metres."""
    total = np.zeros(shape, dtype=np.float32)
    for size_m, strength in ((0.0, 6.5), (0.18, 5.0), (0.7, 2.2), (5.0, 2.6)):
        step = max(size_m * scale, 1.0)
        small = (max(int(shape[0] / step), 2), max(int(shape[1] / step), 2))
        noise = rng.standard_normal(small, dtype=np.float32) * np.float32(strength)
        total += cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return total


def _grass_colour(shade: np.ndarray, rng: np.random.Generator) -> Pixels:
    """Green of a hue and lightness drawn for the match; light blades are yellower."""
    base = np.array(
        [rng.uniform(48, 78), rng.uniform(105, 140), rng.uniform(64, 96)], dtype=np.float32
    )
    gain = np.array([0.75, 1.0, 0.95], dtype=np.float32)
    colour = base + shade[..., None] * gain
    return np.asarray(np.clip(colour, 0, 255), dtype=np.uint8)


def _wear(texture: Pixels, x: Floats, y: Floats, pitch: Pitch, rng: np.random.Generator) -> None:
    """Worn, paler grass in the goal mouths and on the centre spot."""
    strength = rng.uniform(0.0, 0.35)
    earth = np.array([80, 128, 132], dtype=np.float32)
    for cx, reach in ((-pitch.half_length_m + 4, 5.0), (pitch.half_length_m - 4, 5.0), (0.0, 2.5)):
        columns, rows = (
            np.flatnonzero(np.abs(x - cx) < 3 * reach),
            np.flatnonzero(np.abs(y) < 3 * reach),
        )
        area = np.ix_(rows, columns)
        far = ((x[columns] - cx) / reach)[None] ** 2 + (y[rows] / (1.3 * reach))[:, None] ** 2
        patchy = rng.uniform(0.3, 1.0, far.shape).astype(np.float32)
        share = (strength * np.exp(-far) * patchy)[..., None]
        texture[area] = (texture[area] * (1 - share) + earth * share).astype(np.uint8)


def _paint_lines(
    texture: Pixels, pitch: Pitch, half: Floats, scale: float, rng: np.random.Generator
) -> None:
    mask = np.zeros(texture.shape[:2], dtype=np.uint8)
    width = max(round(LINE_WIDTH_M * scale), 1)
    for line in pitch.lines(step_m=0.25):
        _stroke(mask, _texel(line, half, scale), width)
    for x in (-pitch.half_length_m + PENALTY_SPOT_M, 0.0, pitch.half_length_m - PENALTY_SPOT_M):
        (centre,) = _texel(np.array([[x, 0.0]]), half, scale)
        radius = round(SPOT_RADIUS_M * scale * 16)
        cv2.circle(mask, (int(centre[0]), int(centre[1])), radius, 255, -1, cv2.LINE_AA, 4)
    _corner_arcs(mask, pitch, half, scale, width)
    rows, columns = np.nonzero(mask)
    paint = rng.uniform(0.72, 0.92) * rng.uniform(0.85, 1.0, len(rows))
    share = (mask[rows, columns] / 255.0 * paint)[:, None]
    white = np.array([236, 240, 236])
    texture[rows, columns] = texture[rows, columns] * (1 - share) + white * share


def _texel(points: Floats, half: Floats, scale: float) -> np.ndarray:
    """Pitch metres to texture pixels, times 16 for OpenCV's sub-pixel drawing."""
    moved = np.column_stack([points[:, 0] + half[0], half[1] - points[:, 1]]) * scale - 0.5
    return np.rint(moved * 16).astype(np.int32)


def _stroke(mask: Pixels, points: np.ndarray, width: int) -> None:
    cv2.polylines(mask, [points.reshape(-1, 1, 2)], False, 255, width, cv2.LINE_AA, 4)


def _corner_arcs(mask: Pixels, pitch: Pitch, half: Floats, scale: float, width: int) -> None:
    angle = np.linspace(0.0, np.pi / 2, 12)
    quarter = np.column_stack([np.cos(angle), np.sin(angle)])
    for sx in (-1, 1):
        for sy in (-1, 1):
            corner = np.array([sx * pitch.half_length_m, sy * pitch.half_width_m])
            _stroke(mask, _texel(corner - quarter * [sx, sy], half, scale), width)


def _soften(texture: Pixels, half: Floats, scale: float, place: Floats, focal_px: float) -> None:
    """Blur along the depth of the picture by what one of its pixels covers there.

    A pixel's footprint on the ground is d^2 / (h f) metres deep; sampled without this, distant
    lines and blades of grass would flicker.
    """
    along_y = abs(place[1]) > abs(place[0])
    view = texture if along_y else texture.transpose(1, 0, 2)
    rows = np.arange(len(view)) / scale
    depth = np.abs(half[1] - rows - place[1] if along_y else rows - half[0] - place[0])
    texels = (depth**2 + place[2] ** 2) / (place[2] * focal_px) * scale
    source, edges = view.copy(), np.linspace(0, len(view), STRIPS + 1).astype(int)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        _blur_rows(view, source, slice(low, high), SOFTNESS * float(texels[(low + high) // 2]))


def _blur_rows(view: Pixels, source: Pixels, rows: slice, sigma: float) -> None:
    """Replace `rows` of `view` by those of `source` blurred down the columns."""
    if sigma < 0.4:
        return
    weights = _gaussian(sigma)
    first = max(rows.start - len(weights), 0)
    area = np.ascontiguousarray(source[first : rows.stop + len(weights)])
    blurred = cv2.sepFilter2D(area, -1, np.ones(1), weights)
    view[rows] = blurred[rows.start - first : rows.stop - first]


def _gaussian(sigma: float) -> np.ndarray:
    reach = int(np.ceil(2.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())
