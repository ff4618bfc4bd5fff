"""What stands around the pitch: boards, walls and stands full of people, as textured planes."""

from dataclasses import dataclass

import cv2
import numpy as np

from simulation.arrays import Floats, Pixels
from simulation.kits import MatchKits, bgr

BOARD_WORDS = (
    "NORDWIND", "ALTAMAR", "KESTREL BANK", "VELO&CO", "SOLARA", "TRIDENT", "MONTEREI", "QUANTA",
    "BLUE FERRY", "HALCYON AIR", "PICO", "ORBITA", "GREENLEAF", "LUMEN", "CASTELLO", "RAPIDO",
)  # fmt: skip
SEAT_M, ROW_M = 0.5, 0.8
SEAT_TEXELS = (5, 7)  # width and height of a seat's place in a stand's texture
BOARD_TEXELS_PER_M = 20.0
EDGE_M = (60.0, 41.0)  # where the boards stand, from the centre spot
OVERHANG_M = 16.0  # how far stands reach past the corners
CUT_M = 6.0  # planes are cut off this near to the lens


@dataclass(frozen=True)
class Plane:
    """A textured rectangle: `corner`, `along` and `up` in metres span it, from its lower left."""

    texture: Pixels
    corner: Floats
    along: Floats
    up: Floats


def draw_stadium(kits: MatchKits, around: bool, rng: np.random.Generator) -> list[Plane]:
    """Planes in the order of painting: far side and both ends, the near side too if `around`."""
    seats = rng.integers(40, 120, 3)
    fill, light = rng.uniform(0.45, 0.97), rng.uniform(0.55, 0.95)
    planes = []
    for start, end in _sides(around):
        planes += _side(start, end, _Crowd(kits, seats, fill, light, rng), rng)
    return planes


def _sides(around: bool) -> list[tuple[Floats, Floats]]:
    """Ends of each side's line of boards, from left to right as seen from the pitch."""
    (x, y), over = EDGE_M, OVERHANG_M
    left = np.array([-x, -y - over]), np.array([-x, y + over])
    right = np.array([x, y + over]), np.array([x, -y - over])
    far = np.array([-x - over, y]), np.array([x + over, y])
    near = np.array([x + over, -y]), np.array([-x - over, -y])
    return [near, left, far, right] if around else [left, right, far]


def _side(start: Floats, end: Floats, crowd: "_Crowd", rng: np.random.Generator) -> list[Plane]:
    """Upper tier, ribbon, lower tier, wall and boards of one side, farthest first."""
    out = np.array([-(end - start)[1], (end - start)[0]]) / np.linalg.norm(end - start)
    length = float(np.linalg.norm(end - start))
    shapes = (
        # texture, distance behind the boards, height, depth and rise of the plane
        (_wall(rng), 43.0, 26.5, 0.0, 60.0),
        (crowd.tier(length, 22), 26.0, 14.5, 17.0, 12.0),
        (_boards(length, 1.0, rng), 25.5, 13.0, 0.0, 1.4),
        (_wall(rng), 25.0, 10.0, 0.5, 3.0),
        (crowd.tier(length, 24), 6.0, 1.8, 19.0, 8.6),
        (_wall(rng), 6.0, 0.0, 0.0, 1.8),
        (_boards(length, 1.0, rng), 2.2, 0.75, 0.0, 0.95),
        (_boards(length, 1.0, rng), 0.0, 0.0, 0.0, 0.95),
    )
    along = np.append(end - start, 0.0)
    planes = []
    for texture, behind, height, depth, rise in shapes:
        corner = np.append(start + out * behind, height)
        planes.append(Plane(texture, corner, along, np.append(out * depth, rise)))
    return planes


class _Crowd:
    """Draws tiers of seats and the people in them."""

    def __init__(
        self, kits: MatchKits, seat: np.ndarray, fill: float, light: float, rng: np.random.Generator
    ) -> None:
        self._rng, self._seat, self._fill, self._light = rng, seat, fill, light
        fans = [bgr(kits.home.shirt), bgr(kits.home.second), bgr(kits.away.shirt)]
        plain = [
            (45, 40, 38),
            (70, 66, 62),
            (30, 28, 30),
            (120, 90, 60),
            (90, 90, 95),
            (50, 60, 110),
        ]
        self._colours = np.array(
            [*fans[:2], *plain, *plain, fans[2], (205, 205, 205)], dtype=np.float32
        )

    def tier(self, length_m: float, rows: int) -> Pixels:
        """A texture with the highest row on top."""
        seats = round(length_m / SEAT_M)
        shape, (wide, high) = (rows, seats), SEAT_TEXELS
        rng = self._rng
        taken = (rng.random(shape) < self._fill) & ~self._aisles(seats)[None]
        clothes = self._colours[rng.integers(len(self._colours), size=shape)]
        clothes *= rng.uniform(0.55, 1.15, (*shape, 1)).astype(np.float32)
        skin = np.array([110, 140, 185], np.float32) * rng.uniform(0.35, 1.1, (*shape, 1)).astype(
            np.float32
        )
        cell = np.empty((rows, high, seats, wide, 3), dtype=np.float32)
        cell[:] = self._seat * 0.8
        cell[:, -1] = 38.0
        for area, colour in ((np.s_[2:6, :, 0:4], clothes), (np.s_[0:2, :, 1:3], skin)):
            part = cell[:, area[0], :, area[2]]
            cell[:, area[0], :, area[2]] = np.where(
                taken[:, None, :, None, None], colour[:, None, :, None], part
            )
        texture = cell.reshape(rows * high, seats * wide, 3) * self._light
        texture = np.clip(texture + rng.normal(0, 5, texture.shape[:2])[..., None], 0, 255)
        return np.asarray(cv2.GaussianBlur(texture.astype(np.uint8), (0, 0), 0.8))

    def _aisles(self, seats: int) -> np.ndarray:
        return np.arange(seats) % 26 < 2


def _wall(rng: np.random.Generator) -> Pixels:
    colour = rng.integers(25, 80) + rng.integers(-8, 8, 3)
    texture = np.tile(np.clip(colour, 0, 255).astype(np.uint8), (8, 64, 1))
    return np.ascontiguousarray(texture)


def _boards(length_m: float, height_m: float, rng: np.random.Generator) -> Pixels:
    """Advertising boards: a run of panels, each with an invented name in its colours."""
    high = round(BOARD_TEXELS_PER_M * height_m)
    texture = np.zeros((high, round(BOARD_TEXELS_PER_M * length_m), 3), dtype=np.uint8)
    at = 0
    while at < texture.shape[1]:
        wide = round(BOARD_TEXELS_PER_M * rng.uniform(6.0, 12.0))
        _panel(texture[:, at : at + wide], str(rng.choice(BOARD_WORDS)), rng)
        at += wide
    return texture


def _panel(panel: Pixels, word: str, rng: np.random.Generator) -> None:
    dark, light = rng.integers(0, 110, 3), rng.integers(190, 256, 3)
    back, front = (dark, light) if rng.random() < 0.7 else (light, dark)
    panel[:] = back
    colour = tuple(int(c) for c in front)
    cv2.putText(
        panel, word, (6, panel.shape[0] - 5), cv2.FONT_HERSHEY_DUPLEX, 0.5, colour, 1, cv2.LINE_AA
    )


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
