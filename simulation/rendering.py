"""Renders a simulated match: ground, stadium, goals, people, ball, lens and sensor."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from domain.pitch import Pitch
from simulation.arrays import Pixels
from simulation.bending import Bending
from simulation.camera import Eye
from simulation.film import Shot
from simulation.ground import Ground, draw_ground, softened
from simulation.match import SimulatedMatch
from simulation.painting import Painter, draw_light
from simulation.spectators import draw_spectators
from simulation.stadium import Plane, draw_stadium, paint_plane
from simulation.transitions import Transition, WipeLook, transition_at
from simulation.video import write_video
from simulation.views import Viewer

Progress = Callable[[int, int], None]
NOISE_TILES = 8
NOISE_SIGMA = 2.2  # of 255, before compression
SHARPEN = 0.55  # broadcast cameras raise edges; real frames show the dark rims beside the lines
LENS_BLUR_PX_AT_1280 = 0.62
SPECTATORS_STREAM = 7
# How far a long lens throws the background out of focus, in pixels of 1280.
OUT_OF_FOCUS = {"close": 5.0, "touchline": 1.2}
# OpenCV counts pixels by their middles: the first is at 0, where coordinates say 0.5.
TO_INDEX = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
BEYOND = (58, 70, 52)  # the apron outside the drawn grass


class FrameRenderer:
    """Draws any frame of a match; looks are drawn once from the seed."""

    def __init__(self, match: SimulatedMatch) -> None:
        self._rng = np.random.default_rng([match.options.seed, 4])
        self._match, self._film = match, match.film
        self._shot_index = match.film.shot_index()
        self._viewer = Viewer(match.people, match.film.shown, match.film.camera)
        self._ground = draw_ground(Pitch(), match.options.width, self._rng)
        around = match.options.broadcast or match.options.camera == "behind_goal"
        self._stadium = draw_stadium(match.kits, around, self._rng)
        self._painter = Painter(match.people, draw_light(self._rng))
        self._size = (match.options.width, match.options.height)
        self._noise = _noise_tiles(self._size, self._rng)
        self._gain = _exposure(self._rng)
        self._wipe = WipeLook(match.kits, self._rng)
        self._bend = Bending()
        self._spectators: Plane | None = None
        self._grounds: dict[int, Ground] = {}

    def frame(self, index: int) -> Pixels:
        """Frame `index` as blue, green, red (height, width, 3)."""
        number = int(self._shot_index[index])
        image = self._picture(self._film.shots[number], index)
        change = transition_at(self._film, number, index)
        if change is not None and change.kind == "dissolve":
            image = self._dissolved(image, change, index)
        if change is not None and change.kind == "wipe":
            self._wipe.draw(image, change.share)
        return self._sensor(image, index)

    def _picture(self, shot: Shot, index: int) -> Pixels:
        """What the camera of a shot sees at frame `index`."""
        view = self._viewer.view(shot.row_of(index))
        image = self._backdrop(view.eye, self._ground_of(shot))
        if shot.cue.camera == "crowd":
            paint_plane(image, view.eye.matrix, self._crowd_block())
        if shot.cue.camera in OUT_OF_FOCUS:
            sigma = OUT_OF_FOCUS[shot.cue.camera] * self._size[0] / 1280
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))
        self._painter.paint(image, view)
        return image

    def _crowd_block(self) -> Plane:
        """The spectators of close shots, drawn when the first is shown."""
        if self._spectators is None:
            stream = np.random.default_rng([self._match.options.seed, SPECTATORS_STREAM])
            self._spectators = draw_spectators(self._match.kits, stream)
        return self._spectators

    def _dissolved(self, image: Pixels, change: Transition, index: int) -> Pixels:
        """The two shots on top of each other."""
        other = self._picture(change.other, index)
        share = min(change.share, 1 - change.share)  # the one on air shows through more
        return np.asarray(cv2.addWeighted(image, 1 - share, other, share, 0.0), dtype=np.uint8)

    def _ground_of(self, shot: Shot) -> Ground:
        """The ground as soft as this shot's camera sees it; the last two are kept."""
        if shot.first not in self._grounds:
            rows = slice(shot.row, shot.row_of(shot.stop))
            focal_px = float(np.median(self._film.camera.focal_px[rows]))
            place = self._film.camera.position[shot.row]
            self._grounds = dict(list(self._grounds.items())[-1:])
            self._grounds[shot.first] = softened(self._ground, place, focal_px)
        return self._grounds[shot.first]

    def _backdrop(self, eye: Eye, ground: Ground) -> Pixels:
        """Ground and stadium: drawn as a straight lens shows them, then bent."""
        bend = self._bend.at(eye)
        size, matrix = bend.canvas(self._size), bend.shifted(eye.matrix)
        image = cv2.warpPerspective(
            ground.texture,
            TO_INDEX @ matrix[:, [0, 1, 3]] @ np.linalg.inv(TO_INDEX @ ground.from_pitch),
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=BEYOND,
        )
        for plane in self._stadium:
            paint_plane(image, matrix, plane)
        return bend.apply(np.asarray(image, dtype=np.uint8))

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
