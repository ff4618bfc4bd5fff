"""From the scene to the recorded frame: open shutter, optics, grading, sensor noise."""

import cv2
import numpy as np

from simulation.arrays import Floats, Pixels
from simulation.patches import smear_kernel
from simulation.variety import Lens

NOISE_TILES = 8
NOISE_SLACK = 128  # tiles are so much larger than the picture, to be shifted
HALO = 2.2  # width of the edge enhancement in widths of the optical blur
RAIN_STREAKS_PER_MPX = 650
MIDDLE_GREY = 118.0
LUMA = np.array([0.114, 0.587, 0.299])


class LensAndSensor:
    """What a match's camera does to every frame."""

    def __init__(
        self, lens: Lens, rain: float, size: tuple[int, int], rng: np.random.Generator
    ) -> None:
        self._lens, self._size = lens, size
        self._grade = _grade(lens)
        self._noise = [_noise_tile(size, lens.noise, rng) for _ in range(NOISE_TILES)]
        if rain:
            for tile in self._noise:
                _rain_into(tile, rain, rng)
        self._vignette = _vignette(size, lens.vignette)

    def smeared(self, image: Pixels, motion: tuple[float, float]) -> Pixels:
        """The image after the camera turned by `motion` pixels while the shutter was open."""
        if max(map(abs, motion)) <= 1.0:
            return image
        kernels = [smear_kernel(length) for length in motion]
        return np.asarray(cv2.sepFilter2D(image, -1, kernels[0], kernels[1]), dtype=np.uint8)

    def recorded(self, image: Pixels, index: int) -> Pixels:
        """Optical blur, raised edges, exposure and colour, fall-off of light, and noise."""
        sigma = self._lens.lens_blur_px * max(self._size[0], 640) / 1280
        soft = cv2.GaussianBlur(image, (0, 0), sigma)
        wide = cv2.GaussianBlur(soft, (0, 0), HALO * sigma)
        sharp = cv2.addWeighted(soft, 1 + self._lens.sharpen, wide, -self._lens.sharpen, 0.0)
        graded = cv2.transform(sharp, self._grade)
        if self._vignette is not None:
            graded = cv2.multiply(graded, self._vignette, scale=1 / 255)
        tile = self._noise[index % NOISE_TILES]
        dx, dy = (index * 97) % NOISE_SLACK, (index * 61) % NOISE_SLACK
        noise = tile[dy : dy + self._size[1], dx : dx + self._size[0]]
        return np.asarray(cv2.add(graded, noise, dtype=cv2.CV_8U))


def _grade(lens: Lens) -> Floats:
    """Matrix (3, 4) on blue, green, red: saturation, white balance, exposure, contrast."""
    saturate = lens.saturation * np.eye(3) + (1 - lens.saturation) * np.tile(LUMA, (3, 1))
    balance = np.diag([1 - lens.warmth, 1 - lens.tint, 1 + lens.warmth])
    linear = lens.contrast * lens.exposure * balance @ saturate
    lift = np.full((3, 1), MIDDLE_GREY * (1 - lens.contrast))
    return np.asarray(np.hstack([linear, lift]))


def _noise_tile(size: tuple[int, int], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Sensor noise: finer in brightness than in colour, which cameras denoise harder."""
    shape = (size[1] + NOISE_SLACK, size[0] + NOISE_SLACK)
    grain = rng.standard_normal((*shape, 1), dtype=np.float32)
    blotches = rng.standard_normal((shape[0] // 2 + 1, shape[1] // 2 + 1, 3), dtype=np.float32)
    colour = cv2.resize(blotches, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(sigma * (0.85 * grain + 0.5 * colour)), dtype=np.int16)


def _rain_into(tile: np.ndarray, rain: float, rng: np.random.Generator) -> None:
    """Falling drops as faint bright streaks."""
    high, wide = tile.shape[:2]
    streaks = np.zeros((high, wide), dtype=np.uint8)
    count = round(RAIN_STREAKS_PER_MPX * rain * high * wide / 1e6)
    starts = rng.uniform(0, [wide, high], (count, 2))
    length = rng.uniform(8.0, 26.0, count) * wide / 1280
    lean = rng.normal(0.0, 0.12) + rng.normal(0.0, 0.05, count)
    for (x, y), along, aside in zip(starts, length, lean * length, strict=True):
        end = (int(x + aside), int(y + along))
        cv2.line(streaks, (int(x), int(y)), end, int(rng.integers(6, 22)), 1, cv2.LINE_AA)
    tile += streaks[..., None].astype(np.int16)


def _vignette(size: tuple[int, int], strength: float) -> Pixels | None:
    """How much of 255 of the light reaches each pixel (h, w, 3), less towards the corners."""
    if not strength:
        return None
    x, y = (np.linspace(-1, 1, count, dtype=np.float32) for count in size)
    far2 = (x[None] ** 2 + y[:, None] ** 2) / 2
    keep = np.rint(255 * (1 - strength * far2**1.5)).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(keep[..., None], 3, axis=2))
