"""The stage `pitch_observation`: what one frame, and the one before it, say about the camera."""

from collections import deque
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import Frame, FramePass, GPUStage, Image, MatchFacts
from domain import tables
from domain.configuration import PitchObservationOptions
from domain.errors import StageError
from domain.pitch import PITCH_POINT_COUNT, project
from stages.images import Fit, fit, letterbox
from stages.pitch_observation.lines import LineFinder
from stages.pitch_observation.motion import Motion, between
from stages.pitch_observation.views import (
    MOTION_SUPPORT,
    Look,
    glance,
    histogram_distance,
    is_cut,
    look,
    unexplained_change,
    view_of,
)

Array = NDArray[np.float64]

INPUT_HEIGHT, INPUT_WIDTH = 384, 640
LOOK_SIZE = (160, 90)

REST_FRAMES = 5
"""A camera rests where it has not moved over so many frames to the present one."""
REST_PX = 0.3
"""By how much, in pixels of the network's input, a corner of a resting picture may move."""
REST_EVERY = 5
"""Of the looks at a resting camera's points one in so many is taken: to see that it is still so."""


class PitchObservationStage(GPUStage[PitchObservationOptions]):
    """Sees the pitch's points and lines, the camera's motion, cuts and the kind of view.

    Points under `confidence_threshold` are kept with a confidence of 0. The motion and the cut are
    those since the frame just before, and unknown where that one did not decode: looking farther
    back would make rows depend on where segments are cut.
    """

    name: ClassVar[str] = "pitch_observation"
    version: ClassVar[int] = 6
    produces: ClassVar[tuple[str, ...]] = ("pitch_observations",)
    knows: ClassVar[tuple[str, ...]] = ("pitch",)
    warmup_frames: ClassVar[int] = REST_FRAMES

    @staticmethod
    def shipped_model() -> str:
        return "pitch.onnx"

    @staticmethod
    def input_size(
        options: PitchObservationOptions,  # noqa: ARG004
        facts: MatchFacts,  # noqa: ARG004
    ) -> tuple[int, int]:
        return INPUT_HEIGHT, INPUT_WIDTH

    def begin(self) -> FramePass:
        return _Pass(self)


class _Small(NamedTuple):
    """A frame, and made small: the network's input, where it lies in it, grey, tiny, its look."""

    image: Image
    canvas: Image
    place: Fit
    grey: NDArray[np.uint8]
    tiny: Image
    look: Look


class _Pass:
    """The stage at work on one segment."""

    def __init__(self, stage: PitchObservationStage) -> None:
        self.stage = stage
        self.before: _Small | None = None
        self.moves: deque[Array | None] = deque(maxlen=REST_FRAMES)
        self.rows: list[dict[str, Any]] = []
        self.lines = LineFinder(stage.facts.pitch, (stage.facts.width, stage.facts.height))

    def take(self, frames: Sequence[Frame]) -> None:
        waiting: list[tuple[dict[str, Any], _Small]] = []
        for frame in frames:
            now = None if frame.image is None else _small(frame.image)
            change = self._change(now)
            if now is not None and frame.owned:
                row = {"frame": frame.number, "rests": self._rests(), **change}
                row["grass_share"] = now.look.grass_share
                row["glance"] = glance(now.tiny)
                self.rows.append(row)
                waiting.append((row, now))
            self.before = now
        self._look_for_points(waiting)

    def tables(self) -> Mapping[str, pa.Table]:
        columns = {
            name: [row[name] for row in self.rows]
            for name in tables.SCHEMAS["pitch_observations"].names
        }
        return {"pitch_observations": tables.make("pitch_observations", columns)}

    def _change(self, now: _Small | None) -> dict[str, Any]:
        """The columns about what happened since the frame before."""
        self.moves.append(None)
        if now is None or self.before is None or self.before.grey.shape != now.grey.shape:
            return {"camera_motion": None, "cut": False, "change": None}
        motion = between(self.before.grey, now.grey)
        support = 0.0 if motion is None else motion.support
        distance = histogram_distance(self.before.look, now.look)
        cut = is_cut(distance, support, self.stage.options.cut_threshold)
        if motion is None or cut or support < MOTION_SUPPORT:
            change = unexplained_change(self.before.tiny, now.tiny, None)
            return {"camera_motion": None, "cut": cut, "change": change}
        self.moves[-1] = motion.homography
        moved = _in_tiny_pixels(motion, now)
        return {
            "camera_motion": _in_source_pixels(motion, now.place.scale),
            "cut": cut,
            "change": unexplained_change(self.before.tiny, now.tiny, moved),
        }

    def _look_for_points(self, waiting: list[tuple[dict[str, Any], _Small]]) -> None:
        """Run the network on the frames whose turn it is, and complete their rows."""
        due = [item for item in waiting if self._is_due(item[0])]
        answers = self.stage.model.infer([small.canvas for _, small in due]) if due else []
        for row, _ in waiting:
            row["points"] = row["lines"] = None
        for (row, small), answer in zip(due, answers, strict=True):
            points = self._points(answer[0], small.place)
            row["points"] = points.ravel()
            row["lines"] = self.lines.find(small.image, points).ravel()
        for row, _ in waiting:
            seen = None if row["points"] is None else int((row["points"][2::3] > 0).sum())
            row["view"] = view_of(row["grass_share"], seen)

    def _rests(self) -> bool:
        """Whether the camera stood still over the last frames, this one included.

        They are as many at the beginning of a segment, where the warm-up gives them.
        """
        moves = [move for move in self.moves if move is not None]
        if len(moves) < REST_FRAMES:
            return False
        corners = np.array(
            [[0, 0], [INPUT_WIDTH, 0], [INPUT_WIDTH, INPUT_HEIGHT], [0, INPUT_HEIGHT]]
        )
        moved = project(reduce(lambda earlier, later: later @ earlier, moves), corners)
        return bool(np.abs(moved - corners).max() < REST_PX)

    def _is_due(self, row: Mapping[str, Any]) -> bool:
        """Each n-th frame, fewer where the camera rests, and each that motion does not reach."""
        every = self.stage.options.every
        if row["rests"]:  # at least once a second, whatever the frame rate
            every *= max(min(REST_EVERY, int(self.stage.facts.frame_rate / every)), 1)
        return row["camera_motion"] is None or row["frame"] % every == 0

    def _points(self, answer: NDArray[np.float32], place: Fit) -> NDArray[np.float32]:
        """The network's answer as points (32, 3) in source pixels, faint ones with confidence 0."""
        if answer.size != PITCH_POINT_COUNT * 3:
            raise StageError(
                f"pitch_observation: expected a model whose output is (1, {PITCH_POINT_COUNT}, 3), "
                f"actual {answer.shape}: choose another model_name"
            )
        points = answer.reshape(PITCH_POINT_COUNT, 3)
        confidence = np.clip(points[:, 2], 0, 1)
        confidence[confidence < self.stage.options.confidence_threshold] = 0
        return np.column_stack([place.to_source(points[:, :2]), confidence])


def _small(image: Image) -> _Small:
    size = (image.shape[0], image.shape[1])
    place = fit(size, INPUT_HEIGHT, INPUT_WIDTH)
    canvas, scale, offset = letterbox(image, INPUT_HEIGHT, INPUT_WIDTH)
    left, top = int(offset[0]), int(offset[1])
    inner = canvas[top : top + round(size[0] * scale), left : left + round(size[1] * scale)]
    grey = np.asarray(cv2.cvtColor(inner, cv2.COLOR_BGR2GRAY), np.uint8)
    tiny = np.asarray(cv2.resize(inner, LOOK_SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    return _Small(image, canvas, place, grey, tiny, look(tiny))


def _in_source_pixels(motion: Motion, scale: float) -> Array:
    """The motion's homography, row by row, from small pixels (centres at 0) to source pixels."""
    # the small picture's pixel i has its centre at i + 0.5: a half that OpenCV leaves out
    small = np.array([[scale, 0, -0.5], [0, scale, -0.5], [0, 0, 1]])
    homography = np.linalg.inv(small) @ motion.homography @ small
    return np.asarray((homography / homography[2, 2]).ravel())


def _in_tiny_pixels(motion: Motion, small: _Small) -> Array:
    """The motion's homography (3, 3) between pictures of `LOOK_SIZE`."""
    height, width = small.grey.shape
    shrink = np.diag([LOOK_SIZE[0] / width, LOOK_SIZE[1] / height, 1.0])
    return np.asarray(shrink @ motion.homography @ np.linalg.inv(shrink))
