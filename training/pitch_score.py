"""How well predicted points place the camera: homography error in metres over the visible pitch."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from training.pitch_data import (
    FRAME_SIZE,
    POINTS,
    Floats,
    PitchFrame,
    letterbox,
    letterbox_matrix,
)
from training.pitch_network import ExportedPitchNetwork, PitchNetwork


@dataclass(frozen=True)
class PitchScore:
    """Errors in metres over frames whose labels fix a homography; `answered` is a share of them."""

    frames: int
    answered: float
    median_error_m: float
    p95_error_m: float

    def __str__(self) -> str:
        return (
            f"frames {self.frames} answered {self.answered:.3f} "
            f"median {self.median_error_m:.3f} m p95 {self.p95_error_m:.3f} m"
        )


def solve(points: Floats, confidence: float = 0.5, reach_px: float = 4.0) -> Floats | None:
    """Input pixels to metres (3, 3) from decoded points (32, 3), or None when too few agree."""
    sure = points[:, 2] >= confidence
    if sure.sum() < 4:
        return None
    found, inliers = cv2.findHomography(POINTS[sure], points[sure, :2], cv2.RANSAC, reach_px)
    if found is None or inliers.sum() < 4 or abs(np.linalg.det(found)) < 1e-12:
        return None
    return np.linalg.inv(found)


def visible_pitch(frame: PitchFrame, step_px: int = 40) -> Floats:
    """Frame pixels (n, 2) on a grid at which the true homography shows the pitch."""
    assert frame.to_pixel is not None
    width, height = FRAME_SIZE
    x, y = np.meshgrid(np.arange(20, width, step_px), np.arange(20, height, step_px))
    pixels = np.column_stack([x.ravel(), y.ravel()]).astype(np.float64)
    metres = cv2.perspectiveTransform(pixels[None], np.linalg.inv(frame.to_pixel))[0]
    inside = (np.abs(metres) <= [52.5, 34.0]).all(1)
    return np.asarray(pixels[inside])


def frame_errors(frame: PitchFrame, to_metre: Floats) -> Floats:
    """Distances (n,) in metres between true and found place of the visible pitch's pixels."""
    assert frame.to_pixel is not None
    pixels = visible_pitch(frame)[None]
    truth = cv2.perspectiveTransform(pixels, np.linalg.inv(frame.to_pixel))[0]
    found = cv2.perspectiveTransform(pixels, to_metre @ letterbox_matrix())[0]
    return np.asarray(np.linalg.norm(truth - found, axis=1))


def score(network: PitchNetwork, frames: list[PitchFrame], confidence: float = 0.5) -> PitchScore:
    """Median and 95th percentile over frames of each frame's mean error."""
    shipped = ExportedPitchNetwork(network).eval()
    errors, asked = [], 0
    for frame in frames:
        if frame.to_pixel is None:
            continue
        asked += 1
        with torch.no_grad():
            points = shipped(letterbox(frame.image))[0][0].double().numpy()
        found = solve(points, confidence)
        if found is not None:
            errors.append(float(frame_errors(frame, found).mean()))
    some = errors or [float("nan")]
    middle, high = np.percentile(some, [50, 95])
    return PitchScore(asked, len(errors) / max(asked, 1), float(middle), float(high))
