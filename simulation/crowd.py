"""Tiers of seats and the people in them, as textures."""

import cv2
import numpy as np

from simulation.arrays import Pixels
from simulation.kits import MatchKits, bgr

SEAT_M = 0.5
SEAT_TEXELS = (8, 11)  # width and height of a seat's place
AISLE_EVERY, AISLE_WIDE = 26, 2
PLAIN = (
    (45, 40, 38), (70, 66, 62), (30, 28, 30), (120, 90, 60), (90, 90, 95), (50, 60, 110),
    (24, 24, 28), (38, 34, 36), (150, 150, 150),
)  # fmt: skip
SKIN = np.array([110, 140, 185], np.float32)
# Where a body and a head may be within a seat's place: rows and columns of the body, of the head.
POSTURES = (
    (np.s_[4:10], np.s_[1:7], np.s_[1:4], np.s_[2:5]),
    (np.s_[3:9], np.s_[0:6], np.s_[0:3], np.s_[2:4]),
    (np.s_[5:11], np.s_[2:8], np.s_[2:5], np.s_[3:6]),
    (np.s_[4:11], np.s_[1:6], np.s_[1:4], np.s_[1:4]),
    (np.s_[3:11], np.s_[2:7], np.s_[0:3], np.s_[4:7]),
)


class Crowd:
    """Draws tiers for one stadium: how full it is, how bright, in whose colours."""

    def __init__(
        self, kits: MatchKits, fill: float, light: float, rng: np.random.Generator
    ) -> None:
        self._rng, self._fill, self._light = rng, fill, light
        self._seat = rng.integers(40, 120, 3).astype(np.float32)
        self._fans = np.array([bgr(kits.home.shirt), bgr(kits.home.second)], dtype=np.float32)
        self._guests = np.array([bgr(kits.away.shirt)], dtype=np.float32)
        self._loyal = rng.uniform(0.1, 0.6)  # share of people who wear their side's colours

    def tier(self, length_m: float, rows: int) -> Pixels:
        """A texture with the highest row on top."""
        seats, (wide, high) = round(length_m / SEAT_M), SEAT_TEXELS
        shape, rng = (rows, seats), self._rng
        aisle = (np.arange(seats) % AISLE_EVERY < AISLE_WIDE)[None]
        taken = (rng.random(shape) < self._fill * self._crowded(shape)) & ~aisle
        clothes = self._clothes(shape)
        skin = SKIN * rng.uniform(0.3, 1.05, (*shape, 1)).astype(np.float32)
        cell = np.empty((rows, high, seats, wide, 3), dtype=np.float32)
        cell[:] = self._seat * 0.8
        cell[:, :, aisle[0]] = 92.0
        cell[:, -1] = 38.0
        posture = rng.integers(len(POSTURES), size=shape)
        for number, (body_rows, body_columns, head_rows, head_columns) in enumerate(POSTURES):
            sits = (taken & (posture == number))[:, None, :, None, None]
            for area, colour in (
                (np.s_[:, body_rows, :, body_columns], clothes),
                (np.s_[:, head_rows, :, head_columns], skin),
            ):
                cell[area] = np.where(sits, colour[:, None, :, None], cell[area])
        texture = cell.reshape(rows * high, seats * wide, 3)
        self._hang_banners(texture)
        return self._lit(self._shifted(texture, high))

    def _crowded(self, shape: tuple[int, int]) -> np.ndarray:
        """Fuller and emptier blocks, 0.5 to 1 and more."""
        blocks = self._rng.uniform(0.55, 1.2, (max(shape[0] // 6, 1), max(shape[1] // 26, 1)))
        return np.asarray(cv2.resize(blocks, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST))

    def _clothes(self, shape: tuple[int, int]) -> np.ndarray:
        """Colours (rows, seats, 3): mostly dark and plain, fans in clusters, guests in a corner."""
        rng = self._rng
        plain = np.array(PLAIN, dtype=np.float32)[rng.integers(len(PLAIN), size=shape)]
        small = rng.standard_normal((max(shape[0] // 5, 2), max(shape[1] // 12, 2)))
        cluster = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
        loyal = rng.random(shape) < self._loyal * (1.0 + 0.8 * np.tanh(cluster))
        fans = self._fans[rng.integers(len(self._fans), size=shape)]
        start = int(rng.integers(shape[1]))
        fans[:, start : start + shape[1] // 9] = self._guests[0]
        colours = np.where(loyal[..., None], fans, plain)
        return np.asarray(colours * rng.uniform(0.4, 1.1, (*shape, 1)), dtype=np.float32)

    def _hang_banners(self, texture: np.ndarray) -> None:
        rng = self._rng
        for _ in range(int(rng.integers(0, 7))):
            wide, high = int(rng.integers(25, 120)), int(rng.integers(8, 16))
            y = int(rng.integers(texture.shape[0] - high))
            x = int(rng.integers(texture.shape[1] - wide))
            cloth = texture[y : y + high, x : x + wide]
            cloth[:] = self._fans[0] * 0.85
            cloth[: high // 2 :, :: int(rng.integers(3, 9))] = self._fans[1] * 0.9

    def _shifted(self, texture: np.ndarray, high: int) -> np.ndarray:
        """Rows moved against each other, as no two have their seats above each other."""
        for row in range(0, len(texture), high):
            step = int(self._rng.integers(SEAT_TEXELS[0]))
            texture[row : row + high] = np.roll(texture[row : row + high], step, axis=1)
        return texture

    def _lit(self, texture: np.ndarray) -> Pixels:
        """Darker towards the top, where the roof hangs over it, with noise."""
        rows = np.linspace(0.7, 1.0, len(texture), dtype=np.float32)[:, None, None]
        grain = self._rng.normal(0, 6, texture.shape[:2])[..., None]
        lit = np.clip(texture * rows * self._light + grain, 0, 255).astype(np.uint8)
        return np.asarray(cv2.GaussianBlur(lit, (0, 0), 0.9))
