"""A small pitch seen from above, with everybody whose place is known."""

import cv2
import numpy as np
from numpy.typing import NDArray

from domain.pitch import Pitch
from stages.export.lettering import Image, Sprite, rounded
from stages.export.palette import BGR
from stages.export.scenes import Scene

_SUBPIXEL_BITS = 4
_MARGIN_M = 4.0
_GRASS, _LINE = (44, 62, 30), (214, 226, 214)
_BALL, _RIM = (255, 255, 255), (16, 20, 16)
_OPACITY = 0.82


class Radar:
    """Drawn at the lower right, a quarter of the picture wide."""

    def __init__(self, pitch: Pitch, width: int, height: int) -> None:
        self._pixels_per_m = 0.25 * width / (pitch.length_m + 2 * _MARGIN_M)
        self._corner_m = np.array(
            [-pitch.half_length_m - _MARGIN_M, pitch.half_width_m + _MARGIN_M]
        )
        size = np.array([pitch.length_m, pitch.width_m]) + 2 * _MARGIN_M
        across, down = np.round(size * self._pixels_per_m).astype(int).tolist()
        gap = round(0.02 * height)
        self._left, self._top = width - across - gap, height - down - gap
        self._dot = 1.15 * self._pixels_per_m
        self._panel = self._draw_panel(pitch, across, down)

    def draw(self, image: Image, scene: Scene) -> None:
        """Draw the panel and the dots of `scene` on `image` (height, width, 3) BGR."""
        self._panel.paste(image, self._left, self._top)
        for person in sorted(scene.people, key=lambda one: one.team == "home"):
            if person.place is not None:
                self._circle(image, person.place, self._dot, BGR[person.team], person.observed)
        if scene.ball is not None and scene.ball.place is not None:
            self._circle(image, scene.ball.place, 0.75 * self._dot, _BALL, filled=True)

    def _circle(
        self,
        image: Image,
        place: tuple[float, float],
        radius: float,
        colour: tuple[int, int, int],
        filled: bool,
    ) -> None:
        """A dot with a dark rim; a ring where the place is only estimated."""
        x, y = self._fixed(np.array(place)[None] + 0.0)[0].tolist()
        x += self._left << _SUBPIXEL_BITS
        y += self._top << _SUBPIXEL_BITS
        fixed = round(radius * (1 << _SUBPIXEL_BITS))
        rim = round((radius + 1.2) * (1 << _SUBPIXEL_BITS))
        cv2.circle(image, (x, y), rim, _RIM, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
        if filled:
            cv2.circle(image, (x, y), fixed, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
        else:
            cv2.circle(image, (x, y), fixed, colour, 1, cv2.LINE_AA, _SUBPIXEL_BITS)

    def _fixed(self, xy: NDArray[np.float64]) -> NDArray[np.int32]:
        """Metres (n, 2) as fixed-point pixels of the panel; far away is held at its border."""
        limit = np.abs(self._corner_m) - 0.2 * _MARGIN_M
        near = np.clip(xy, -limit, limit)
        pixels = (near - self._corner_m) * [self._pixels_per_m, -self._pixels_per_m]
        return np.asarray(np.round(pixels * (1 << _SUBPIXEL_BITS)), dtype=np.int32)

    def _draw_panel(self, pitch: Pitch, across: int, down: int) -> Sprite:
        lines = np.zeros((down, across), dtype=np.uint8)
        for line in pitch.lines(step_m=1.0):
            cv2.polylines(lines, [self._fixed(line)], False, 255, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
        plate = rounded(across, down, max(across // 40, 3)) * np.float32(_OPACITY)
        return Sprite.of(
            [(plate, _GRASS), (lines.astype(np.float32) * np.float32(0.9 / 255), _LINE)]
        )
