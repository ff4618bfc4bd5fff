"""The ground from above as a texture: grass, wear, painted lines, apron and a stand's shadow."""

from dataclasses import dataclass

import cv2
import numpy as np

from domain.pitch import PENALTY_SPOT_M, Pitch
from simulation.arrays import Floats, Pixels
from simulation.variety import FOG, Grass, Light, fog_share

LINE_WIDTH_M = 0.12  # Laws of the Game, law 1: at most 12 cm
SURROUND_M = (9.0, 8.0)  # grass beyond the goal lines and the touchlines
PIXELS_PER_M_AT_1280 = 24.0
SPOT_RADIUS_M = 0.11
STRIPS = 24  # the softening changes this many times over the depth of the ground
SOFTNESS = 0.38  # standard deviation of the blur per texel that a pixel covers
# Size in metres and deviation of 255: blades, tufts, patches; then where grass is dry.
GRAIN = ((0.0, 6.5), (0.18, 3.6), (0.7, 2.0), (5.0, 2.8), (18.0, 2.5))
DRYNESS = ((1.2, 1.6), (8.0, 2.4))
LINE_PATCHES = ((0.5, 0.6), (3.0, 0.8))
FROST = np.array([188, 196, 186], dtype=np.float32)
EARTH = np.array([80, 128, 134], dtype=np.float32)
LINE_WHITE = np.array([236, 240, 236])
APRONS = {"tarmac": (88, 90, 92), "turf": (58, 104, 66), "track": (72, 84, 150)}


@dataclass(frozen=True)
class Ground:
    """A texture (h, w, 3) of the ground and the map (3, 3) from pitch metres to its pixels."""

    texture: Pixels
    from_pitch: Floats


def draw_ground(
    pitch: Pitch, width: int, grass: Grass, light: Light, rng: np.random.Generator
) -> Ground:
    """Ground for one match that is filmed `width` pixels wide."""
    scale = min(PIXELS_PER_M_AT_1280 * max(width, 480) / 1280, 36.0)
    half = np.array([pitch.half_length_m, pitch.half_width_m]) + SURROUND_M
    shape = (round(2 * half[1] * scale), round(2 * half[0] * scale))
    x = ((np.arange(shape[1], dtype=np.float32) + 0.5) / scale - half[0]).astype(np.float32)
    y = (half[1] - (np.arange(shape[0], dtype=np.float32) + 0.5) / scale).astype(np.float32)
    texture = _turf(x, y, scale, grass, rng)
    for cx, cy, reach, strength in _worn_places(pitch, grass, rng):
        _wear(texture, x, y, (cx, cy), reach, strength, rng)
    _paint_lines(texture, pitch, half, scale, grass, rng)
    _lay_apron(texture, x, y, pitch, grass, rng)
    _shade(texture, x, y, light)
    return Ground(
        texture, np.array([[scale, 0, half[0] * scale], [0, -scale, half[1] * scale], [0, 0, 1]])
    )


def softened(ground: Ground, place: Floats, focal_px: float, haze: float = 0.0) -> Ground:
    """The ground as a camera at `place` (3) takes it: as soft as its resolution leaves it, and
    with the `haze` between.
    """
    scale = float(ground.from_pitch[0, 0])
    half = ground.from_pitch[:2, 2] / scale
    texture = ground.texture.copy()
    _soften(texture, half, scale, place, focal_px)
    if haze:
        _fog(texture, half, scale, place, haze)
    return Ground(texture, ground.from_pitch)


def _fog(texture: Pixels, half: Floats, scale: float, place: Floats, haze: float) -> None:
    for row in range(len(texture)):
        y = half[1] - (row + 0.5) / scale
        x = np.linspace(-half[0], half[0], texture.shape[1], dtype=np.float32)
        share = fog_share(np.hypot(np.hypot(x - place[0], y - place[1]), place[2]), haze)
        texture[row] = texture[row] + share[:, None] * (FOG - texture[row])


def _turf(x: Floats, y: Floats, scale: float, grass: Grass, rng: np.random.Generator) -> Pixels:
    """Grass with its mowing pattern; light blades and light stripes are yellower."""
    shape = (len(y), len(x))
    shade = _mowing(x, y, grass, rng) + _noise(shape, scale, GRAIN, grass.blades, rng)
    dry = _noise(shape, scale, DRYNESS, grass.blades, rng)
    gain = np.array([0.62, 1.0, 0.9], dtype=np.float32)
    yellow = np.array([-0.25, 0.2, 1.0], dtype=np.float32)
    base = np.array(grass.colour, dtype=np.float32) * (1.0 - 0.16 * grass.wet)
    colour = base + shade[..., None] * gain + dry[..., None] * yellow
    colour += grass.frost * (FROST - colour)
    return np.asarray(np.clip(colour, 0, 255), dtype=np.uint8)


def _mowing(x: Floats, y: Floats, grass: Grass, rng: np.random.Generator) -> np.ndarray:
    """Light and dark where the mower went towards or away from the camera."""
    contrast, shape = grass.mowing_contrast, (len(y), len(x))
    band_m = 105.0 / int(rng.choice([14, 16, 18, 20, 24]))
    phase, turn = rng.uniform(0.0, 1.0), rng.uniform(0.5, 1.0) * rng.choice([-1, 1])
    across, along = _edges(x / band_m + phase), _edges(y / band_m + phase)
    if grass.mowing == "bands":
        return np.asarray(contrast * np.broadcast_to(across, shape))
    if grass.mowing == "lengthwise":
        return np.asarray(contrast * np.broadcast_to(along[:, None], shape))
    if grass.mowing == "checks":
        return np.asarray(0.6 * contrast * (across[None] + along[:, None]))
    if grass.mowing == "diagonal":
        return np.asarray(contrast * _edges((x[None] + turn * y[:, None]) / (1.4 * band_m)))
    if grass.mowing == "rings":
        return np.asarray(contrast * _edges(np.hypot(x[None], y[:, None]) / band_m))
    return np.zeros(shape, dtype=np.float32)


def _edges(position: np.ndarray) -> np.ndarray:
    """A square wave of period 2 with slightly soft edges."""
    return np.tanh(9.0 * np.sin(np.pi * position)).astype(np.float32)


def _noise(
    shape: tuple[int, int],
    scale: float,
    octaves: tuple[tuple[float, float], ...],
    strength: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Noise of several sizes (metres, standard deviation) on top of each other."""
    total = np.zeros(shape, dtype=np.float32)
    for size_m, deviation in octaves:
        step = max(size_m * scale, 1.0)
        small = (max(int(shape[0] / step), 2), max(int(shape[1] / step), 2))
        noise = rng.standard_normal(small, dtype=np.float32) * np.float32(deviation * strength)
        total += cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return total


def _worn_places(
    pitch: Pitch, grass: Grass, rng: np.random.Generator
) -> list[tuple[float, float, float, float]]:
    """Centre x, y, reach in metres and strength of worn areas: goal mouths, spot, and anywhere."""
    mouth, patch = grass.goalmouth_wear, grass.worn_patches
    goal = pitch.half_length_m - 3.5
    places = [(sign * goal, 0.0, 4.5, mouth) for sign in (-1.0, 1.0)]
    places += [(sign * (goal - 7.5), 0.0, 1.6, 0.8 * mouth) for sign in (-1.0, 1.0)]
    places += [(0.0, 0.0, 2.2, 0.7 * mouth)]
    for _ in range(14):
        at = rng.uniform(-1, 1, 2) * [pitch.half_length_m, pitch.half_width_m]
        reach, strength = rng.uniform(0.8, 5.0), patch * rng.uniform(0.2, 1.0)
        places.append((float(at[0]), float(at[1]), float(reach), float(strength)))
    return [place for place in places if place[3] > 0]


def _wear(
    texture: Pixels,
    x: Floats,
    y: Floats,
    centre: tuple[float, float],
    reach_m: float,
    strength: float,
    rng: np.random.Generator,
) -> None:
    """Paler, earthy grass around a place."""
    columns = np.flatnonzero(np.abs(x - centre[0]) < 2.5 * reach_m)
    rows = np.flatnonzero(np.abs(y - centre[1]) < 3.2 * reach_m)
    if not (len(columns) and len(rows)):
        return
    area = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    across, along = (x[columns] - centre[0]) / reach_m, (y[rows] - centre[1]) / (1.3 * reach_m)
    patchy = rng.uniform(0.2, 1.0, (max(len(rows) // 6, 1), max(len(columns) // 6, 1)))
    patchy = cv2.resize(patchy.astype(np.float32), (len(columns), len(rows)))
    share = strength * np.exp(-(across[None] ** 2) - along[:, None] ** 2) * patchy
    texture[area] = texture[area] + share[..., None] * (EARTH - texture[area])


def _lay_apron(
    texture: Pixels, x: Floats, y: Floats, pitch: Pitch, grass: Grass, rng: np.random.Generator
) -> None:
    """Other ground beyond a strip of grass around the pitch."""
    if grass.apron == "grass":
        return
    colour = np.array(APRONS[grass.apron], np.float32) * rng.uniform(0.75, 1.2)
    reach = grass.apron_from_m
    outside = np.abs(y) > pitch.half_width_m + reach
    ends = np.abs(x) > pitch.half_length_m + reach
    for area in (np.s_[outside, :], np.s_[:, ends]):
        shape = texture[area].shape
        grain = rng.standard_normal(shape[:2], dtype=np.float32)[..., None] * 3.0
        texture[area] = np.clip(colour + grain, 0, 255)


def _shade(texture: Pixels, x: Floats, y: Floats, light: Light) -> None:
    """The shadow that a stand throws on the ground."""
    if not light.shade:
        return
    keep = 1.0 - light.shade * light.shaded(x[None], y[:, None]).astype(np.float32)
    keep = np.broadcast_to(keep, texture.shape[:2])
    # what the sun does not reach is lit by the sky, which is bluer
    for channel, sky in enumerate((0.9, 1.0, 1.06)):
        texture[..., channel] = texture[..., channel] * (1 - (1 - keep) * sky)


def _paint_lines(
    texture: Pixels,
    pitch: Pitch,
    half: Floats,
    scale: float,
    grass: Grass,
    rng: np.random.Generator,
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
    worn = 0.5 + 0.5 * _noise(texture.shape[:2], scale, LINE_PATCHES, 1.0, rng)[rows, columns]
    paint = grass.line_paint * (1.0 - grass.line_wear * np.clip(worn, 0.0, 1.0))
    paint *= rng.uniform(0.8, 1.0, len(rows))
    share = (mask[rows, columns] / 255.0 * paint)[:, None]
    texture[rows, columns] = texture[rows, columns] * (1 - share) + LINE_WHITE * share


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
