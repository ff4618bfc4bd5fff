"""Player detection: people and the ball in each frame, with what they wear."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import Frame, FramePass, GPUStage, Image, MatchFacts, Network
from domain import tables
from domain.configuration import PlayerDetectionOptions
from domain.tables import APPEARANCE_SIZE, ROLES
from stages.images import Fit, letterbox
from stages.player_detection import appearance
from stages.player_detection.boxes import (
    BALL,
    Boxes,
    RoleMap,
    Thresholds,
    class_count,
    decode,
    inside,
)
from stages.player_detection.second_look import CROP_HEIGHT, CROP_WIDTH, FAINTEST, SecondLook

STRIDE = 32
"""The network halves its input five times: sides are multiples of this."""


class PlayerDetectionStage(GPUStage[PlayerDetectionOptions]):
    """People and balls as boxes in source pixels, by a YOLOv8 network."""

    name: ClassVar[str] = "player_detection"
    version: ClassVar[int] = 4
    produces: ClassVar[tuple[str, ...]] = ("detections",)

    @staticmethod
    def shipped_model() -> str:
        return "detector.onnx"

    @staticmethod
    def input_size(options: PlayerDetectionOptions, facts: MatchFacts) -> tuple[int, int]:
        """Height and width: `image_size` on the longer side, the source's aspect ratio."""
        scale = options.image_size / max(facts.height, facts.width)
        return _up_to_stride(facts.height * scale), _up_to_stride(facts.width * scale)

    def notices(self) -> Sequence[str]:
        if not self.options.second_look or not self.model.is_of_one_size:
            return ()
        return (
            "player_detection: no second look for the ball, since the model's file takes pictures "
            "of one size alone; a .onnx or .xml file for any size has it",
        )

    def begin(self) -> FramePass:
        return DetectionPass(self.model, self.options, self.input_size(self.options, self.facts))


class DetectionPass:
    """The detector at work on one segment."""

    def __init__(
        self, model: Network, options: PlayerDetectionOptions, input_size: tuple[int, int]
    ) -> None:
        self._model = model
        self._input_size = input_size
        self._thresholds = Thresholds(
            options.confidence_threshold, options.ball_confidence_threshold, options.nms_threshold
        )
        self._second: SecondLook | None = None
        if options.second_look and not model.is_of_one_size:
            self._second = SecondLook(lambda: model.at((CROP_HEIGHT, CROP_WIDTH)), self._thresholds)
            faintest = min(FAINTEST, options.ball_confidence_threshold)
            self._thresholds = replace(self._thresholds, ball=faintest)
        self._roles: RoleMap | None = None
        self._parts: list[pa.Table] = []

    def take(self, frames: Sequence[Frame]) -> None:
        seen = [(frame.number, frame.image) for frame in frames if frame.owned]
        pictures = [(number, image) for number, image in seen if image is not None]
        fitted = [letterbox(image, *self._input_size) for _, image in pictures]
        answers = self._model.infer([canvas for canvas, _, _ in fitted])
        found = [
            self._boxes(outputs, Fit(scale, offset), image)
            for (_, image), (_, scale, offset), outputs in zip(
                pictures, fitted, answers, strict=True
            )
        ]
        if self._second and self._roles and fitted:
            images = [image for _, image in pictures]
            found = self._second.again(images, found, fitted[0][1], self._roles)
        for (number, image), boxes in zip(pictures, found, strict=True):
            self._parts.append(_rows(number, inside(boxes, *image.shape[:2]), image))

    def tables(self) -> Mapping[str, pa.Table]:
        joined = pa.concat_tables([tables.empty("detections"), *self._parts]).combine_chunks()
        return {"detections": tables.check("detections", joined)}

    def _boxes(self, outputs: Sequence[NDArray[np.float32]], fit: Fit, image: Image) -> Boxes:
        """Boxes in source pixels, best first."""
        if self._roles is None:
            self._roles = RoleMap.of(self._model.names, class_count(outputs))
        found = decode(outputs[0], self._roles, self._thresholds)
        source = Boxes(fit.boxes_to_source(found.xyxy), found.confidence, found.role)
        return inside(source, image.shape[0], image.shape[1])


def _rows(number: int, boxes: Boxes, image: Image) -> pa.Table:
    """The rows of one frame; the ball has no appearance."""
    people = boxes.role != BALL
    worn = np.zeros((len(boxes), APPEARANCE_SIZE), np.float16)
    worn[people] = appearance.measure(image, boxes.xyxy[people])
    columns = {
        "frame": np.full(len(boxes), number, np.int64),
        **dict(zip(("x1", "y1", "x2", "y2"), boxes.xyxy.T, strict=True)),
        "confidence": np.minimum(boxes.confidence, np.float32(1)),
        "role": np.array(ROLES)[boxes.role],
        "appearance": np.ma.MaskedArray(worn, np.broadcast_to(~people[:, None], worn.shape)),
    }
    return tables.make("detections", columns)


def _up_to_stride(side: float) -> int:
    return max(math.ceil(round(side, 6) / STRIDE), 1) * STRIDE
