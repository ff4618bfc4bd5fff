"""Training crops for the detector: labelled frames, cut and disturbed at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from training.loop import Batch, match_of, refuse_held_out

ROLES = ("player", "goalkeeper", "referee", "ball")
BALL = ROLES.index("ball")
ROLE_OF_LABEL = np.array([3, 1, 0, 2])
"""Role for each class number of the label files (0 ball, 1 goalkeeper, 2 player, 3 referee)."""
CENTRE_WEIGHT = {0: 0.22, 1: 0.22, 2: 0.18, 3: 0.38}
"""How often a crop is centred on an object of each role, where the frame has one."""

GRASS_HUES = (32, 90)
"""Hues of grass as OpenCV counts them, in steps of 2 degrees."""

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]
Roles = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelledFrame:
    """One frame: a 16:9 BGR picture, boxes (n, 4) xyxy as fractions, roles (n,)."""

    match: str
    image: Image
    boxes: Boxes
    roles: Roles
    only_ball: bool = False

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"expected an image (height, width, 3), got {self.image.shape}")
        if self.boxes.shape != (len(self.roles), 4):
            raise ValueError(f"expected boxes ({len(self.roles)}, 4), got {self.boxes.shape}")


def read_labels(path: Path) -> tuple[Boxes, Roles]:
    """Read YOLO lines `class x y w h` as xyxy fractions (n, 4) and our role numbers (n,)."""
    rows = np.loadtxt(path, ndmin=2).reshape(-1, 5) if path.stat().st_size else np.zeros((0, 5))
    centre, half = rows[:, 1:3], rows[:, 3:5] / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    return boxes, ROLE_OF_LABEL[rows[:, 0].astype(int)]


def load_frame(image: Path, only_ball: bool = False) -> LabelledFrame:
    """Load one frame and its labels; a square (stretched) picture is brought back to 16:9."""
    pixels = cv2.imread(str(image))
    if pixels is None:
        raise ValueError(f"{image} is not a picture that can be read")
    if pixels.shape[0] == pixels.shape[1]:
        pixels = cv2.resize(pixels, (1280, 720), interpolation=cv2.INTER_CUBIC)
    boxes, roles = read_labels(image.parent.parent / "labels" / f"{image.stem}.txt")
    return LabelledFrame(match_of(image), pixels.astype(np.uint8), boxes, roles, only_ball)


def load_training_frames(images: Sequence[Path], only_ball: bool = False) -> list[LabelledFrame]:
    """Load frames for training; raises `HeldOutMatchError` for a held-out match."""
    return [load_frame(image, only_ball) for image in refuse_held_out(images)]


@dataclass(frozen=True)
class CropOptions:
    """What a training crop may look like. Scale is relative to a frame 1280 pixels wide."""

    height: int = 512
    width: int = 800
    smallest_scale: float = 0.6
    largest_scale: float = 1.6
    least_visible: float = 0.4


def draw_crop(
    frame: LabelledFrame, options: CropOptions, rng: np.random.Generator
) -> tuple[Image, Boxes, Roles]:
    """Cut one crop around a random object; boxes come back in crop pixels, xyxy."""
    low, high = np.log(options.smallest_scale), np.log(options.largest_scale)
    height, width = frame.image.shape[:2]
    factor = float(np.exp(rng.uniform(low, high))) * 1280 / width
    size = np.array([options.width, options.height]) / factor
    corner = _corner(_centre(frame, rng) * [width, height], size, np.array([width, height]), rng)
    smooth = rng.random() < 0.5
    image = cut(frame.image, corner, size, (options.width, options.height), smooth)
    pixels = frame.boxes * np.array([width, height, width, height], np.float32)
    boxes = (pixels - np.tile(corner, 2)) * factor
    boxes, keep = _clip(boxes.astype(np.float32), options)
    return _disturb(image, boxes[keep], frame.roles[keep], rng)


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
    if rng.random() < 0.5:
        image = change_kits(image, rng)
    return degrade(image, rng), boxes, roles


def change_kits(image: Image, rng: np.random.Generator) -> Image:
    """Turn every hue but those of grass by one random angle: other shirts on the same pitch.

    A few matches show a few keepers and referees; without this their shirts are learnt by heart.
    """
    ring = np.r_[GRASS_HUES[1] : 180, 0 : GRASS_HUES[0]]
    table = np.arange(180)
    table[ring] = np.roll(ring, int(rng.integers(len(ring))))
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = table.astype(np.uint8)[hsv[..., 0]]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Random colour, low resolution, blur and JPEG compression of a BGR picture."""
    if rng.random() < 0.9:
        image = _recolour(image, rng)
    if rng.random() < 0.2:
        image = _coarsen(image, rng)
    if rng.random() < 0.12:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.4)).astype(np.uint8)
    if rng.random() < 0.08:
        image = _motion_blur(image, rng)
    if rng.random() < 0.35:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 92))]
        coded = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image


def _recolour(image: Image, rng: np.random.Generator) -> Image:
    """Jitter hue, saturation and value, each by one random factor a picture."""
    gain = 1 + rng.uniform(-1, 1, 3) * [0.02, 0.5, 0.4]
    levels = np.arange(256)
    tables = [
        (levels + 180 * (gain[0] - 1)) % 180,
        np.clip(levels * gain[1], 0, 255),
        np.clip(levels * gain[2], 0, 255),
    ]
    channels = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    changed = [cv2.LUT(c, t.astype(np.uint8)) for c, t in zip(channels, tables, strict=True)]
    return np.asarray(cv2.cvtColor(cv2.merge(changed), cv2.COLOR_HSV2BGR), np.uint8)


def _coarsen(image: Image, rng: np.random.Generator) -> Image:
    """Shrink and enlarge again: footage whose own resolution is lower than the picture's."""
    height, width = image.shape[:2]
    factor = rng.uniform(0.4, 0.85)
    small = cv2.resize(
        image, (int(width * factor), int(height * factor)), interpolation=cv2.INTER_AREA
    )
    way = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(small, (width, height), interpolation=way), np.uint8)


def _motion_blur(image: Image, rng: np.random.Generator) -> Image:
    """Blur along one random direction, as a panning camera does."""
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1.0)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    blurred = cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6))
    return np.asarray(blurred, np.uint8)


@dataclass(frozen=True)
class CropSource:
    """Draws batches of crops from frames; `ball_share` of them from frames with a ball only."""

    frames: list[LabelledFrame]
    ball_frames: list[LabelledFrame]
    batch: int
    ball_share: float
    options: CropOptions = CropOptions()

    def draw(self, rng: np.random.Generator) -> Batch:
        """One batch: boxes as YOLO fractions, and a flag for crops labelled for the ball alone."""
        images, rows, flags = [], [], []
        for index in range(self.batch):
            pool = self.frames
            if self.ball_frames and rng.random() < self.ball_share:
                pool = self.ball_frames
            frame = pool[int(rng.integers(len(pool)))]
            image, boxes, roles = draw_crop(frame, self.options, rng)
            images.append(image[:, :, ::-1].transpose(2, 0, 1))
            rows.append(self._rows(index, boxes, roles))
            flags.append(frame.only_ball)
        pictures = torch.from_numpy(np.stack(images)).float() / 255
        table = torch.from_numpy(np.concatenate(rows)).float()
        targets = {"batch_idx": table[:, 0], "cls": table[:, 1], "bboxes": table[:, 2:]}
        return Batch(pictures, {**targets, "only_ball": torch.tensor(flags)})

    def _rows(self, index: int, boxes: Boxes, roles: Roles) -> npt.NDArray[np.float32]:
        """Rows (n, 6): picture number, role, centre x, centre y, width, height as fractions."""
        size = np.array([self.options.width, self.options.height] * 2, np.float32)
        centre, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        where = np.full((len(roles), 1), index, np.float32)
        fractions = np.concatenate([centre, extent], axis=1) / size
        return np.concatenate([where, roles[:, None].astype(np.float32), fractions], axis=1)
