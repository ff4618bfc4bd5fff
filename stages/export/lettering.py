"""Text and pills as small pictures with transparency, drawn once and then pasted."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.float32]


@dataclass(frozen=True)
class Sprite:
    """A picture to paste: colour (h, w, 3) times alpha, and what of the ground stays (h, w, 1)."""

    colour: NDArray[np.float32]
    keeps: NDArray[np.float32]

    @classmethod
    def of(cls, layers: list[tuple[Mask, tuple[int, int, int]]]) -> "Sprite":
        """Masks (h, w) from 0 to 1 with their colours, the lowest first."""
        height, width = layers[0][0].shape
        colour = np.zeros((height, width, 3), dtype=np.float32)
        keeps = np.ones((height, width, 1), dtype=np.float32)
        for mask, bgr in layers:
            alpha = mask[..., None]
            colour = colour * (1 - alpha) + alpha * np.array(bgr, dtype=np.float32)
            keeps = keeps * (1 - alpha)
        return cls(colour, keeps)

    def paste(self, image: Image, left: int, top: int) -> None:
        """Lay it over `image`; what reaches beyond the edges is cut off."""
        height, width = self.colour.shape[:2]
        y1, x1 = max(top, 0), max(left, 0)
        y2, x2 = min(top + height, image.shape[0]), min(left + width, image.shape[1])
        if y1 >= y2 or x1 >= x2:
            return
        part = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
        ground = image[y1:y2, x1:x2]
        ground[:] = (ground * self.keeps[part] + self.colour[part] + 0.5).astype(np.uint8)


@cache
def text_mask(text: str, size_px: int) -> Mask:
    """`text` in bold DejaVu Sans as coverage from 0 to 1; equal heights for equal sizes."""
    font = _font(size_px)
    ascent, descent = font.getmetrics()
    from PIL import Image as Pictures
    from PIL import ImageDraw

    width = max(round(font.getlength(text)), 1)
    picture = Pictures.new("L", (width, ascent + descent))
    ImageDraw.Draw(picture).text((0, 0), text, fill=255, font=font)
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


@cache
def _font(size_px: int):  # type: ignore[no-untyped-def]
    """The font that matplotlib ships, so that every machine draws the same letters."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    path = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    return ImageFont.truetype(str(path), size_px)


def rounded(width: int, height: int, radius: int) -> Mask:
    """A filled rectangle with round corners as coverage from 0 to 1, with smooth edges."""
    fine = 4
    canvas = np.zeros((height * fine, width * fine), dtype=np.uint8)
    r = min(radius * fine, canvas.shape[0] // 2, canvas.shape[1] // 2)
    right, bottom = canvas.shape[1] - 1, canvas.shape[0] - 1
    cv2.rectangle(canvas, (r, 0), (right - r, bottom), 255, -1)
    cv2.rectangle(canvas, (0, r), (right, bottom - r), 255, -1)
    for x in (r, right - r):
        for y in (r, bottom - r):
            cv2.circle(canvas, (x, y), r, 255, -1)
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32) / np.float32(255)


def pill(
    text: str, size_px: int, ground: tuple[int, int, int], ink: tuple[int, int, int], alpha: float
) -> Sprite:
    """`text` on a rounded plate whose height follows the letters."""
    letters = text_mask(text, size_px)
    pad_x, pad_y = max(round(size_px * 0.4), 2), max(round(size_px * 0.08), 1)
    rows = np.flatnonzero(text_mask("0", size_px).any(axis=1))
    top, bottom = rows[0], rows[-1] + 1
    letters = letters[top - min(top, 1) : bottom + 1]
    height, width = letters.shape[0] + 2 * pad_y, letters.shape[1] + 2 * pad_x
    placed = np.zeros((height, width), dtype=np.float32)
    placed[pad_y : pad_y + letters.shape[0], pad_x : pad_x + letters.shape[1]] = letters
    plate = rounded(width, height, max(round(height * 0.35), 2)) * np.float32(alpha)
    return Sprite.of([(plate, ground), (placed, ink)])
