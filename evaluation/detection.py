"""Detection: average precision per role, as in COCO.

AP is the mean precision at 101 recall levels after the precision is made monotone; AP50 takes
a hit at an overlap (IoU) of 0.5, AP50:95 is the mean over 0.50, 0.55 ... 0.95. Source: Lin et al.,
Microsoft COCO, 2014; computed by pycocotools. Up to 1000 boxes a role and image count, all sizes.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import InputError, TableError
from domain.tables import ROLES
from evaluation.scores import Scores
from evaluation.yolo_labels import (
    CLASS_NAMES,
    LabelledImage,
    labelled_images,
    labelled_roles,
    read_boxes,
    read_image,
)

MAX_DETECTIONS = 1000
_RECORD = dict[str, Any]


@dataclass(frozen=True)
class Detections:
    """The boxes found in one image.

    Attributes:
        xyxy: (n, 4) x1 y1 x2 y2 in pixels of the image.
        confidence: (n,) 0 to 1.
        role: (n,) strings of domain.tables.ROLES.

    Raises:
        TableError: a shape, a value or a role is not as promised.
    """

    xyxy: NDArray[Any]
    confidence: NDArray[Any]
    role: NDArray[Any]

    def __post_init__(self) -> None:
        shapes = (self.xyxy.shape, self.confidence.shape, self.role.shape)
        count = len(self.confidence) if self.confidence.ndim == 1 else -1
        if shapes != ((count, 4), (count,), (count,)):
            raise TableError(f"detections: expected shapes (n, 4), (n,), (n,), actual {shapes}")
        if not np.isfinite(self.xyxy).all() or (self.xyxy[:, 2:] < self.xyxy[:, :2]).any():
            raise TableError("detections: expected finite boxes with x1 <= x2 and y1 <= y2")
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise TableError("detections: expected confidence 0 to 1")
        unknown = sorted(set(self.role.tolist()) - set(ROLES))
        if unknown:
            raise TableError(f"detections: expected roles of {ROLES}, actual {unknown}")


Detect = Callable[[NDArray[np.uint8]], Detections]
"""Finds people and ball in an image (height, width, 3) BGR."""


def score_detection(
    images_dir: Path,
    labels_dir: Path,
    detect: Detect,
    *,
    class_names: Sequence[str] = CLASS_NAMES,
    matches: Sequence[str] = (),
    unstretch: bool = False,
) -> Scores:
    """Score `detect` on labelled images.

    Only the roles named in a `labelled.txt` beside either folder are scored, all four without one.
    Where players are labelled and goalkeepers are not, goalkeepers count among the players.

    Args:
        class_names: role of each class id in the label files.
        matches: only images whose name starts with one of these; all when empty.
        unstretch: images were squeezed from 16:9 and are brought back before detection.

    Returns:
        `images`, `boxes` {role: labelled boxes}, `ap50` and `ap50_95` {role: 0 to 1}; None for a
        role that is not scored or has no labelled box.

    Raises:
        InputError: a folder, an image or a label is missing or malformed.
    """
    _check_class_names(class_names)
    pairs = labelled_images(images_dir, labels_dir, matches)
    roles = labelled_roles(images_dir, labels_dir)
    truth, found = LabelledBoxes(roles), LabelledBoxes(roles)
    for number, pair in enumerate(pairs, start=1):
        image = read_image(pair.image, unstretch=unstretch)
        truth.add_truth(number, *true_boxes(pair, class_names, image.shape))
        found.add_found(number, detect(image))
    precision = average_precision(truth.records, found.records, len(pairs))
    counts = {
        role: sum(r["category_id"] == _CATEGORY[role] for r in truth.records) for role in ROLES
    }
    return {
        "images": len(pairs),
        "boxes": counts,
        "ap50": {role: values[0] for role, values in precision.items()},
        "ap50_95": {role: values[1] for role, values in precision.items()},
    }


def average_precision(
    truth: list[_RECORD], found: list[_RECORD], images: int
) -> dict[str, tuple[float | None, float | None]]:
    """AP50 and AP50:95 of each role from COCO annotation records of images 1 to `images`.

    A record has id (counted from 1), image_id, category_id, bbox (x y width height), area, iscrowd,
    and for a found box score.
    """
    evaluation = _evaluated(truth, found, images)
    with redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    # (overlap thresholds, recall levels, roles): -1 where a role has no labelled box
    curves = evaluation.eval["precision"][..., 0, 0]
    return {role: _summary(curves[:, :, index]) for index, role in enumerate(ROLES)}


def ap50_of_draws(
    truth: list[_RECORD], found: list[_RECORD], images: int
) -> Callable[[Sequence[int]], dict[str, float | None]]:
    """AP50 of each role on any draw of the images with replacement.

    Returns:
        From the indexes (counted from 0) of as many images as there are, some several times, to the
        AP50 of each role; None where they have no labelled box of it.
    """
    evaluation = _evaluated(truth, found, images, overlaps=[0.5])
    # boxes were paired image by image; a draw only lines up other images' pairs
    by_role = np.array(evaluation.evalImgs, dtype=object).reshape(len(ROLES), images)

    def of_draw(drawn: Sequence[int]) -> dict[str, float | None]:
        evaluation.evalImgs = by_role[:, list(drawn)].reshape(-1).tolist()
        with redirect_stdout(io.StringIO()):
            evaluation.accumulate()
        curves = evaluation.eval["precision"][:, :, :, 0, 0]
        return {role: _summary(curves[:, :, index])[0] for index, role in enumerate(ROLES)}

    return of_draw


def _evaluated(
    truth: list[_RECORD],
    found: list[_RECORD],
    images: int,
    overlaps: Sequence[float] | None = None,
) -> Any:
    """COCO's evaluation with the boxes of each image paired; all ten overlaps where none given."""
    # imported here: the command line answers without it
    from pycocotools.cocoeval import COCOeval

    # the library reports its progress on stdout, which is ours for JSON
    with redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_dataset(truth, images), _dataset(found, images), "bbox")
        evaluation.params.maxDets = [MAX_DETECTIONS]
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        if overlaps is not None:
            evaluation.params.iouThrs = np.array(overlaps)
        evaluation.evaluate()
    return evaluation


_CATEGORY = {role: number for number, role in enumerate(ROLES, start=1)}


@dataclass
class LabelledBoxes:
    """Boxes as COCO records, restricted to the roles that are labelled."""

    roles: tuple[str, ...]
    records: list[_RECORD] = field(default_factory=list)

    def add_truth(self, image: int, roles: list[str], xyxy: NDArray[np.float64]) -> None:
        for role, box in zip(roles, xyxy, strict=True):
            self._add(image, role, box, {})

    def add_found(self, image: int, found: Detections) -> None:
        for role, box, score in zip(found.role, found.xyxy, found.confidence, strict=True):
            self._add(image, str(role), box, {"score": float(score)})

    def _add(self, image: int, role: str, box: NDArray[Any], extra: _RECORD) -> None:
        if role == "goalkeeper" and role not in self.roles:
            role = "player"
        if role not in self.roles:
            return
        x1, y1, x2, y2 = (float(value) for value in box)
        record = {
            # the library takes id 0 for "unmatched"
            "id": len(self.records) + 1,
            "image_id": image,
            "category_id": _CATEGORY[role],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        self.records.append(record | extra)


def _check_class_names(class_names: Sequence[str]) -> None:
    unknown = sorted(set(class_names) - set(ROLES))
    if unknown or not class_names:
        raise InputError(f"class names: expected roles of {', '.join(ROLES)}, actual {unknown}")


def true_boxes(
    pair: LabelledImage, class_names: Sequence[str], shape: tuple[int, ...]
) -> tuple[list[str], NDArray[np.float64]]:
    """The labelled boxes of an image of `shape` (height, width, ...) in its pixels."""
    roles, fractions = read_boxes(pair.label, class_names)
    return roles, fractions * [shape[1], shape[0], shape[1], shape[0]]


def _dataset(records: list[_RECORD], images: int) -> Any:
    from pycocotools.coco import COCO

    dataset = COCO()
    dataset.dataset = {
        "images": [{"id": number} for number in range(1, images + 1)],
        "categories": [{"id": number, "name": role} for role, number in _CATEGORY.items()],
        "annotations": records,
    }
    dataset.createIndex()
    return dataset


def _summary(curves: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """AP50 and AP50:95 from precision (overlap thresholds from 0.5 on, recall levels)."""
    if (curves < 0).any():
        return None, None
    return float(curves[0].mean()), float(curves.mean())
