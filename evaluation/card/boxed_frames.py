"""Images with labelled boxes, and what the detector says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from domain.tables import ROLES
from evaluation.card.answers import Image
from evaluation.card.intervals import Bounds, interval
from evaluation.card.measures import Measure
from evaluation.detection import (
    Detect,
    Detections,
    LabelledBoxes,
    ap50_of_draws,
    score_detection,
    true_boxes,
)
from evaluation.scores import Scores
from evaluation.tracking import box_overlap
from evaluation.yolo_labels import (
    CLASS_NAMES,
    LabelledImage,
    labelled_images,
    labelled_roles,
    read_image,
)

_ROUNDS = 250

SHOWN_CONFIDENCE = 0.25
"""Boxes below it are not drawn, and do not count when the worst frames are chosen."""


@dataclass(frozen=True)
class ImageSet:
    """A folder of images with labels; `only` keeps those whose names begin so."""

    images: Path
    labels: Path
    only: tuple[str, ...] = ()
    unstretch: bool = False

    def pairs(self) -> list[LabelledImage]:
        return labelled_images(self.images, self.labels, self.only)

    def read(self, pair: LabelledImage) -> Image:
        return read_image(pair.image, unstretch=self.unstretch)

    def every(self, step: int) -> "ImageSet":
        """Each `step`-th image by name."""
        names = tuple(pair.image.name for pair in self.pairs()[::step])
        return ImageSet(self.images, self.labels, names, self.unstretch)


@dataclass(frozen=True)
class BoxedFrame:
    """One image's labelled boxes (n, 4) in pixels with their roles, and the detector's."""

    pair: LabelledImage
    roles: list[str]
    xyxy: NDArray[np.float64]
    found: Detections


def boxed_frames(images: ImageSet, detect: Detect) -> list[BoxedFrame]:
    """Every image of the set, detected."""
    frames = []
    for pair in images.pairs():
        image = images.read(pair)
        roles, xyxy = true_boxes(pair, CLASS_NAMES, image.shape)
        frames.append(BoxedFrame(pair, roles, xyxy, detect(image)))
    return frames


def detection_scores(images: ImageSet, detect: Detect) -> Scores:
    return score_detection(
        images.images, images.labels, detect, matches=images.only, unstretch=images.unstretch
    )


def detection_measures(
    prefix: str, of: str, scores: Scores, intervals: dict[str, Bounds | None]
) -> list[Measure]:
    """AP50 and AP50:95 of each role that is labelled.

    Args:
        prefix: section and set, as in `real_frames`; `of`: how a reader knows the set.
    """
    measures = []
    for role in (role for role in ROLES if scores["ap50"][role] is not None):
        boxes = scores["boxes"][role]
        measures += [
            Measure(
                f"{prefix}.ap50.{role}", f"AP50 {role}, {of}", scores["ap50"][role], boxes,
                "labelled boxes", interval=intervals.get(role),
            ),
            Measure(
                f"{prefix}.ap50_95.{role}", f"AP50:95 {role}, {of}", scores["ap50_95"][role],
                boxes, "labelled boxes",
            ),
        ]  # fmt: skip
    return measures


def ap50_intervals(images: ImageSet, frames: Sequence[BoxedFrame]) -> dict[str, Bounds | None]:
    """The 95 % interval of AP50 over the images, by role; None for fewer than five images."""
    roles = labelled_roles(images.images, images.labels)
    truth, found = LabelledBoxes(roles), LabelledBoxes(roles)
    for number, frame in enumerate(frames, start=1):
        truth.add_truth(number, frame.roles, frame.xyxy)
        found.add_found(number, frame.found)
    # every role is drawn alike, so one evaluation of a draw serves them all
    of_draw = cache(ap50_of_draws(truth.records, found.records, len(frames)))
    numbers = range(len(frames))

    def of_role(role: str) -> Bounds | None:
        return interval(numbers, lambda drawn: of_draw(tuple(drawn))[role], _ROUNDS)

    return {role: of_role(role) for role in roles}


@dataclass(frozen=True)
class Mistakes:
    """Indexes of a frame's labelled boxes that nothing fits and of found ones that fit nothing."""

    missed: NDArray[np.int64]
    false: NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.missed) + len(self.false)


def mistakes(frame: BoxedFrame, roles: Sequence[str]) -> Mistakes:
    """Missed and false boxes: a fit overlaps by half at least and has the same role.

    Where players are labelled and goalkeepers are not, they are players. Roles that are not
    labelled are left out.
    """
    true = np.array([_as_labelled(role, roles) for role in frame.roles], dtype=object)
    sure = np.flatnonzero(frame.found.confidence >= SHOWN_CONFIDENCE)
    said = np.array([_as_labelled(str(r), roles) for r in frame.found.role[sure]], dtype=object)
    wanted, given = np.flatnonzero(np.isin(true, roles)), np.flatnonzero(np.isin(said, roles))
    overlap = box_overlap(frame.xyxy[wanted], frame.found.xyxy[sure[given]].astype(np.float64))
    overlap[(overlap < 0.5) | (true[wanted][:, None] != said[given][None])] = 0
    i, j = linear_sum_assignment(overlap, maximize=True)
    hit = overlap[i, j] > 0
    return Mistakes(np.delete(wanted, i[hit]), np.delete(sure[given], j[hit]))


def _as_labelled(role: str, roles: Sequence[str]) -> str:
    return "player" if role == "goalkeeper" and role not in roles else role
