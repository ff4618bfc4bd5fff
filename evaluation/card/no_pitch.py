"""Section: pictures that show no football pitch, for which there should be no camera."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from evaluation.card.answers import Answers, Image
from evaluation.card.boxed_frames import ImageSet
from evaluation.card.measures import Measure, Section
from evaluation.card.other_fields import FIELDS, SIZE, drawn
from evaluation.card.real_frames import HELD_OUT
from evaluation.detection import true_boxes
from evaluation.scores import share
from evaluation.yolo_labels import CLASS_NAMES

NAME = "no_pitch"
DRAWN_EACH = 30
CLOSE_UPS_EACH = 4
STANDS_SHARE, STANDS_EACH = 0.17, 3
"""The uppermost part of a held-out frame shows stands alone; so many pictures are cut from it."""
PERSON_SHARE = 0.6
"""How much of a close-up's height a person takes."""

_TAKEN = (
    "Single pictures for which the calibration should have no answer: stands and close-ups cut "
    "from held-out frames and enlarged to 1280x720, and drawn fields of eight other sports with "
    "their own lines, from random cameras. The drawn ones have no texture of real grass, and a "
    "close-up enlarged from a wide frame is softer than a camera's."
)


@dataclass(frozen=True)
class _Kind:
    """Pictures of one kind: part of its measure's key, and what a reader calls it."""

    key: str
    label: str
    pictures: Iterator[Image]


def section(data: Path, answers: Answers) -> Section:
    """The share of pictures without a pitch that get a camera, by kind and over all."""
    frames = ImageSet(data / "players/images", data / "players/labels", HELD_OUT)
    kinds = [
        _Kind("stands", "stands", _stands(frames)),
        _Kind("close_ups", "close-ups of a person", _close_ups(frames)),
        *(_Kind(f.name.lower().replace(" ", "_"), f"{f.name}, drawn", _drawn(n))
          for n, f in enumerate(FIELDS)),
    ]  # fmt: skip
    counts = {kind.key: _false_answers(kind, answers) for kind in kinds}
    total = tuple(map(sum, zip(*counts.values(), strict=True)))
    measures = [_measure(kind.key, kind.label, *counts[kind.key]) for kind in kinds]
    return Section(
        NAME,
        "Pictures without a football pitch",
        _TAKEN,
        measures=[_measure("all", "all kinds", *total, headline=True), *measures],
        scores={key: {"images": n, "false_answers": false} for key, (false, n) in counts.items()},
    )


def _measure(key: str, label: str, false: int, count: int, *, headline: bool = False) -> Measure:
    return Measure(
        f"{NAME}.{key}.false_answers",
        f"pictures without a pitch that got a camera, {label}",
        share(false, count),
        count,
        "pictures",
        higher_is_better=False,
        headline=headline,
    )


def _false_answers(kind: _Kind, answers: Answers) -> tuple[int, int]:
    given = [answers.calibrate(picture) is not None for picture in kind.pictures]
    return sum(given), len(given)


def _stands(frames: ImageSet) -> Iterator[Image]:
    for pair in frames.pairs():
        image = frames.read(pair)
        height = int(STANDS_SHARE * image.shape[0])
        width = height * 16 // 9
        for left in np.linspace(0, image.shape[1] - width, STANDS_EACH).astype(int):
            yield _enlarged(image[:height, left : left + width])


def _close_ups(frames: ImageSet) -> Iterator[Image]:
    """The largest people of each frame, a picture each."""
    for pair in frames.pairs():
        image = frames.read(pair)
        roles, boxes = true_boxes(pair, CLASS_NAMES, image.shape)
        people = boxes[[role != "ball" for role in roles]]
        tallest = np.argsort(people[:, 1] - people[:, 3], kind="stable")[:CLOSE_UPS_EACH]
        for x0, y0, x1, y1 in people[tallest]:
            height = int((y1 - y0) / PERSON_SHARE)
            width = height * 16 // 9
            left = int(np.clip((x0 + x1 - width) / 2, 0, image.shape[1] - width))
            top = int(np.clip((y0 + y1 - height) / 2, 0, image.shape[0] - height))
            yield _enlarged(image[top : top + height, left : left + width])


def _drawn(number: int) -> Iterator[Image]:
    for seed in range(DRAWN_EACH):
        yield drawn(FIELDS[number], np.random.default_rng([number, seed]))


def _enlarged(part: Image) -> Image:
    return np.asarray(cv2.resize(part, SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
