"""From a YOLOv8 head's raw answer to boxes: who is where, in which role.

The head (Jocher, Chaurasia and Qiu, Ultralytics, 2023) gives for each of its anchors the centre and
size of a box in input pixels and a score from 0 to 1 for each class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import InputError
from domain.tables import ROLES

F32 = NDArray[np.float32]
BALL = ROLES.index("ball")
MOST_CANDIDATES = 1000
MOST_PEOPLE = 100
MOST_BALLS = 20
BALL_OVERLAP = 0.1

_ROLE_OF_NAME = {
    "player": "player",
    "person": "player",
    "outfield player": "player",
    "goalkeeper": "goalkeeper",
    "goal keeper": "goalkeeper",
    "keeper": "goalkeeper",
    "referee": "referee",
    "ball": "ball",
    "sports ball": "ball",
    "football": "ball",
    "soccer ball": "ball",
}
_COCO_CLASSES, _COCO_PERSON, _COCO_BALL = 80, 0, 32


@dataclass(frozen=True)
class RoleMap:
    """Which of a network's classes (`classes`, by index) stand for which role (`roles`, by index).

    `count` is how many classes the network has.
    """

    count: int
    classes: tuple[int, ...]
    roles: tuple[int, ...]

    @classmethod
    def of(cls, names: Sequence[str], count: int) -> "RoleMap":
        """From the class names, or, where the file has none, from their count.

        Without names 4 classes are taken in the order of `domain.tables.ROLES` and 80 as COCO's.

        Raises:
            InputError: no class can be a player.
        """
        named = len(names) == count and not all(name.isdigit() for name in names)
        pairs = _by_name(names) if named else _by_count(count)
        if not any(ROLES[role] == "player" for _, role in pairs):
            classes = ", ".join(names[:8]) if named else f"{count} unnamed classes"
            raise InputError(
                f"model_name: no class of this network is a player ({classes}); expected classes "
                f"named {', '.join(ROLES)}, or COCO's 80"
            )
        return cls(count, tuple(index for index, _ in pairs), tuple(role for _, role in pairs))


def _by_name(names: Sequence[str]) -> list[tuple[int, int]]:
    keys = [name.strip().lower().replace("-", " ").replace("_", " ") for name in names]
    return [
        (index, ROLES.index(_ROLE_OF_NAME[key]))
        for index, key in enumerate(keys)
        if key in _ROLE_OF_NAME
    ]


def _by_count(count: int) -> list[tuple[int, int]]:
    if count == _COCO_CLASSES:
        return [(_COCO_PERSON, ROLES.index("player")), (_COCO_BALL, BALL)]
    return [(index, index) for index in range(len(ROLES))] if count == len(ROLES) else []


@dataclass(frozen=True)
class Thresholds:
    """Least confidence of people and of the ball, and the overlap above which two boxes are one."""

    person: float
    ball: float
    overlap: float


@dataclass(frozen=True)
class Boxes:
    """Boxes of one image: `xyxy` (n, 4), `confidence` (n,), `role` (n,) as index into ROLES."""

    xyxy: F32
    confidence: F32
    role: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.confidence)

    def __getitem__(self, rows: NDArray[Any]) -> "Boxes":
        return Boxes(self.xyxy[rows], self.confidence[rows], self.role[rows])

    def with_others(self, others: "Boxes") -> "Boxes":
        """Both together, best first."""
        return _best_first(self, others)


def class_count(outputs: Sequence[F32]) -> int:
    """How many classes a raw head has.

    Raises:
        InputError: the outputs are not those of a raw YOLOv8 detection head.
    """
    shape = outputs[0].shape
    if len(outputs) != 1 or len(shape) != 3 or shape[0] != 1 or not 4 < shape[1] < shape[2]:
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise InputError(
            f"model_name: expected a raw YOLOv8 detection head, one output "
            f"(1, 4 + classes, anchors), actual {shapes}; export it without nms"
        )
    return int(shape[1]) - 4


def decode(output: F32, roles: RoleMap, thresholds: Thresholds) -> Boxes:
    """The boxes of one image in input pixels, best first.

    Args:
        output: the raw head, (1, 4 + classes, anchors).

    An anchor speaks for the role that it scores highest. People suppress each other whatever their
    roles, so that one person is one box; balls only balls.
    """
    scores = _role_scores(output[0, 4:], roles)
    people = _candidates(output[0], scores[:BALL], 0, thresholds.person)
    balls = _candidates(output[0], scores[BALL:], BALL, thresholds.ball)
    return _best_first(
        _suppress(people, thresholds.overlap, MOST_PEOPLE),
        _suppress(balls, min(thresholds.overlap, BALL_OVERLAP), MOST_BALLS),
    )


def only_balls(xyxy: F32, confidence: F32) -> Boxes:
    """Balls from boxes (n, 4) that may be of the same ones, best first."""
    order = np.argsort(-confidence, kind="stable")
    role = np.full(len(order), BALL, np.int64)
    return _suppress(Boxes(xyxy[order], confidence[order], role), BALL_OVERLAP, MOST_BALLS)


def _role_scores(classes: F32, roles: RoleMap) -> F32:
    """Scores (roles, anchors): the best of the classes that stand for each role, else 0."""
    scores = np.zeros((len(ROLES), classes.shape[1]), np.float32)
    for index, role in zip(roles.classes, roles.roles, strict=True):
        np.maximum(scores[role], classes[index], out=scores[role])
    return scores


def _candidates(output: F32, scores: F32, first_role: int, least: float) -> Boxes:
    """The anchors that score at least `least` in one of the roles from `first_role` on.

    `scores` is (roles, anchors). Best first; equal scores in the order of anchors.
    """
    best = scores.max(axis=0)
    chosen = np.flatnonzero(best >= np.float32(least))
    chosen = chosen[np.argsort(-best[chosen], kind="stable")][:MOST_CANDIDATES]
    centre, half = output[:2, chosen].T, output[2:4, chosen].T / 2
    xyxy = np.concatenate([centre - half, centre + half], axis=1)
    return Boxes(xyxy, best[chosen], scores[:, chosen].argmax(axis=0) + first_role)


def _suppress(boxes: Boxes, overlap: float, most: int) -> Boxes:
    """Greedy non-maximum suppression of boxes that are sorted best first; at most `most` stay."""
    close = intersection_over_union(boxes.xyxy, boxes.xyxy) > overlap
    alive = np.ones(len(boxes), bool)
    for row in range(len(boxes)):
        if alive[row]:
            alive[row + 1 :] &= ~close[row, row + 1 :]
    return boxes[np.flatnonzero(alive)[:most]]


def intersection_over_union(first: F32, second: F32) -> F32:
    """Overlap (n, m) of boxes (n, 4) and (m, 4) as x1 y1 x2 y2, from 0 to 1."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    inner = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    return np.asarray(
        inner / np.maximum(areas[0][:, None] + areas[1][None, :] - inner, 1e-9), np.float32
    )


def inside(boxes: Boxes, height: int, width: int) -> Boxes:
    """The boxes cut at the picture's edges, without those of which nothing is left."""
    limits = np.array([width, height, width, height], np.float32)
    xyxy = np.clip(boxes.xyxy, 0, limits)
    clipped = Boxes(xyxy, boxes.confidence, boxes.role)
    return clipped[np.all(xyxy[:, 2:] > xyxy[:, :2], axis=1)]


def _best_first(*parts: Boxes) -> Boxes:
    joined = Boxes(
        np.concatenate([part.xyxy for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.role for part in parts]),
    )
    return joined[np.argsort(-joined.confidence, kind="stable")]
