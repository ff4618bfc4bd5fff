"""Small transparent pictures that are drawn enlarged and shrunk by area into the frame, so that
edges fall between pixels as they do in a lens.
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from simulation.arrays import Floats, Pixels

LEAST_ENLARGEMENT, MAX_ENLARGEMENT = 2, 6
LONGEST_SMEAR_PX = 24.0
Colour = tuple[float, float, float, float]


@dataclass(frozen=True)
class Air:
    """What lies between a thing and the lens: `gain` of its light, a share of `fog` of a colour,
    and how far it moves in the picture (x, y pixels) while the shutter is open.
    """

    gain: float = 1.0
    fog: float = 0.0
    fog_colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    smear: tuple[float, float] = (0.0, 0.0)


CLEAR = Air()


def smear_kernel(length: float) -> np.ndarray:
    """Weights of a box as wide as `length` pixels of movement, and at least one pixel."""
    length = min(abs(length), LONGEST_SMEAR_PX)
    reach = int(np.ceil(length / 2))
    offsets = np.abs(np.arange(-reach, reach + 1))
    weights = np.clip((max(length, 1.0) + 1) / 2 - offsets, 0.0, 1.0)
    return np.asarray(weights / weights.sum())


class Patch:
    """A transparent, enlarged piece of the picture to draw on."""

    def __init__(self, corner: tuple[int, int], size: tuple[int, int], factor: int) -> None:
        self._corner, self._size, self._factor = corner, size, factor
        self._canvas = np.zeros((size[1] * factor, size[0] * factor, 4), dtype=np.uint8)

    @classmethod
    def over(cls, image: Pixels, box: Floats, target_px: int, margin: float = 0.0) -> Self | None:
        """A patch over a box x1 y1 x2 y2, cut at the picture's edges; None when nothing is left."""
        height, width = image.shape[:2]
        reach = int(np.ceil(margin)) + 2
        x1, y1 = max(int(box[0]) - reach, 0), max(int(box[1]) - reach, 0)
        x2, y2 = min(int(box[2]) + reach + 1, width), min(int(box[3]) + reach + 1, height)
        if x2 <= x1 or y2 <= y1:
            return None
        tall = max(box[3] - box[1], box[2] - box[0], 1.0)
        factor = int(np.clip(target_px / tall, LEAST_ENLARGEMENT, MAX_ENLARGEMENT))
        return cls((x1, y1), (x2 - x1, y2 - y1), factor)

    def _fixed(self, points: Floats) -> np.ndarray:
        """Picture coordinates to sixteenths of the canvas' pixels."""
        return np.rint(((points - self._corner) * self._factor - 0.5) * 16).astype(np.int32)

    def rods(self, ends: Floats, radius: Floats, colours: list[Colour]) -> None:
        """Rods from and to `ends` (n, 2, 2) with round tips, painted in order."""
        widths = np.maximum(np.rint(2 * radius * self._factor), 1).astype(int).tolist()
        for (start, end), width, colour in zip(
            self._fixed(ends).tolist(), widths, colours, strict=True
        ):
            cv2.line(self._canvas, start, end, colour, width, cv2.LINE_8, 4)

    def polygon(self, corners: Floats, colour: Colour) -> None:
        cv2.fillConvexPoly(self._canvas, self._fixed(corners), colour, cv2.LINE_8, 4)

    def number(self, torso: Floats, text: str, colour: Colour) -> None:
        """The number in the middle of the upper back, a quarter of a metre high."""
        corners = (torso - self._corner) * self._factor
        wide = float(np.linalg.norm(corners[1] - corners[0]))
        high = float(np.linalg.norm(corners[3] - corners[0]))
        weight = max(round(high / 13), 1)
        size = 0.42 * high / 22.0  # the font is 22 pixels high at size 1
        (text_wide, text_high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, weight)
        if text_wide > 0.95 * wide:
            return
        middle = corners[:2].mean(axis=0) * 0.58 + corners[2:].mean(axis=0) * 0.42
        place = int(middle[0] - text_wide / 2), int(middle[1] + text_high / 2)
        cv2.putText(self._canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, weight)

    def blend(self, image: Pixels, air: Air = CLEAR, folds: np.ndarray | None = None) -> None:
        """Shrink the drawing, shade it by `folds` (a texture around 1) and lay it on the image."""
        x, y = self._corner
        wide, high = self._size
        small = cv2.resize(self._canvas, (wide, high), interpolation=cv2.INTER_AREA)
        drawn = small.astype(np.float32)
        if folds is not None:
            drawn[..., :3] *= cv2.resize(folds, (wide, high))[..., None]
        drawn[..., :3] *= air.gain * (1.0 - air.fog)
        if air.fog:
            drawn[..., :3] += (
                drawn[..., 3:] * np.array(air.fog_colour, np.float32) * (air.fog / 255.0)
            )
        if max(map(abs, air.smear)) > 1.0:
            across, down = (smear_kernel(length) for length in air.smear)
            drawn = np.asarray(cv2.sepFilter2D(drawn, -1, across, down))
        area = image[y : y + high, x : x + wide]
        mixed = drawn[..., :3] + area * (1.0 - drawn[..., 3:] / 255.0)
        area[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def darken(image: Pixels, corner: tuple[int, int], mask: Pixels, strength: float) -> None:
    """Darken the picture under a mask (h, w) of 0 to 255 laid at `corner`."""
    x, y = corner
    area = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    keep = 256 - (mask.astype(np.uint32) * round(256 * strength)) // 255
    area[:] = (area * keep[..., None]) >> 8


def box_within(image: Pixels, points: Floats, reach: float) -> tuple[int, int, int, int] | None:
    """x1 y1 x2 y2 around points (n, 2) and `reach` more, cut at the picture; None when empty."""
    height, width = image.shape[:2]
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    x1, y1 = max(int(low[0]), 0), max(int(low[1]), 0)
    x2, y2 = min(int(high[0]) + 1, width), min(int(high[1]) + 1, height)
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None
