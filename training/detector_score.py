"""Average precision of a detector on labelled frames: model selection during training."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import batched_nms, box_iou

from training.detector_data import BALL, ROLES, LabelledFrame
from training.disturbance import Image

INPUT_HEIGHT, INPUT_WIDTH = 736, 1280


@dataclass(frozen=True)
class Letterbox:
    """How a frame was fitted into the network's input: pixel = source * scale + (left, top)."""

    scale: float
    left: float
    top: float


def letterbox(
    image: Image, height: int = INPUT_HEIGHT, width: int = INPUT_WIDTH
) -> tuple[torch.Tensor, Letterbox]:
    """Fit a BGR frame into (1, 3, height, width) RGB in 0..1, centred on grey (114)."""
    source_height, source_width = image.shape[:2]
    scale = min(height / source_height, width / source_width)
    inner = (round(source_width * scale), round(source_height * scale))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = np.full((height, width, 3), 114, np.uint8)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        image, inner, interpolation=way
    )
    pixels = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1))
    return torch.from_numpy(pixels).float()[None] / 255, Letterbox(scale, left, top)


def select(
    output: torch.Tensor, confidence: float = 0.001, iou: float = 0.6, most: int = 300
) -> torch.Tensor:
    """Boxes from a raw output (4 + roles, anchors): rows (n, 6) x1 y1 x2 y2 score role.

    One role an anchor; the three roles of people suppress each other, the ball stands alone.
    """
    scores, roles = output[4:].max(0)
    keep = scores > confidence
    centre, half = output[:2, keep].T, output[2:4, keep].T / 2
    boxes = torch.cat([centre - half, centre + half], dim=1)
    scores, roles = scores[keep], roles[keep]
    chosen = batched_nms(boxes, scores, (roles == BALL).long(), iou)[:most]
    return torch.cat([boxes, scores[:, None], roles[:, None].float()], dim=1)[chosen]


def average_precision(
    scores: npt.NDArray[np.float64], hits: npt.NDArray[np.bool_], truths: int
) -> float:
    """Area under the interpolated precision-recall curve, 101 points (Lin et al., COCO, 2014)."""
    if truths == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order])
    recall = found / truths
    precision = found / np.arange(1, len(found) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, np.linspace(0, 1, 101))
    return float(np.append(envelope, 0.0)[np.minimum(places, len(found))].mean())


def _hits(found: torch.Tensor, truth: torch.Tensor, iou: float) -> npt.NDArray[np.bool_]:
    """Which boxes found (best score first) meet a true box that no better one has taken."""
    hits = np.zeros(len(found), bool)
    if len(found) == 0 or len(truth) == 0:
        return hits
    overlap = box_iou(found[:, :4], truth).numpy()
    for row in range(len(found)):
        best = int(overlap[row].argmax())
        if overlap[row, best] >= iou:
            hits[row] = True
            overlap[:, best] = -1
    return hits


def find(
    model: torch.nn.Module, frame: LabelledFrame, width: int = INPUT_WIDTH
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows found (n, 6) as of `select`, and true boxes (m, 4), both in input pixels."""
    height = -(-(width * 9 // 16) // 32) * 32
    image, box = letterbox(frame.image, height, width)
    with torch.no_grad():
        output = model(image.contiguous(memory_format=torch.channels_last))
    rows = select((output[0] if isinstance(output, tuple) else output)[0].float())
    size = torch.tensor([frame.image.shape[1], frame.image.shape[0]] * 2)
    truth = torch.from_numpy(frame.boxes) * size * box.scale
    return rows, truth + torch.tensor([box.left, box.top] * 2)


def score(
    model: torch.nn.Module, frames: list[LabelledFrame], iou: float = 0.5, width: int = INPUT_WIDTH
) -> dict[str, float]:
    """AP at `iou` per role over whole frames, letterboxed to `width` (a multiple of 32)."""
    pairs = [(*find(model, frame, width), torch.from_numpy(frame.roles)) for frame in frames]
    figures = {}
    for role, name in enumerate(ROLES):
        mine = [rows[rows[:, 5] == role] for rows, _, _ in pairs]
        wanted = [truth[roles == role] for _, truth, roles in pairs]
        hits = [_hits(rows, boxes, iou) for rows, boxes in zip(mine, wanted, strict=True)]
        scores = torch.cat(mine)[:, 4].double().numpy()
        truths = sum(len(boxes) for boxes in wanted)
        figures[name] = average_precision(scores, np.concatenate(hits), truths)
    return figures
