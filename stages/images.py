"""Fitting pictures into a network's input, and bringing its answers back to source pixels.

Coordinates are continuous: (0, 0) is the top-left corner of the top-left pixel, whose centre is
(0.5, 0.5). Labels, boxes and homographies all use them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PADDING_GREY = 114


@dataclass(frozen=True)
class Fit:
    """Where a source picture lies in a letterboxed one: input = source * scale + offset."""

    scale: float
    offset: tuple[float, float]

    def to_source(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2) in input pixels as source pixels."""
        return np.asarray((xy - np.array(self.offset)) / self.scale, np.float32)

    def boxes_to_source(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (..., 4) of x1 y1 x2 y2 in input pixels as source pixels."""
        corners = xyxy.reshape(*xyxy.shape[:-1], 2, 2)
        return self.to_source(corners).reshape(xyxy.shape)


def fit(source: tuple[int, int], height: int, width: int) -> Fit:
    """How a source picture of (height, width) fits into `height` by `width`, centred."""
    scale = min(height / source[0], width / source[1])
    inner = _inner(source, scale)
    return Fit(scale, (float((width - inner[1]) // 2), float((height - inner[0]) // 2)))


def letterbox(
    image: NDArray[np.uint8], height: int, width: int
) -> tuple[NDArray[np.uint8], float, tuple[float, float]]:
    """Fit `image` (h, w, 3) into (height, width, 3), aspect ratio kept, bars grey.

    Returns the picture, the scale and the offset (dx, dy) of `Fit`.
    """
    place = fit((image.shape[0], image.shape[1]), height, width)
    inner = _inner((image.shape[0], image.shape[1]), place.scale)
    left, top = int(place.offset[0]), int(place.offset[1])
    canvas = np.full((height, width, 3), PADDING_GREY, np.uint8)
    canvas[top : top + inner[0], left : left + inner[1]] = _resized(image, inner)
    return canvas, place.scale, place.offset


def _inner(source: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(round(source[0] * scale), 1), max(round(source[1] * scale), 1)


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """To (height, width); area averaging when much is lost, so that thin lines do not break up.

    Down to half the size four neighbours see every pixel, at a seventh of the time.
    """
    if image.shape[:2] == size:
        return image
    way = cv2.INTER_AREA if 2 * size[0] < image.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=way), np.uint8)
