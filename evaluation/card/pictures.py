"""The worst cases as pictures: what truth says and what was answered, on the frame."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from domain.lens import bent
from domain.pitch import Pitch
from evaluation.card.answers import Image
from evaluation.card.boxed_frames import BoxedFrame, ImageSet, Mistakes, mistakes
from evaluation.card.measures import Picture
from evaluation.pitch import (
    MAX_ERROR_M,
    Homography,
    ImageCamera,
    image_grid,
    misplacement_m,
    on_pitch,
)
from evaluation.yolo_labels import LabelledImage, labelled_roles

WORST = 3
"""Frames shown of a set."""

TRUTH, RIGHT, MISSED, FALSE = (255, 255, 255), (120, 200, 90), (60, 60, 235), (30, 160, 255)
"""Blue, green, red. Missed is red, false is orange."""

_WIDTH_PX = 1280
_QUALITY = 80
_BITS = 4


def worst_boxed(section: str, images: ImageSet, frames: Sequence[BoxedFrame]) -> list[Picture]:
    """The frames with the most missed and false boxes; real footage, so private."""
    roles = labelled_roles(images.images, images.labels)
    judged = [(mistakes(frame, roles), frame) for frame in frames]
    judged.sort(key=lambda case: (-case[0].count, case[1].pair.image.name))
    pictures = []
    for rank, (wrong, frame) in enumerate(judged[:WORST], start=1):
        image = _with_boxes(images.read(frame.pair), frame, wrong)
        caption = (
            f"{frame.pair.image.stem}: {len(wrong.missed)} missed (red), "
            f"{len(wrong.false)} false (orange)"
        )
        name = f"{section.replace('_', '-')}-boxes-{rank}.jpg"
        pictures.append(Picture(name, caption, as_jpeg(image), private=True))
    return pictures


def worst_pitch(
    section: str,
    images: ImageSet,
    frames: Sequence[tuple[LabelledImage, Homography, ImageCamera | None]],
) -> list[Picture]:
    """The frames whose camera is farthest off, the unanswered first; real footage, so private."""
    judged = []
    for pair, truth, answer in frames:
        image = images.read(pair)
        judged.append((_median_m(truth, answer, image), pair, truth, answer))
    judged.sort(key=lambda case: (-case[0], case[1].image.name))
    pictures = []
    for rank, (error, pair, truth, answer) in enumerate(judged[:WORST], start=1):
        image = images.read(pair)
        draw_pitch(image, truth, TRUTH)
        if answer is not None:
            draw_pitch(image, answer.homography, FALSE, answer.bend)
        caption = f"{pair.image.stem}: median error {error:.2f} m (truth white, answer orange)"
        name = f"{section.replace('_', '-')}-pitch-{rank}.jpg"
        pictures.append(Picture(name, caption, as_jpeg(image), private=True))
    return pictures


def draw_boxes(
    image: Image, xyxy: NDArray[np.float64], colour: tuple[int, int, int], thick: int = 2
) -> None:
    """Outline boxes (n, 4) in pixels on an image (height, width, 3)."""
    for x1, y1, x2, y2 in np.nan_to_num(xyxy).round().astype(int).tolist():
        cv2.rectangle(image, (x1, y1), (x2, y2), colour, thick, cv2.LINE_AA)


def draw_pitch(
    image: Image, homography: Homography, colour: tuple[int, int, int], bend: float = 0.0
) -> None:
    """Draw the pitch's lines where a homography and a lens (`bend`, k1 / focal^2) show them."""
    height, width = image.shape[:2]
    middle = np.array([width, height]) / 2
    to_image = np.linalg.inv(homography)
    ground = homography @ [width / 2, height, 1.0]
    ahead = np.sign((to_image @ (ground / ground[2]))[2])
    for line in Pitch().lines():
        mapped = np.column_stack([line, np.ones(len(line))]) @ to_image.T
        near = mapped[:, 2] * ahead > 1e-9
        for a, b in zip(mapped[:-1][near[:-1] & near[1:]], mapped[1:][near[:-1] & near[1:]]):  # noqa: B905
            straight = np.array([a[:2] / a[2], b[:2] / b[2]])
            ends = bent(straight - middle, bend) + middle
            if (np.abs(ends) < 4 * width).all():
                start, end = np.round(ends * (1 << _BITS)).astype(int).tolist()
                cv2.line(image, start, end, colour, 2, cv2.LINE_AA, _BITS)


def as_jpeg(image: Image, width: int = _WIDTH_PX) -> bytes:
    """The picture, no wider than `width` pixels."""
    if image.shape[1] > width:
        height = round(image.shape[0] * width / image.shape[1])
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def _with_boxes(image: Image, frame: BoxedFrame, wrong: Mistakes) -> Image:
    hit = np.setdiff1d(np.arange(len(frame.xyxy)), wrong.missed)
    draw_boxes(image, frame.xyxy[hit], RIGHT, 1)
    draw_boxes(image, frame.xyxy[wrong.missed], MISSED)
    for index in wrong.false:
        box = frame.found.xyxy[index].astype(np.float64)
        draw_boxes(image, box[None], FALSE)
        text = f"{frame.found.role[index]} {frame.found.confidence[index]:.2f}"
        place = (int(box[0]), max(int(box[1]) - 4, 12))
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, FALSE, 1, cv2.LINE_AA)
    return image


def _median_m(truth: Homography, answer: ImageCamera | None, image: Image) -> float:
    if answer is None:
        return MAX_ERROR_M
    size = (image.shape[1], image.shape[0])
    grid = image_grid(size)
    seen = grid[on_pitch(truth, grid, np.array([size[0] / 2, size[1]]))]
    return float(np.median(misplacement_m(truth, answer, seen, size)))
