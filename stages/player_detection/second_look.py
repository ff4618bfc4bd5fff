"""A second look for the ball: enlarged crops around what may be one.

At 1280 pixels a ball is some seven pixels wide, and most that a first look misses have left a faint
candidate. Each is looked at again from nearby; a frame depends on nothing but itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from application.stage import Image, Model
from stages.images import PADDING_GREY
from stages.player_detection.boxes import (
    BALL,
    F32,
    Boxes,
    RoleMap,
    Thresholds,
    decode,
    intersection_over_union,
    only_balls,
)

CROP_HEIGHT, CROP_WIDTH = 192, 256
MAGNIFICATION = 2.0
"""How much larger a crop shows things than the first look did."""
MOST_CROPS = 5
FAINTEST = 0.003
"""Least score of a candidate that is looked at again, and of what is seen then."""
SURE = 0.5
"""A first look with a ball this sure is believed."""
APART = 0.35
"""A candidate nearer to a crop's middle than this share of its sides needs no crop of its own."""
SECOND_SHARE = 2 / 3
"""How much the second look counts beside the first, in log odds."""
SAME_BALL = 0.1


@dataclass(frozen=True)
class _Crop:
    """A part of an image, enlarged `zoom` times from `corner` (x, y) in source pixels."""

    canvas: Image
    corner: NDArray[np.float64]
    zoom: float

    def to_source(self, xyxy: F32) -> F32:
        return np.asarray(xyxy / self.zoom + np.tile(self.corner, 2), np.float32)


class SecondLook:
    """Looks again at the images of a batch; `model` is the network for images of a crop's size."""

    def __init__(self, model: Callable[[], Model], thresholds: Thresholds) -> None:
        self._model = model
        self._least = thresholds.ball
        self._thresholds = Thresholds(np.inf, FAINTEST, thresholds.overlap)

    def again(
        self, images: Sequence[Image], seen: Sequence[Boxes], scale: float, roles: RoleMap
    ) -> list[Boxes]:
        """Boxes in source pixels with the balls of the second look in place of faint ones.

        Args:
            seen: each image's boxes of the first look, best first, balls from `FAINTEST` on.
            scale: pixels of the first look for each pixel of the image.
        """
        crops = [
            list(_crops(image, boxes, MAGNIFICATION * scale))
            for image, boxes in zip(images, seen, strict=True)
        ]
        canvases = [crop.canvas for of_image in crops for crop in of_image]
        answers = iter(self._model().infer(canvases) if canvases else ())
        looked = [
            [(crop, decode(next(answers)[0], roles, self._thresholds)) for crop in of_image]
            for of_image in crops
        ]
        return [self._joined(boxes, of_image) for boxes, of_image in zip(seen, looked, strict=True)]

    def _joined(self, first: Boxes, looked: Sequence[tuple[_Crop, Boxes]]) -> Boxes:
        people, balls = first[first.role != BALL], first[first.role == BALL]
        if looked:
            xyxy = np.concatenate([crop.to_source(found.xyxy) for crop, found in looked])
            score = np.concatenate([found.confidence for _, found in looked])
            balls = _weighed(only_balls(xyxy, score), balls)
        return people.with_others(balls[balls.confidence >= self._least])


def _crops(image: Image, boxes: Boxes, zoom: float) -> Iterator[_Crop]:
    """Crops around the best faint candidates; none where a ball is sure."""
    balls = boxes[boxes.role == BALL]
    if not len(balls) or balls.confidence[0] >= SURE:
        return
    size = np.array([CROP_WIDTH, CROP_HEIGHT]) / zoom
    chosen: list[NDArray[np.float64]] = []
    for box in balls.xyxy.astype(np.float64):
        middle = (box[:2] + box[2:]) / 2
        if all((np.abs(middle - other) > APART * size).any() for other in chosen):
            chosen.append(middle)
            yield _crop(image, middle, size, zoom)
        if len(chosen) == MOST_CROPS:
            return


def _crop(
    image: Image, middle: NDArray[np.float64], size: NDArray[np.float64], zoom: float
) -> _Crop:
    """The crop around `middle` (x, y), moved into the image where it can be."""
    most = np.maximum(np.array(image.shape[1::-1]) - size, 0)
    corner = np.clip(middle - size / 2, 0, most)
    matrix = np.array([[zoom, 0, -corner[0] * zoom], [0, zoom, -corner[1] * zoom]])
    canvas = cv2.warpAffine(
        image, matrix, (CROP_WIDTH, CROP_HEIGHT), borderValue=(PADDING_GREY,) * 3
    )
    return _Crop(np.asarray(canvas, np.uint8), corner, zoom)


def _weighed(balls: Boxes, faint: Boxes) -> Boxes:
    """The balls of the second look, their scores joined with the first look's of the same place."""
    overlap = intersection_over_union(balls.xyxy, faint.xyxy)
    before = np.where(overlap > SAME_BALL, faint.confidence[None], FAINTEST).max(axis=1)
    odds = SECOND_SHARE * _log_odds(balls.confidence) + (1 - SECOND_SHARE) * _log_odds(before)
    return Boxes(balls.xyxy, np.asarray(1 / (1 + np.exp(-odds)), np.float32), balls.role)


def _log_odds(score: F32) -> F32:
    bounded = np.clip(score, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(bounded / (1 - bounded)), np.float32)
