"""What a person wears, measured on the source picture: the colours that tell teams apart.

A fixed lattice of points is read in each box (the same count whatever the box's size, so that 4K
costs what 320p costs), most of it grass-free by comparison with the grass beside the same person:
the light changes over a pitch, and the difference to the local grass changes far less.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from domain.tables import APPEARANCE_SIZE
from stages import clothing
from stages.clothing import LEGS_PALETTE, TORSO_PALETTE

F32 = NDArray[np.float32]

GRASS_DISTANCE = 14.0
FEWEST_SHARE = 0.05
# OpenCV's Lab in bytes: L times 255/100, a and b from 128
_LAB_SCALE = np.array([100 / 255, 1, 1], np.float32)
_LAB_ZERO = np.array([0, 128, 128], np.float32)


@dataclass(frozen=True)
class Region:
    """A part of a box, as shares of its width and height, read at `columns` by `rows` points."""

    x: tuple[float, float]
    y: tuple[float, float]
    columns: int
    rows: int

    def lattice(self) -> tuple[F32, F32]:
        """The points' x and y as shares of the box, (rows * columns,) each."""
        across = (np.arange(self.columns, dtype=np.float32) + 0.5) / self.columns
        down = (np.arange(self.rows, dtype=np.float32) + 0.5) / self.rows
        x = self.x[0] + across * (self.x[1] - self.x[0])
        y = self.y[0] + down * (self.y[1] - self.y[0])
        return np.tile(x, self.rows), np.repeat(y, self.columns)


TORSO = Region((0.28, 0.72), (0.18, 0.46), 12, 14)
SHORTS = Region((0.28, 0.72), (0.50, 0.64), 12, 8)
SOCKS = Region((0.15, 0.85), (0.74, 0.93), 10, 6)
# left and right of the legs and below the feet, where a neighbour or the crowd is seldom
GRASS = (
    Region((-0.6, -0.1), (0.5, 1.05), 5, 8),
    Region((1.1, 1.6), (0.5, 1.05), 5, 8),
    Region((-0.2, 1.2), (1.03, 1.15), 10, 3),
)


@dataclass(frozen=True)
class Garment:
    """Where something that is worn is read, and the columns that hold it."""

    region: Region
    palette: clothing.Palette
    shares: slice
    share: int
    median: slice | None = None


GARMENTS = (
    Garment(TORSO, TORSO_PALETTE, clothing.TORSO_SHARES, clothing.TORSO_CLOTH, clothing.TORSO_LAB),
    Garment(
        SHORTS, LEGS_PALETTE, clothing.SHORTS_SHARES, clothing.SHORTS_CLOTH, clothing.SHORTS_LAB
    ),
    Garment(SOCKS, LEGS_PALETTE, clothing.SOCKS_SHARES, clothing.SOCKS_CLOTH),
)


def measure(image: NDArray[np.uint8], xyxy: F32) -> NDArray[np.float16]:
    """A vector of 64 numbers for each box, float16.

    0-2 the torso's median CIELab (L 0 to 100, a, b), 3-5 the shorts', 6-8 that of the grass around
    the person (the reference for the light); 9, 10 and 11 the share of torso, shorts and socks that
    is not grass; 12-38 the shares of the torso's colours in `TORSO_PALETTE`, 39-50 and 51-62 those
    of shorts and socks in `LEGS_PALETTE`, each of sum 1 and of what is not grass; 63 is 0.

    Args:
        image: (height, width, 3) BGR, the source picture.
        xyxy: (n, 4) boxes in its pixels.
    """
    vectors = np.zeros((len(xyxy), APPEARANCE_SIZE), np.float32)
    if not len(xyxy):
        return vectors.astype(np.float16)
    grass = _grass(np.concatenate([_read(image, xyxy, region) for region in GRASS], axis=1))
    vectors[:, clothing.GRASS_LAB] = grass
    for garment in GARMENTS:
        lab = _lab(_read(image, xyxy, garment.region))
        cloth, vectors[:, garment.share] = _cloth(lab, grass)
        vectors[:, garment.shares] = garment.palette.shares(lab, cloth.astype(np.float32))
        if garment.median is not None:
            vectors[:, garment.median] = masked_median(lab, cloth)
    return vectors.astype(np.float16)


def _read(image: NDArray[np.uint8], xyxy: F32, region: Region) -> NDArray[np.uint8]:
    """The pixels (n, points, 3) of a region of each box; beyond the edge, the edge's."""
    across, down = region.lattice()
    left, top, right, bottom = (xyxy[:, side, None] for side in range(4))
    x = np.floor(left + across * (right - left)).astype(np.intp)
    y = np.floor(top + down * (bottom - top)).astype(np.intp)
    height, width = image.shape[:2]
    return np.asarray(image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)])


def _lab(pixels: NDArray[np.uint8]) -> F32:
    """BGR pixels (n, points, 3) as CIELab, L 0 to 100."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_BGR2Lab).astype(np.float32)
    return np.asarray(lab * _LAB_SCALE - _LAB_ZERO, np.float32)


def _grass(pixels: NDArray[np.uint8]) -> F32:
    """Median Lab (n, 3) of what is green among the pixels around each person.

    Where nearly nothing is (a dry pitch, the touchline), the median of all of them.
    """
    hue, saturation, value = np.moveaxis(cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV), 2, 0)
    green = (hue >= 28) & (hue <= 90) & (saturation >= 35) & (value >= 25)
    return masked_median(_lab(pixels), _or_all(green))


def _cloth(lab: F32, grass: F32) -> tuple[NDArray[np.bool_], F32]:
    """Which points of a region differ from the local grass, and their share.

    A shadow scales a, b and L + 16 by one factor (CIE 15:2004: all three are sums of the cube roots
    of light), so points are compared as if they were as light as the grass: a shadow on it is still
    grass. Where nearly nothing differs (a green kit), all points count, and the share says so.
    """
    light = grass[:, None, :1] + 16
    difference = lab[:, :, 1:] * (light / (lab[:, :, :1] + 16)) - grass[:, None, 1:]
    differs = (difference**2).sum(axis=2) > GRASS_DISTANCE**2
    return _or_all(differs), differs.mean(axis=1, dtype=np.float32)


def _or_all(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`mask` (n, points), with the rows that keep too few points keeping all."""
    few = mask.mean(axis=1) < FEWEST_SHARE
    return np.asarray(mask | few[:, None], bool)


def masked_median(values: F32, mask: NDArray[np.bool_]) -> F32:
    """Median (n, channels) of values (n, points, channels) over the points in `mask` (n, points).

    Of an even count, the mean of the two in the middle. Every row must keep a point.
    """
    ordered = np.sort(np.where(mask[:, :, None], values, np.float32(np.inf)), axis=1)
    count = mask.sum(axis=1)
    rows = np.arange(len(values))
    return np.asarray((ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2, np.float32)
