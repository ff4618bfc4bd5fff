"""Draws a scene on a frame: people at their feet, the ball, the pitch's lines, what is known."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from domain.lens import bent
from domain.pitch import Pitch
from stages.export.lettering import Image, Mask, Sprite, pill, rounded, text_mask
from stages.export.palette import BGR, TEXT_HEX, bgr
from stages.export.radar import Radar
from stages.export.scenes import BallMark, Person, Scene

_BITS = 4  # fixed-point bits of OpenCV's coordinates, so that marks move smoothly
_LINE_STEP_M = 1.0
_LINE_BGR = {"measured": (255, 240, 150), "propagated": (90, 200, 255)}
_RIM = (18, 22, 18)
_WHITE = (255, 255, 255)
_BALL_BGR = {"seen": (255, 255, 255), "held": (255, 255, 255), "estimated": (80, 190, 255)}
# as in the usual football overlays: the ring is open at the back, where the legs are
_ARC_DEG = (-45, 235)
_FLATNESS = 0.36


class Painter:
    """Draws on frames of `width` by `height` pixels; sizes follow the picture's height."""

    def __init__(self, pitch: Pitch, width: int, height: int, *, radar: bool) -> None:
        self._scale = height / 720
        self._size = np.array([width, height], dtype=np.float64)
        self._lines = pitch.lines(_LINE_STEP_M)
        self._radar = Radar(pitch, width, height) if radar else None
        self._letters = max(round(10 * self._scale), 7)
        self._canvas = np.empty((height, width, 3), dtype=np.uint8)

    def paint(self, image: Image, scene: Scene, time_s: float) -> Image:
        """A copy of `image` (height, width, 3) BGR with `scene` drawn on it.

        The next call draws on the same array again: new memory costs more than all the drawing.
        """
        canvas = self._canvas
        np.copyto(canvas, image)
        if scene.homography is not None:
            colour = _LINE_BGR.get(scene.calibration, _WHITE)
            self._pitch(canvas, scene.homography, scene.bend, colour)
        people = sorted(scene.people, key=lambda person: person.box[3])
        for person in people:
            self._ring(canvas, person)
        for person in people:
            self._label(canvas, person)
        if scene.ball is not None:
            self._ball(canvas, scene.ball)
        self._status(canvas, status_text(scene, time_s))
        if self._radar is not None:
            self._radar.draw(canvas, scene)
        return canvas

    def _pitch(
        self, canvas: Image, homography: NDArray, bend: float, colour: tuple[int, int, int]
    ) -> None:
        for line in visible_lines(self._lines, homography, self._size, bend):
            fixed = np.round(line * (1 << _BITS)).astype(np.int32)
            cv2.polylines(canvas, [fixed], False, colour, 1, cv2.LINE_AA, _BITS)

    def _ring(self, canvas: Image, person: Person) -> None:
        x1, _, x2, y2 = person.box
        if x2 <= x1:
            return
        half = float(np.clip(0.75 * (x2 - x1), 8 * self._scale, 34 * self._scale))
        centre = _fixed((x1 + x2) / 2, y2)
        colour = BGR[person.team]
        thick = max(round(2 * self._scale), 1) if person.observed else 1
        if person.observed:
            _arc(canvas, centre, half, _RIM, thick + 2)
        _arc(canvas, centre, half, colour, thick)
        if person.goalkeeper:
            _arc(canvas, centre, half * 0.66, colour, thick)

    def _label(self, canvas: Image, person: Person) -> None:
        x1, _, x2, y2 = person.box
        if not person.label or x2 <= x1:
            return
        sprite = _label_sprite(person.label, person.team, self._letters)
        half = float(np.clip(0.75 * (x2 - x1), 8 * self._scale, 34 * self._scale))
        top = round(y2 + _FLATNESS * half + self._scale)
        sprite.paste(canvas, round((x1 + x2) / 2 - sprite.colour.shape[1] / 2), top)

    def _ball(self, canvas: Image, ball: BallMark) -> None:
        """A triangle that points at the ball, hollow where the ball was not seen."""
        colour = _BALL_BGR.get(ball.status)
        if ball.pixel is None or colour is None:
            return
        x, y = ball.pixel
        size, gap = 7 * self._scale, 7 * self._scale
        corners = [(x, y - gap), (x - size, y - gap - 1.5 * size), (x + size, y - gap - 1.5 * size)]
        triangle = np.array([_fixed(*corner) for corner in corners], dtype=np.int32)
        thick = max(round(2 * self._scale), 1)
        cv2.polylines(canvas, [triangle], True, _RIM, thick + 2, cv2.LINE_AA, _BITS)
        if ball.status != "estimated":
            cv2.fillPoly(canvas, [triangle], colour, cv2.LINE_AA, _BITS)
        else:
            cv2.polylines(canvas, [triangle], True, colour, thick, cv2.LINE_AA, _BITS)

    def _status(self, canvas: Image, text: str) -> None:
        size = max(round(15 * self._scale), 9)
        letters = [_letter(char, size) for char in text]
        pad, gap = round(0.6 * size), round(14 * self._scale)
        height = letters[0].keeps.shape[0] + pad
        width = sum(letter.keeps.shape[1] for letter in letters) + 2 * pad
        # the plate keeps its width while digits change
        _plate(-(-width // (2 * size)) * 2 * size, height).paste(canvas, gap, gap)
        left = gap + pad
        for letter in letters:
            letter.paste(canvas, left, gap + pad // 2)
            left += letter.keeps.shape[1]


def status_text(scene: Scene, time_s: float) -> str:
    """The time in the video, a replay, whether the pitch is known and how well, and the ball."""
    minutes, seconds = divmod(max(time_s, 0.0), 60)
    parts = [f"{int(minutes):02d}:{int(seconds * 10) / 10:04.1f}"]
    if scene.replay:
        parts.append("replay: not counted")
    if scene.calibration:
        error = f" ±{scene.error_m:.1f} m" if scene.error_m is not None else ""
        parts.append(f"pitch: {scene.calibration}{error}")
    if scene.ball is not None:
        parts.append(f"ball: {scene.ball.status}")
    return "   ".join(parts)


def visible_lines(
    lines: list[NDArray[np.float64]],
    homography: NDArray,
    size: NDArray[np.float64],
    bend: float = 0.0,
) -> list[NDArray[np.float64]]:
    """The stretches of polylines in metres that the image shows, in pixels (n, 2).

    Args:
        homography: (3, 3), pixel of a straight lens to metre.
        size: width and height of the image in pixels.
        bend: the lens's k1 / focal^2.
    """
    to_image = np.linalg.inv(homography)
    # the horizon divides the ground plane: the image's lower edge shows the part before the camera
    seen = homography @ [size[0] / 2, size[1], 1.0]
    ahead = float(np.sign((to_image @ (seen / seen[2]))[2]))
    parts: list[NDArray[np.float64]] = []
    for line in lines:
        mapped = np.column_stack([line, np.ones(len(line))]) @ to_image.T
        with np.errstate(divide="ignore", invalid="ignore"):
            straight = mapped[:, :2] / mapped[:, 2:]
            pixels = bent(straight - size / 2, bend) + size / 2
        near = (mapped[:, 2] * ahead > 0) & (np.abs(pixels - size / 2) < size).all(axis=1)
        edges = np.flatnonzero(np.diff(near)) + 1
        pieces = np.split(np.arange(len(line)), edges)
        parts.extend(pixels[piece] for piece in pieces if near[piece[0]] and len(piece) > 1)
    return parts


def _arc(
    canvas: Image, centre: tuple[int, int], half: float, colour: tuple[int, int, int], thick: int
) -> None:
    axes = (round(half * (1 << _BITS)), round(_FLATNESS * half * (1 << _BITS)))
    cv2.ellipse(canvas, centre, axes, 0, *_ARC_DEG, colour, thick, cv2.LINE_AA, _BITS)


def _fixed(x: float, y: float) -> tuple[int, int]:
    return round(x * (1 << _BITS)), round(y * (1 << _BITS))


@cache
def _label_sprite(text: str, team: str, size_px: int) -> Sprite:
    return pill(text, size_px, BGR[team], bgr(TEXT_HEX[team]), 0.92)


@cache
def _letter(char: str, size_px: int) -> Sprite:
    mask: Mask = text_mask(char, size_px)
    return Sprite.of([(mask, _WHITE)])


@cache
def _plate(width: int, height: int) -> Sprite:
    return Sprite.of([(rounded(width, height, height // 3) * np.float32(0.72), (28, 24, 20))])
