"""What kind of picture a frame is: how much grass, from how far, and whether a cut precedes it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from domain.tables import GLANCE_HEIGHT, GLANCE_WIDTH

Image = NDArray[np.uint8]
Array = NDArray[np.float64]

# hues of OpenCV's half degrees: yellowish to bluish green, as grass is under any light
GRASS_HUES = (25, 95)
HUE_SPREAD = 9
MIN_SATURATION, MIN_VALUE = 40, 30
# shares of corners under which there is no motion to speak of, and above which no cut
MOTION_SUPPORT, CLEAR_SUPPORT = 0.2, 0.5
# where the motion is lost, this share of the usual histogram distance makes a cut
LOST_SHARE = 0.15
# of small pictures: fine texture must not count as change, and too small a part tells nothing
BLUR_PX, MIN_SHOWN = 7, 0.2
WIDE_POINTS = 4
WIDE_GRASS, CLOSE_GRASS = 0.35, 0.08


@dataclass(frozen=True)
class Look:
    """A frame at a glance: the share of grass in 0..1 and a colour histogram that sums to 1."""

    grass_share: float
    histogram: NDArray[np.float32]


def look(image: Image) -> Look:
    """Take in a small BGR picture (h, w, 3)."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    histogram = cv2.calcHist([hsv], [0, 1, 2], None, [18, 4, 8], [0, 180, 0, 256, 0, 256])
    return Look(_grass_share(hsv), (histogram / histogram.sum()).ravel())


def _grass_share(hsv: Image) -> float:
    """The share of pixels near the most frequent green: turf is of one hue, trees and kits not."""
    hue = hsv[:, :, 0]
    coloured = (hsv[:, :, 1] >= MIN_SATURATION) & (hsv[:, :, 2] >= MIN_VALUE)
    counts = np.bincount(hue[coloured], minlength=180)[GRASS_HUES[0] : GRASS_HUES[1]]
    if not counts.any():
        return 0.0
    peak = GRASS_HUES[0] + int(np.convolve(counts, np.ones(5), "same").argmax())
    near = coloured & (hue >= peak - HUE_SPREAD) & (hue <= peak + HUE_SPREAD)
    return float(near.mean())


def histogram_distance(before: Look, after: Look) -> float:
    """Half the summed difference: the share of the picture's pixels that changed colour, 0..1."""
    return float(np.abs(before.histogram - after.histogram).sum() / 2)


def glance(image: Image) -> Image:
    """A small BGR picture made so small that only its layout of colours is left, (n,)."""
    size = (GLANCE_WIDTH, GLANCE_HEIGHT)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8).ravel()


def unexplained_change(before: Image, after: Image, homography: Array | None) -> float:
    """The mean difference of colour, 0..255, between two small BGR pictures (h, w, 3).

    `homography` (3, 3) carries the earlier one along with the camera; None where its motion is not
    known. Within a shot what is left is people and noise (about 0.5, under 1.1 on real clips); in a
    dissolve it is a share of the difference of two pictures, frame after frame.
    """
    if homography is None:
        return float(np.mean(cv2.absdiff(_blurred(before), _blurred(after))))
    size = (before.shape[1], before.shape[0])
    moved = cv2.warpPerspective(_blurred(before), homography, size)
    inside = cv2.warpPerspective(np.full(before.shape[:2], 255, np.uint8), homography, size)
    shown = cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=255) == 255
    if shown.mean() < MIN_SHOWN:
        return unexplained_change(before, after, None)
    return float(cv2.absdiff(moved, _blurred(after)).mean(axis=2)[shown].mean())


def _blurred(image: Image) -> Image:
    return np.asarray(cv2.blur(image, (BLUR_PX, BLUR_PX)), np.uint8)


def is_cut(distance: float, support: float, threshold: float) -> bool:
    """Whether a new shot begins.

    `distance` is that of the histograms, `support` the share of corners that follow one motion.
    Either may be wrong alone: a flash or a caption changes colours, blur loses corners, and two
    shots of the same grass have nearly the same colours.
    """
    if support >= CLEAR_SUPPORT:
        return False
    return distance > (threshold if support >= MOTION_SUPPORT else LOST_SHARE * threshold)


def view_of(grass_share: float, seen: int | None) -> str:
    """wide, close or other, from the grass and how many pitch points are seen (None: not sought).

    A wide picture shows much grass, and mostly some of the pitch's points; a close one some grass.
    """
    if seen is not None and seen >= WIDE_POINTS and grass_share >= CLOSE_GRASS:
        return "wide"
    if grass_share >= WIDE_GRASS and (seen is None or seen >= 1):
        return "wide"
    return "close" if grass_share >= CLOSE_GRASS else "other"
