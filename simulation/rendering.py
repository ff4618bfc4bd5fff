"""Renders a simulated match: ground, stadium, goals, people, ball, lens and sensor."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from domain.pitch import Pitch
from simulation.arrays import Pixels
from simulation.ground import draw_ground
from simulation.match import SimulatedMatch
from simulation.painting import Painter, draw_light
from simulation.stadium import draw_stadium, paint_plane
from simulation.video import write_video
from simulation.views import FrameView, Viewer

Progress = Callable[[int, int], None]
NOISE_TILES = 8
NOISE_SIGMA = 2.2  # of 255, before compression
SHARPEN = 0.55  # broadcast cameras raise edges; real frames show the dark rims beside the lines
LENS_BLUR_PX_AT_1280 = 0.62
BEYOND = (58, 70, 52)  # the apron outside the drawn grass


class FrameRenderer:
    """Draws any frame of a match; looks are drawn once from the seed."""

    def __init__(self, match: SimulatedMatch) -> None:
        self._rng = np.random.default_rng([match.options.seed, 4])
        self._match = match
        self._viewer = Viewer(match.people, match.motion, match.camera)
        self._ground = draw_ground(Pitch(), match.camera, self._rng)
        self._stadium = draw_stadium(match.kits, match.options.camera == "behind_goal", self._rng)
        self._painter = Painter(match.people, draw_light(self._rng))
        self._size = (match.options.width, match.options.height)
        self._noise = _noise_tiles(self._size, self._rng)
        self._gain = _exposure(self._rng)

    def frame(self, index: int) -> Pixels:
        """Frame `index` as blue, green, red (height, width, 3)."""
        view = self._viewer.view(index)
        image = self._backdrop(view)
        self._painter.paint(image, view)
        return self._sensor(image, index)

    def _backdrop(self, view: FrameView) -> Pixels:
        to_image = view.matrix[:, [0, 1, 3]] @ np.linalg.inv(self._ground.from_pitch)
        image = cv2.warpPerspective(
            self._ground.texture,
            to_image,
            self._size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=BEYOND,
        )
        for plane in self._stadium:
            paint_plane(image, view.matrix, plane)
        return np.asarray(image, dtype=np.uint8)

    def _sensor(self, image: Pixels, index: int) -> Pixels:
        """Lens blur, edge enhancement, exposure and noise."""
        sigma = LENS_BLUR_PX_AT_1280 * max(self._size[0], 640) / 1280
        soft = cv2.GaussianBlur(image, (0, 0), sigma)
        wide = cv2.GaussianBlur(soft, (0, 0), 2.2 * sigma)
        sharp = cv2.addWeighted(soft, (1 + SHARPEN) * self._gain, wide, -SHARPEN * self._gain, 0.0)
        tile = self._noise[index % NOISE_TILES]
        dx, dy = (index * 97) % 128, (index * 61) % 128
        return np.asarray(
            cv2.add(sharp, tile[dy : dy + self._size[1], dx : dx + self._size[0]], dtype=cv2.CV_8U)
        )


def _noise_tiles(size: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
    """Sensor noise, a little larger than the picture so that it can be shifted."""
    tiles = []
    for _ in range(NOISE_TILES):
        grain = rng.standard_normal((size[1] + 128, size[0] + 128, 1), dtype=np.float32)
        colour = rng.standard_normal((size[1] + 128, size[0] + 128, 3), dtype=np.float32)
        tiles.append(np.rint(NOISE_SIGMA * (0.8 * grain + 0.5 * colour)).astype(np.int16))
    return tiles


def _exposure(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.9, 1.12))


def frames(match: SimulatedMatch) -> Iterator[Pixels]:
    """All frames in order, one at a time."""
    renderer = FrameRenderer(match)
    for index in range(match.options.frame_count):
        yield renderer.frame(index)


def render(match: SimulatedMatch, path: Path | str, progress: Progress | None = None) -> Path:
    """Write the match as H.264 in MP4; `progress(done, total)` is called after each frame.

    Raises:
        ResourceError: the file cannot be written.
    """
    options = match.options
    size = (options.width, options.height)
    return write_video(Path(path), frames(match), options.frame_count, options.rate, size, progress)
