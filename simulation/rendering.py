"""Renders a simulated match: ground, stadium, goals, people, ball, lens and sensor."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from domain.pitch import Pitch
from simulation.arrays import Pixels
from simulation.bending import Bending
from simulation.bystanders import Bystanders
from simulation.camera import Eye
from simulation.film import Shot
from simulation.graphics import Graphics
from simulation.ground import Ground, draw_ground, softened
from simulation.lens import LensAndSensor
from simulation.match import SimulatedMatch
from simulation.painting import Painter
from simulation.shutter import Shutter
from simulation.spectators import draw_spectators
from simulation.stadium import Plane, draw_stadium, paint_plane, paint_sky
from simulation.transitions import Transition, WipeLook, transition_at
from simulation.variety import draw_look
from simulation.video import write_video
from simulation.views import Viewer

Progress = Callable[[int, int], None]
# How far a long lens throws the background out of focus, in pixels of 1280.
OUT_OF_FOCUS = {"close": 5.0, "touchline": 1.2}
SPECTATORS_STREAM = 7
# OpenCV counts pixels by their middles: the first is at 0, where coordinates say 0.5.
TO_INDEX = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
HIGH_M, OUTSIDE_M = 10.0, -56.0  # from where the near side's things are before the people


class FrameRenderer:
    """Draws any frame of a match; looks are drawn once from the seed."""

    def __init__(self, match: SimulatedMatch) -> None:
        rng = np.random.default_rng([match.options.seed, 4])
        options, look = match.options, draw_look(match.options)
        self._match, self._film, self._look = match, match.film, look
        self._shot_index = match.film.shot_index()
        self._viewer = Viewer(match.people, match.film.shown, match.film.camera)
        self._size = (options.width, options.height)
        self._ground = draw_ground(Pitch(), options.width, look.grass, look.light, rng)
        around = options.broadcast or options.camera == "behind_goal"
        self._stadium = draw_stadium(match.kits, around, look, rng)
        self._painter = Painter(match.people, look, rng)
        self._bystanders = Bystanders(match.kits, look.bystanders, rng)
        self._lens = LensAndSensor(look.lens, look.rain, self._size, rng)
        self._wipe = WipeLook(match.kits, rng)
        self._graphics = Graphics(look.graphics, match.kits, self._size, rng)
        self._shutter = Shutter(match.film, float(options.rate), look.lens.shutter_s)
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
        image = self._lens.recorded(image, index)
        self._graphics.draw(image, index / float(self._match.options.rate))
        return image

    def _picture(self, shot: Shot, index: int) -> Pixels:
        """What the camera of a shot sees at frame `index`."""
        row = shot.row_of(index)
        view = self._viewer.view(row)
        image = self._backdrop(view.eye, self._ground_of(shot))
        if shot.cue.camera == "crowd":
            paint_plane(image, view.eye.matrix, self._crowd_block())
        others = self._bystanders.seen(view.eye, float(self._film.shown.time_s[row]))
        if shot.cue.camera in OUT_OF_FOCUS:
            if others is not None:
                self._painter.paint_others(image, others)
                others = None
            sigma = OUT_OF_FOCUS[shot.cue.camera] * self._size[0] / 1280
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))
        image = self._lens.smeared(image, self._shutter.turn(shot, row))
        self._painter.paint(image, view, self._shutter.smear(shot, row), others)
        self._near_side(image, view.eye)
        return image

    def _crowd_block(self) -> Plane:
        """The spectators of close shots, drawn when the first is shown."""
        if self._spectators is None:
            stream = np.random.default_rng([self._match.options.seed, SPECTATORS_STREAM])
            self._spectators = draw_spectators(self._match.kits, stream)
        return self._spectators

    def _near_side(self, image: Pixels, eye: Eye) -> None:
        """Benches and the near stand's rows, before everybody when seen from the main stand."""
        if eye.place[2] > HIGH_M and eye.place[1] < OUTSIDE_M:
            for plane in self._stadium.before:
                paint_plane(image, eye.matrix, plane)

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
            self._grounds[shot.first] = softened(self._ground, place, focal_px, self._look.haze)
        return self._grounds[shot.first]

    def _backdrop(self, eye: Eye, ground: Ground) -> Pixels:
        """Sky, ground and stadium: drawn as a straight lens shows them, then bent."""
        bend = self._bend.at(eye)
        size, matrix = bend.canvas(self._size), bend.shifted(eye.matrix)
        image = np.empty((size[1], size[0], 3), dtype=np.uint8)
        paint_sky(image, matrix, self._stadium.sky)
        cv2.warpPerspective(
            ground.texture,
            TO_INDEX @ matrix[:, [0, 1, 3]] @ np.linalg.inv(TO_INDEX @ ground.from_pitch),
            size,
            dst=image,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
        for plane in self._stadium.behind:
            paint_plane(image, matrix, plane)
        return bend.apply(image)


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
    crf = draw_look(options).lens.crf
    return write_video(
        Path(path), frames(match), options.frame_count, options.rate, size, crf, progress
    )
