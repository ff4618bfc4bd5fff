"""What stands around the pitch: boards, walls and stands full of people, as textured planes."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from simulation.arrays import Floats, Pixels
from simulation.crowd import Crowd
from simulation.kits import MatchKits, bgr
from simulation.variety import FOG, Look, fog_share

BOARD_WORDS = (
    "NORDWIND", "ALTAMAR", "KESTREL BANK", "VELO&CO", "SOLARA", "TRIDENT", "MONTEREI", "QUANTA",
    "BLUE FERRY", "HALCYON AIR", "PICO", "ORBITA", "GREENLEAF", "LUMEN", "CASTELLO", "RAPIDO",
)  # fmt: skip
BOARD_TEXELS_PER_M = 20.0
EDGE_M = (60.0, 41.0)  # where the boards stand, from the centre spot
OVERHANG_M = 16.0  # how far stands reach past the corners
LED_SHARE = 0.4  # of stadiums, whose boards all show the same few names
SKIES = ((196, 178, 160), (214, 206, 200), (168, 160, 156), (226, 196, 150))
NIGHT = (26, 20, 18)
SKY_ROWS = 256
BEYOND = (52, 54, 52)  # what lies outside the drawn ground
LAND, LAND_SHARE = (48, 70, 62), 0.35  # far land, and how far down the picture it reaches
HAZE_FROM = np.array([0.0, -62.0, 16.0])  # about where main cameras stand
TREES_BEHIND_M = 24.0
CUT_M = 6.0  # planes are cut off this near to the lens


@dataclass(frozen=True)
class Plane:
    """A textured rectangle: `corner`, `along` and `up` in metres span it, from its lower left.

    Where there is a `cover` (as wide and high as the texture), it shows 255 as solid, 0 as open.
    """

    texture: Pixels
    corner: Floats
    along: Floats
    up: Floats
    cover: Pixels | None = None


@dataclass(frozen=True)
class Stadium:
    """Planes in the order of painting: `behind` all people, and `before` them when seen from high
    on the near side. `sky` (rows, 3) is what lies above the horizon, from the zenith down.
    """

    behind: list[Plane]
    before: list[Plane]
    sky: Pixels


def draw_stadium(kits: MatchKits, around: bool, look: Look, rng: np.random.Generator) -> Stadium:
    """Far side and both ends, the near side's stand too if `around`; benches and what is before
    the near stand.
    """
    crowd, boards = Crowd(kits, look.crowd, look.stand_light, rng), _Boards(rng)
    kind, sky = look.stands, _sky(look, rng)
    behind = []
    for start, end in _sides(around):
        behind += _side(start, end, kind, crowd, boards, rng)
    before = _near_side(kind, crowd, boards, kits, rng)
    return Stadium([_hazed(plane, look.haze) for plane in behind], before, sky)


def _sides(around: bool) -> list[tuple[Floats, Floats]]:
    """Ends of each side's line of boards, from left to right as seen from the pitch."""
    (x, y), over = EDGE_M, OVERHANG_M
    left = np.array([-x, -y - over]), np.array([-x, y + over])
    right = np.array([x, y + over]), np.array([x, -y - over])
    far = np.array([-x - over, y]), np.array([x + over, y])
    near = np.array([x + over, -y]), np.array([-x - over, -y])
    return [near, left, far, right] if around else [left, right, far]


def _side(
    start: Floats,
    end: Floats,
    kind: str,
    crowd: Crowd,
    boards: "_Boards",
    rng: np.random.Generator,
) -> list[Plane]:
    """Sky or roof, tiers, walls and boards of one side, farthest first."""
    out = np.array([-(end - start)[1], (end - start)[0]]) / np.linalg.norm(end - start)
    length = float(np.linalg.norm(end - start))
    along = np.append(end - start, 0.0)
    planes = []
    for texture, behind, height, depth, rise in _shapes(kind, length, crowd, boards, rng):
        corner = np.append(start + out * behind, height)
        cover = _tree_tops(texture.shape, rng) if behind == TREES_BEHIND_M else None
        planes.append(Plane(texture, corner, along, np.append(out * depth, rise), cover))
    return planes


Shape = tuple[Pixels, float, float, float, float]


def _shapes(
    kind: str,
    length: float,
    crowd: Crowd,
    boards: "_Boards",
    rng: np.random.Generator,
) -> list[Shape]:
    """Texture, distance behind the boards, height, depth and rise of each plane."""
    if kind == "tall":
        shapes = [
            (_wall(rng), 43.0, 26.5, 0.0, 60.0),
            (crowd.tier(length, 22), 26.0, 14.5, 17.0, 12.0),
            (boards.run(length, 1.0), 25.5, 13.0, 0.0, 1.4),
            (_wall(rng), 25.0, 10.0, 0.5, 3.0),
            (crowd.tier(length, 24), 6.0, 1.8, 19.0, 8.6),
            (_wall(rng), 6.0, 0.0, 0.0, 1.8),
        ]
    elif kind == "low":
        rows = int(rng.integers(8, 22))
        shapes = [
            (_wall(rng), 6.0 + 0.8 * rows, 1.8 + 0.36 * rows, 0.0, float(rng.uniform(2.0, 7.0))),
            (crowd.tier(length, rows), 6.0, 1.8, 0.8 * rows, 0.36 * rows),
            (_wall(rng), 6.0, 0.0, 0.0, 1.8),
        ]
    else:
        shapes = [
            (_trees(length, rng), TREES_BEHIND_M, 0.0, 3.0, float(rng.uniform(9.0, 24.0))),
            (_verge(length, rng), 1.0, 0.0, 24.0, 0.5),
        ]
    if kind != "open" or rng.random() < 0.5:
        shapes.append((boards.run(length, 1.0), 2.2, 0.75, 0.0, 0.95))
        shapes.append((boards.run(length, 1.0), 0.0, 0.0, 0.0, 0.95))
    return shapes


def _near_side(
    kind: str, crowd: Crowd, boards: "_Boards", kits: MatchKits, rng: np.random.Generator
) -> list[Plane]:
    """The near stand's lowest rows, the backs of the boards and the benches' roofs."""
    x, y = EDGE_M
    length = 2 * x
    along = np.array([length, 0.0, 0.0])
    planes = []
    if kind != "open":
        rows = crowd.tier(length, 16)
        planes.append(Plane(rows, np.array([-x, -y - 17, 8.0]), along, np.array([0, 13, -6.5])))
        low = _wall(rng)
        planes.append(Plane(low, np.array([-x, -y - 4, 0.0]), along, np.array([0, 0, 1.5])))
    planes.append(
        Plane(boards.run(length, 1.0), np.array([-x, -y, 0.0]), along, np.array([0, 0, 0.95]))
    )
    if kind == "open" and rng.random() < 0.5:
        return planes
    wide, roof = float(rng.uniform(8.0, 14.0)), _roof(kits, rng)
    for sign in (-1, 1):
        left = sign * rng.uniform(9.0, 14.0) + (-wide / 2)
        span = np.array([wide, 0.0, 0.0])
        back = np.array([left, -y + 0.2, 0.0])
        planes.append(Plane(roof, back, span, np.array([0.0, 0.0, 2.1])))
        planes.append(Plane(roof, back + np.array([0, 0, 2.1]), span, np.array([0.0, 1.5, 0.25])))
    return planes


def _hazed(plane: Plane, haze: float) -> Plane:
    """The plane with the haze between it and the main camera."""
    if not haze:
        return plane
    middle = plane.corner + plane.along / 2 + plane.up / 2
    share = float(fog_share(np.linalg.norm(middle - HAZE_FROM), haze))
    mixed = plane.texture * (1 - share) + np.array(FOG) * share
    return replace(plane, texture=np.asarray(mixed, dtype=np.uint8))


def _sky(look: Look, rng: np.random.Generator) -> Pixels:
    """Brighter towards the horizon; black at night, and a roof above tall stands."""
    high = np.array(SKIES[int(rng.integers(len(SKIES)))])
    if look.light.kind == "flood" or look.stands == "tall":
        high = np.array(NIGHT)
    down = np.linspace(0.0, 1.0, SKY_ROWS)[:, None]
    low = np.minimum(1.15 * high + 8, 244)
    return np.asarray(high * (1 - down) + low * down, dtype=np.uint8)


def paint_sky(image: Pixels, matrix: Floats, sky: Pixels) -> None:
    """Fill `image` above the horizon with the sky, below with land far away and bare ground."""
    # the horizon at the picture's middle: where a level line straight ahead vanishes
    ahead = matrix[:, :3] @ np.append(matrix[2, :2], 0.0)
    rows = (np.arange(len(image)) - ahead[1] / max(ahead[2], 1e-6)) / len(image)
    above = sky[np.clip((rows + 1.0) * (SKY_ROWS - 1), 0, SKY_ROWS - 1).astype(int)]
    land = 0.55 * sky[-1] + 0.45 * np.array(LAND)
    near = np.clip(rows / LAND_SHARE, 0.0, 1.0)[:, None]
    below = land * (1 - near) + np.array(BEYOND) * near
    column = np.where(rows[:, None] < 0, above, below).astype(np.uint8)[:, None]
    cv2.resize(column, (image.shape[1], len(image)), dst=image, interpolation=cv2.INTER_NEAREST)


def _trees(length_m: float, rng: np.random.Generator) -> Pixels:
    """A row of trees or a hedge."""
    shape = (60, round(6 * length_m))
    leaves = sum(
        cv2.resize(rng.standard_normal((shape[0] // s, shape[1] // s)) * d, shape[::-1])
        for s, d in ((1, 12.0), (3, 14.0), (9, 9.0))
    )
    colour = np.array([42, 66, 50]) * rng.uniform(0.6, 1.2)
    texture = colour + np.asarray(leaves)[..., None] * [0.5, 0.9, 0.7]
    return np.asarray(np.clip(texture, 4, 200), dtype=np.uint8)


def _tree_tops(shape: tuple[int, ...], rng: np.random.Generator) -> Pixels:
    """Solid below a ragged line: crowns of several widths."""
    high, wide = shape[:2]
    line = np.zeros(wide)
    for step, reach in ((wide // 60, 0.16), (wide // 200, 0.12), (3, 0.05)):
        crowns = rng.uniform(0.0, reach, max(wide // max(step, 1), 2))
        line += cv2.resize(crowns[None], (wide, 1), interpolation=cv2.INTER_CUBIC)[0]
    down = np.arange(high)[:, None] / high
    return np.where(down > np.clip(line, 0.0, 0.6)[None], 255, 0).astype(np.uint8)


def _verge(length_m: float, rng: np.random.Generator) -> Pixels:
    shape = (80, round(4 * length_m))
    grain = rng.standard_normal(shape)[..., None] * 6.0
    colour = np.array([66, 112, 86]) * rng.uniform(0.6, 1.1)
    return np.asarray(np.clip(colour + grain, 0, 255), dtype=np.uint8)


def _wall(rng: np.random.Generator) -> Pixels:
    colour = rng.integers(25, 80) + rng.integers(-8, 8, 3)
    texture = np.tile(np.clip(colour, 0, 255).astype(np.uint8), (8, 64, 1))
    return np.ascontiguousarray(texture)


def _roof(kits: MatchKits, rng: np.random.Generator) -> Pixels:
    """A bench's shell of panels, in the home colour or plain."""
    pools = [bgr(kits.home.shirt), (200, 200, 200), (60, 56, 54), (40, 36, 120)]
    texture = np.empty((24, 120, 3), dtype=np.uint8)
    texture[:] = np.array(pools[int(rng.integers(len(pools)))]) * 0.8
    texture[:, ::15] = (texture[:, ::15] * 0.6).astype(np.uint8)
    texture[-3:] = 225
    return texture


class _Boards:
    """Advertising boards: invented names in their colours, in some stadiums the same all round."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._led = bool(rng.random() < LED_SHARE)
        self._brands = [self._brand() for _ in range(3 if self._led else 14)]

    def _brand(self) -> tuple[str, np.ndarray, np.ndarray]:
        rng = self._rng
        dark, light = rng.integers(0, 120, 3), rng.integers(185, 256, 3)
        back, front = (dark, light) if rng.random() < 0.7 else (light, dark)
        return str(rng.choice(BOARD_WORDS)), back, front

    def run(self, length_m: float, height_m: float) -> Pixels:
        """A texture of panels along `length_m` metres."""
        high = round(BOARD_TEXELS_PER_M * height_m)
        texture = np.zeros((high, round(BOARD_TEXELS_PER_M * length_m), 3), dtype=np.uint8)
        at, turn = 0, int(self._rng.integers(len(self._brands)))
        while at < texture.shape[1]:
            metres = 8.0 if self._led else self._rng.uniform(5.0, 14.0)
            wide = round(BOARD_TEXELS_PER_M * metres)
            number = turn if self._led else int(self._rng.integers(len(self._brands)))
            _panel(texture[:, at : at + wide], *self._brands[number % len(self._brands)])
            at, turn = at + wide, turn + int(self._rng.random() < 0.3)
        return texture


def _panel(panel: Pixels, word: str, back: np.ndarray, front: np.ndarray) -> None:
    panel[:] = back
    scale = 0.62
    (wide, high), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, 1)
    at = (max((panel.shape[1] - wide) // 2, 2), (panel.shape[0] + high) // 2)
    colour = tuple(int(c) for c in front)
    cv2.putText(panel, word, at, cv2.FONT_HERSHEY_DUPLEX, scale, colour, 1, cv2.LINE_AA)


def paint_plane(image: Pixels, matrix: Floats, plane: Plane) -> None:
    """Draw a plane into `image` through the projection `matrix` (3, 4), unless seen from behind."""
    eye = -np.linalg.inv(matrix[:, :3]) @ matrix[:, 3]
    if np.cross(plane.along, plane.up) @ (eye - plane.corner) <= 0:
        return
    outline = _outline(image.shape, matrix, plane)
    if outline is None:
        return
    x, y, wide, high = outline[1]
    to_image = _to_image(matrix, plane)
    to_image = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]]) @ to_image
    area = image[y : y + high, x : x + wide]
    drawn = cv2.warpPerspective(plane.texture, to_image, (wide, high), flags=cv2.INTER_LINEAR)
    mask = np.zeros((high, wide), dtype=np.uint8)
    cv2.fillConvexPoly(mask, outline[0] - [x * 16, y * 16], 255, cv2.LINE_8, 4)
    if plane.cover is not None:
        mask &= cv2.warpPerspective(plane.cover, to_image, (wide, high), flags=cv2.INTER_NEAREST)
    cv2.copyTo(drawn, mask, area)


def _to_image(matrix: Floats, plane: Plane) -> Floats:
    """Homography (3, 3) from the texture's pixels to the picture's."""
    high, wide = plane.texture.shape[:2]
    upper_left = plane.corner + plane.up
    frame = np.stack([plane.along / wide, -plane.up / high, upper_left], axis=1)
    return np.asarray(matrix @ np.vstack([frame, [0.0, 0.0, 1.0]]))


def _outline(
    shape: tuple[int, ...], matrix: Floats, plane: Plane
) -> tuple[np.ndarray, tuple[int, int, int, int]] | None:
    """Its polygon (n, 2) in sixteenths of pixels and box x, y, w, h; None when unseen."""
    corners = [
        plane.corner,
        plane.corner + plane.along,
        plane.corner + plane.along + plane.up,
        plane.corner + plane.up,
    ]
    mapped = np.array(corners) @ matrix[:, :3].T + matrix[:, 3]
    ahead = _cut_near(mapped)
    if len(ahead) < 3:
        return None
    polygon = ahead[:, :2] / ahead[:, 2:]
    limits = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(polygon.min(axis=0)), 0, limits).astype(int)
    high = np.clip(np.ceil(polygon.max(axis=0)) + 1, 0, limits).astype(int)
    if (high - low < 1).any():
        return None
    fixed = np.rint(np.clip(polygon, -1e6, 1e6) * 16).astype(np.int32)
    return fixed, (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def _cut_near(mapped: Floats) -> Floats:
    """The part of a polygon (n, 3) of camera points in front of the lens (Sutherland-Hodgman)."""
    kept = []
    for here, after in zip(mapped, np.roll(mapped, -1, axis=0), strict=True):
        if here[2] >= CUT_M:
            kept.append(here)
        if (here[2] >= CUT_M) != (after[2] >= CUT_M):
            share = (CUT_M - here[2]) / (after[2] - here[2])
            kept.append(here + (after - here) * share)
    return np.array(kept).reshape(-1, 3)
