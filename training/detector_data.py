"""Training crops for the detector: labelled frames, cut and disturbed at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from domain.errors import InputError
from training.disturbance import Image, change_kits, change_shirts, degrade
from training.loop import Batch, match_of, read_picture, read_rows, refuse_held_out

ROLES = ("player", "goalkeeper", "referee", "ball")
BALL = ROLES.index("ball")
ROLE_OF_LABEL = np.array([3, 1, 0, 2])
"""Role for each class number of the label files (0 ball, 1 goalkeeper, 2 player, 3 referee)."""
CENTRE_WEIGHT = {0: 0.22, 1: 0.22, 2: 0.18, 3: 0.38}
"""How often a crop is centred on an object of each role, where the frame has one."""

Boxes = npt.NDArray[np.float32]
Roles = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelledFrame:
    """One frame: a 16:9 BGR picture, boxes (n, 4) xyxy as fractions, roles (n,).

    `known` names the roles that are labelled wherever they are; of others nothing is to be learnt.
    """

    match: str
    image: Image
    boxes: Boxes
    roles: Roles
    known: tuple[str, ...] = ROLES

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"expected an image (height, width, 3), got {self.image.shape}")
        if self.boxes.shape != (len(self.roles), 4):
            raise ValueError(f"expected boxes ({len(self.roles)}, 4), got {self.boxes.shape}")


def read_labels(path: Path) -> tuple[Boxes, Roles]:
    """Read YOLO lines `class x y w h` as xyxy fractions (n, 4) and our role numbers (n,).

    Raises:
        InputError: no such file, or its lines are others.
    """
    rows = read_rows(path, 5)
    if not np.isin(rows[:, 0], np.arange(len(ROLE_OF_LABEL))).all():
        raise InputError(f"{path}: expected classes 0 ball, 1 goalkeeper, 2 player, 3 referee")
    centre, half = rows[:, 1:3], rows[:, 3:5] / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    return boxes, ROLE_OF_LABEL[rows[:, 0].astype(int)]


def load_frame(
    image: Path, known: tuple[str, ...] = ROLES, labels: Path | None = None
) -> LabelledFrame:
    """Load one frame and its labels; a square (stretched) picture is brought back to 16:9.

    `labels` is their folder where it is not the one beside the images'.
    """
    pixels = read_picture(image)
    if pixels.shape[0] == pixels.shape[1]:
        pixels = cv2.resize(pixels, (1280, 720), interpolation=cv2.INTER_CUBIC)
    folder = labels or image.parent.parent / "labels"
    boxes, roles = read_labels(folder / f"{image.stem}.txt")
    return LabelledFrame(match_of(image), np.asarray(pixels, np.uint8), boxes, roles, known)


def load_training_frames(
    images: Sequence[Path], known: tuple[str, ...] = ROLES
) -> list[LabelledFrame]:
    """Load frames for training; raises `HeldOutMatchError` for a held-out match."""
    return [load_frame(image, known) for image in refuse_held_out(images)]


@dataclass(frozen=True)
class CropOptions:
    """What a training crop may look like. Scale is relative to a frame 1280 pixels wide."""

    height: int = 512
    width: int = 800
    smallest_scale: float = 0.5
    largest_scale: float = 2.2
    least_visible: float = 0.4
    stretched_share: float = 0.12
    most_stretch: float = 1.8
    """How much taller than wide a stretched picture's pixels are: 16:9 made square, 1.78."""


def draw_crop(
    frame: LabelledFrame, options: CropOptions, rng: np.random.Generator
) -> tuple[Image, Boxes, Roles]:
    """Cut one crop around a random object; boxes come back in crop pixels, xyxy."""
    height, width = frame.image.shape[:2]
    factor = _factor(options, rng) * 1280 / width
    size = np.array([options.width, options.height]) / factor
    corner = _corner(_centre(frame, rng) * [width, height], size, np.array([width, height]), rng)
    smooth = rng.random() < 0.5
    image = cut(frame.image, corner, size, (options.width, options.height), smooth)
    pixels = frame.boxes * np.array([width, height, width, height], np.float32)
    boxes = ((pixels - np.tile(corner, 2)) * np.tile(factor, 2)).astype(np.float32)
    if rng.random() < 0.45:
        image = change_shirts(image, boxes, frame.roles, rng)
    boxes, keep = _clip(boxes, options)
    return _disturb(image, boxes[keep], frame.roles[keep], rng)


def _factor(options: CropOptions, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Scale across and down (2,) relative to a frame 1280 wide; most pictures keep their aspect."""
    low, high = np.log(options.smallest_scale), np.log(options.largest_scale)
    scale = float(np.exp(rng.uniform(low, high)))
    if rng.random() >= options.stretched_share:
        return np.array([scale, scale])
    stretch = float(np.exp(rng.uniform(-0.25, np.log(options.most_stretch))))
    return np.array([scale / np.sqrt(stretch), scale * np.sqrt(stretch)])


def _centre(frame: LabelledFrame, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A random object's centre as fractions, rare roles more often; anywhere without objects."""
    if len(frame.roles) == 0:
        return rng.uniform(size=2)
    present = np.unique(frame.roles)
    weights = np.array([CENTRE_WEIGHT[int(role)] for role in present])
    role = rng.choice(present, p=weights / weights.sum())
    box = frame.boxes[rng.choice(np.flatnonzero(frame.roles == role))]
    return np.asarray((box[:2] + box[2:]) / 2, dtype=np.float64)


def _corner(
    centre: npt.NDArray[np.float64],
    size: npt.NDArray[np.float64],
    frame: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Top left of a crop around `centre`, moved at random and kept mostly within the frame."""
    corner = centre - size / 2 + rng.uniform(-0.42, 0.42, size=2) * size
    slack = 0.08 * size
    low, high = -slack, frame - size + slack
    middle = (frame - size) / 2
    return np.where(low < high, np.clip(corner, np.minimum(low, high), high), middle)


def cut(
    image: Image,
    corner: npt.NDArray[np.float64],
    size: npt.NDArray[np.float64],
    out: tuple[int, int],
    smooth: bool = True,
) -> Image:
    """Resample the rectangle at `corner` (x, y) to `out` (width, height); grey outside.

    A plain warp aliases when it shrinks. `smooth` shrinks by area first; half of the crops go
    without, because fast pipelines fit their frames bilinearly too.
    """
    scale = np.array(out) / size
    if smooth and scale.min() < 0.75:
        shrink = float(scale.min())
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        corner, scale = corner * shrink, scale / shrink
    matrix = np.array([[scale[0], 0, -corner[0] * scale[0]], [0, scale[1], -corner[1] * scale[1]]])
    grey = (114, 114, 114)
    crop = cv2.warpAffine(image, matrix, out, flags=cv2.INTER_LINEAR, borderValue=grey)
    return np.asarray(crop, np.uint8)


def _clip(boxes: Boxes, options: CropOptions) -> tuple[Boxes, npt.NDArray[np.bool_]]:
    """Clip boxes to the crop; keep those of which enough is still in view."""
    limit = np.array([options.width, options.height] * 2, np.float32)
    clipped = np.clip(boxes, 0, limit).astype(np.float32)
    return clipped, area(clipped) > options.least_visible * area(boxes)


def area(boxes: Boxes) -> npt.NDArray[np.float32]:
    """Areas (n,) of xyxy boxes (n, 4)."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float32)


def _disturb(
    image: Image, boxes: Boxes, roles: Roles, rng: np.random.Generator
) -> tuple[Image, Boxes, Roles]:
    """Mirror half of the crops and degrade the pixels as cameras and codecs do."""
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        boxes = image.shape[1] * np.array([1, 0, 1, 0], np.float32) + boxes[:, [2, 1, 0, 3]] * (
            np.array([-1, 1, -1, 1], np.float32)
        )
    if rng.random() < 0.35:
        image = change_kits(image, rng)
    return degrade(image, rng), boxes, roles


@dataclass(frozen=True)
class Pool:
    """Frames of one kind, in memory or as files that are read when they are drawn; and a share."""

    share: float
    frames: Sequence[LabelledFrame | Path]

    def pick(self, rng: np.random.Generator) -> LabelledFrame:
        """One frame at random."""
        chosen = self.frames[int(rng.integers(len(self.frames)))]
        return load_frame(chosen) if isinstance(chosen, Path) else chosen


@dataclass(frozen=True)
class CropSource:
    """Draws batches of crops from pools of frames, by their shares."""

    pools: Sequence[Pool]
    batch: int
    options: CropOptions = CropOptions()

    def draw(self, rng: np.random.Generator) -> Batch:
        """One batch: boxes as YOLO fractions, and which roles (n, 4) each crop teaches."""
        images, rows, known = [], [], []
        filled = [pool for pool in self.pools if pool.frames]
        if not filled:
            raise InputError(
                "train: no labelled frame: players/images and players/labels in --data"
            )
        shares = np.array([pool.share for pool in filled])
        for index in range(self.batch):
            frame = filled[int(rng.choice(len(filled), p=shares / shares.sum()))].pick(rng)
            image, boxes, roles = draw_crop(frame, self.options, rng)
            images.append(image[:, :, ::-1].transpose(2, 0, 1))
            rows.append(self._rows(index, boxes, roles))
            known.append([role in frame.known for role in ROLES])
        pictures = torch.from_numpy(np.stack(images)).float() / 255
        table = torch.from_numpy(np.concatenate(rows)).float()
        targets = {"batch_idx": table[:, 0], "cls": table[:, 1], "bboxes": table[:, 2:]}
        return Batch(pictures, {**targets, "known": torch.tensor(known)})

    def _rows(self, index: int, boxes: Boxes, roles: Roles) -> npt.NDArray[np.float32]:
        """Rows (n, 6): picture number, role, centre x, centre y, width, height as fractions."""
        size = np.array([self.options.width, self.options.height] * 2, np.float32)
        centre, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        where = np.full((len(roles), 1), index, np.float32)
        fractions = np.concatenate([centre, extent], axis=1) / size
        return np.concatenate([where, roles[:, None].astype(np.float32), fractions], axis=1)
