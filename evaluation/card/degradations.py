"""What is done to good pictures before they are scored again: size, compression, light, motion.

Each keeps what is where, in fractions of the picture, so labels still hold. Colours are BGR.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.card.answers import Encode, Image

Change = Callable[[Image, np.random.Generator], Image]


@dataclass(frozen=True)
class Degradation:
    """A way in which users' footage is worse: `name` is the key's last part."""

    name: str
    described: str
    change: Change


def degradations(encode: Encode) -> tuple[Degradation, ...]:
    """All of them, the picture as it is first. `encode` puts pictures through a video encoder."""
    return (
        Degradation("p1080", "as it is, 1920x1080", lambda image, _: image),
        Degradation("p360", "360 lines", lambda image, _: sized(image, 360)),
        Degradation("p480", "480 lines", lambda image, _: sized(image, 480)),
        Degradation("p720", "720 lines", lambda image, _: sized(image, 720)),
        Degradation("p2160", "2160 lines, enlarged", lambda image, _: sized(image, 2160)),
        Degradation("h264_35", "H.264, CRF 35", lambda image, _: encode(image, 35)),
        Degradation(
            "h264_720_30",
            "720 lines, H.264, CRF 30",
            lambda image, _: encode(sized(image, 720), 30),
        ),
        Degradation(
            "poor_stream",
            "480 lines, H.264, CRF 36",
            lambda image, _: encode(sized(image, 480), 36),
        ),
        Degradation("jpeg_20", "JPEG, quality 20", lambda image, _: jpeg(image, 20)),
        Degradation("moire", "sampled without smoothing", lambda image, _: aliased(image)),
        Degradation("motion", "blurred by a pan", lambda image, _: panned(image)),
        Degradation("night", "a quarter of the light, noise", night),
        Degradation("shadow", "a stand's shadow", shaded),
        Degradation("haze", "haze", lambda image, _: hazy(image)),
        Degradation("warm", "warm cast", lambda image, _: scaled(image, (0.72, 0.95, 1.15))),
        Degradation("squeezed", "squeezed to 4:3", lambda image, _: squeezed(image)),
    )


def sized(image: Image, lines: int) -> Image:
    """The picture with so many lines; enlarging adds no detail."""
    height, width = image.shape[:2]
    even = (round(width * lines / height / 2) * 2, lines)
    way = cv2.INTER_AREA if lines < height else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(image, even, interpolation=way), np.uint8)


def squeezed(image: Image) -> Image:
    """A 16:9 picture in 4:3, as anamorphic recordings come when their aspect is lost."""
    height, width = image.shape[:2]
    narrow = (round(width * 3 / 8) * 2, height)
    return np.asarray(cv2.resize(image, narrow, interpolation=cv2.INTER_AREA), np.uint8)


def jpeg(image: Image, quality: int) -> Image:
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def aliased(image: Image, share: float = 0.6) -> Image:
    """Every so many-th pixel, enlarged again: moire and broken lines."""
    size = image.shape[1::-1]
    small = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def panned(image: Image, share: float = 0.006) -> Image:
    """Smeared sideways over a share of the width: 11 px of 1920."""
    length = max(round(image.shape[1] * share) | 1, 3)
    kernel = np.full((1, length), 1 / length, np.float32)
    return np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)


def night(image: Image, rng: np.random.Generator) -> Image:
    """A quarter of the light and the sensor's noise (sigma 10 of 255)."""
    dark = (image.astype(np.float32) / 255) ** 1.5 * 140
    noise = rng.standard_normal(image.shape, np.float32) * 10
    return np.asarray(np.clip(dark + noise, 0, 255), np.uint8)


def shaded(image: Image, rng: np.random.Generator) -> Image:
    """The part beyond a slanted edge through the middle has two fifths of its light."""
    height, width = image.shape[:2]
    slope = rng.uniform(-0.6, 0.6)
    row, column = np.arange(height)[:, None], np.arange(width)[None, :]
    beyond = row - height / 2 - slope * (column - width / 2)
    light = 1 - 0.6 * np.clip(0.5 + beyond / 8, 0, 1)
    return np.asarray(image * light[..., None], np.uint8)


def hazy(image: Image) -> Image:
    """Half of the contrast, around a bright grey."""
    return np.asarray(image * 0.5 + 95, np.uint8)


def scaled(image: Image, gains: tuple[float, float, float]) -> Image:
    """Blue, green and red, each times its gain."""
    return np.asarray(np.clip(image * np.array(gains), 0, 255), np.uint8)
