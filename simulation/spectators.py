"""Spectators as a close shot of the crowd shows them: rows of heads, shoulders and raised arms."""

from collections.abc import Sequence

import cv2
import numpy as np

from simulation.arrays import Floats, Pixels
from simulation.kits import MatchKits, bgr
from simulation.people import HAIR_TONES, SKIN_TONES
from simulation.stadium import Plane

TEXELS_PER_M = 120.0
WIDTH_M, HEIGHT_M = 40.0, 6.4
PLACE_M = (-20.0, 48.0, 1.0)  # the lower left corner, in the far stand
SEAT_M, ROW_M = 0.48, 0.36  # between people, and between rows as seen from the touchline
TAKEN_SHARE, FAN_SHARE, ARMS_SHARE, SCARF_SHARE = 0.93, 0.4, 0.13, 0.25
HEAD_M, FACE_M = (0.085, 0.12), (0.032, 0.018)
PLAIN_CLOTHES = (
    "#2b2d31", "#16181d", "#3d4a63", "#5a5f66", "#7a6a55", "#22303f", "#8a8d92", "#43302a",
    "#c9c9c6", "#31503d",
)  # fmt: skip
Texel = tuple[int, int]


def draw_spectators(kits: MatchKits, rng: np.random.Generator) -> Plane:
    """A block of the home side's stand, upright as it looks from the other side of the pitch."""
    shape = round(HEIGHT_M * TEXELS_PER_M), round(WIDTH_M * TEXELS_PER_M)
    texture = np.empty((*shape, 3), dtype=np.uint8)
    texture[:] = rng.integers(25, 60, 3)
    fans = [kits.home.shirt, kits.home.shirt, kits.home.second]
    for up_m in np.arange(HEIGHT_M - 0.3, -0.6, -ROW_M):
        for x_m in np.arange(rng.uniform(0.0, SEAT_M), WIDTH_M, SEAT_M):
            if rng.random() < TAKEN_SHARE:
                head = x_m + rng.normal(0.0, 0.05), HEIGHT_M - up_m + rng.normal(0.0, 0.05)
                _Spectator(texture, head, fans, rng).draw()
    soft = np.asarray(cv2.GaussianBlur(texture, (0, 0), 1.2), dtype=np.uint8)
    along, up = np.array([WIDTH_M, 0.0, 0.0]), np.array([0.0, 0.0, HEIGHT_M])
    return Plane(soft, np.array(PLACE_M), along, up)


class _Spectator:
    """Somebody whose head's middle is `head` metres right of and below the upper left corner."""

    def __init__(
        self,
        texture: Pixels,
        head: tuple[float, float],
        fans: Sequence[str],
        rng: np.random.Generator,
    ) -> None:
        self._texture, self._head, self._rng = texture, np.array(head), rng
        self._light = rng.uniform(0.55, 0.95)
        self._clothes = str(rng.choice(fans if rng.random() < FAN_SHARE else PLAIN_CLOTHES))
        self._scarf = fans[0] if rng.random() < SCARF_SHARE else None
        self._skin, self._hair = str(rng.choice(SKIN_TONES)), str(rng.choice(HAIR_TONES))

    def draw(self) -> None:
        """Shoulders, neck, head, hair, face; scarf and arms where there are any."""
        self._ellipse((0.0, 0.52), (0.245, 0.36), self._clothes)
        self._ellipse((-0.07, 0.47), (0.14, 0.27), self._clothes, 1.18)
        self._ellipse((0.0, 0.14), (0.055, 0.09), self._skin, 0.8)
        if self._scarf is not None:
            self._ellipse((0.0, 0.2), (0.13, 0.055), self._scarf)
        self._ellipse((0.0, 0.0), HEAD_M, self._skin)
        self._ellipse((-0.02, -0.045), (0.088, 0.085), self._hair)
        self._ellipse((0.005, 0.03), (0.07, 0.085), self._skin, 1.08)
        self._face()
        if self._rng.random() < ARMS_SHARE:
            self._arms()

    def _face(self) -> None:
        for side in (-1, 1):
            self._ellipse((side * FACE_M[0], 0.005), (0.012, 0.009), "#1c1512")
        self._ellipse((0.003, 0.068), (0.028, self._rng.uniform(0.006, 0.02)), "#5a2622")

    def _arms(self) -> None:
        """Both arms up, or hands together before the chest."""
        raised = self._rng.random() < 0.6
        for side in (-1, 1):
            shoulder = np.array([side * 0.2, 0.28])
            hand = np.array([side * 0.26, -0.36] if raised else [side * 0.03, 0.3])
            elbow = (shoulder + hand) / 2 + [side * 0.1, 0.12]
            self._line(shoulder, elbow, 0.1, self._clothes)
            self._line(elbow, hand, 0.08, self._clothes if not raised else self._skin)
            self._ellipse((float(hand[0]), float(hand[1])), (0.045, 0.06), self._skin)

    def _at(self, offset: Sequence[float] | Floats) -> Texel:
        x, y = np.rint((self._head + offset) * TEXELS_PER_M).astype(int)
        return int(x), int(y)

    def _colour(self, colour: str, gain: float) -> tuple[float, ...]:
        return tuple(min(channel * gain * self._light, 250.0) for channel in bgr(colour))

    def _ellipse(
        self, offset: tuple[float, float], axes: tuple[float, float], colour: str, gain: float = 1.0
    ) -> None:
        radii = max(round(axes[0] * TEXELS_PER_M), 1), max(round(axes[1] * TEXELS_PER_M), 1)
        ink = self._colour(colour, gain)
        cv2.ellipse(self._texture, self._at(offset), radii, 0, 0, 360, ink, -1, cv2.LINE_AA)

    def _line(self, start: Floats, end: Floats, width_m: float, colour: str) -> None:
        ink, width = self._colour(colour, 0.95), max(round(width_m * TEXELS_PER_M), 1)
        cv2.line(self._texture, self._at(start), self._at(end), ink, width, cv2.LINE_AA)
