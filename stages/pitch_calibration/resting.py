"""Tells when a camera stands still: then it is one camera, and the picture's motion is noise.

Motion between two frames cannot tell by itself. At rest it is small, but it adds up: in simulated
clips of a camera that stands the corners drift by 0.3 to 0.9 px of 640 in a second. A network looks
at one view always alike, though: the middle of what its points did from one look to another stays
within 0.26 px there, over a second as over ten.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.pitch import project
from stages.pitch_calibration.shots import Arrival

Array = NDArray[np.float64]

# pixels are those of a picture 640 wide: how far a corner may move from frame to frame
FRAME_PX = 0.15
# how far what points do may be from nothing: their middle, and the usual one of them (a zoom)
SHIFT_PX, SPREAD_PX = 0.4, 1.0
# looks nearer in time than this are not compared: a slow pan would not show
APART_S = 0.8
FEWEST_POINTS = 4
AT_REST = np.eye(3).ravel()


class Rest(msgspec.Struct):
    """`anchor` (96,) are points seen in this rest, the first; it lasts to the frame `until`."""

    anchor: np.ndarray | None = None
    until: int = -1


def hold_still(rest: Rest, arrival: Arrival, ahead: Sequence[Arrival], centre: Array) -> None:
    """Set the motion to none where the camera stands still, as the frames `ahead` show it.

    It does between two looks at the pitch that see the same, with hardly a motion between them.
    All looks of one rest are compared with its first, so that it cannot creep.
    """
    row = arrival.row
    still = row.frame <= rest.until and row.motion is not None
    if still:
        row.motion = AT_REST.copy()
    if arrival.seen.points is None:
        return
    if not still or rest.anchor is None:
        rest.anchor = arrival.seen.points
    rest.until = max(rest.until, _lasts_to(rest.anchor, arrival, ahead, centre))


def _lasts_to(anchor: np.ndarray, arrival: Arrival, ahead: Sequence[Arrival], centre: Array) -> int:
    """The frame of the next look, or -1: it must see what `anchor` did, and nothing move."""
    for later in ahead:
        if not _hardly_moves(later.row.motion, centre):
            return -1
        seen = later.seen.points
        if seen is not None and later.row.time_s - arrival.row.time_s >= APART_S:
            return later.row.frame if _same_view(anchor, seen, centre) else -1
    return -1


def _hardly_moves(motion: Array | None, centre: Array) -> bool:
    if motion is None:
        return False
    corners = centre * np.array([[0, 0], [2, 0], [2, 2], [0, 2]])
    moved = project(motion.reshape(3, 3), corners) - corners
    return bool(np.abs(moved).max() < FRAME_PX * centre[0] / 320)


def _same_view(before: Array, after: Array, centre: Array) -> bool:
    """Whether the points (96,) of two looks are at the same places of the picture."""
    first, second = before.reshape(-1, 3), after.reshape(-1, 3)
    both = (first[:, 2] > 0) & (second[:, 2] > 0)
    if both.sum() < FEWEST_POINTS:
        return False
    shift = (second - first)[both, :2] * 320 / centre[0]
    middle = np.linalg.norm(np.median(shift, axis=0))
    usual = np.median(np.linalg.norm(shift, axis=1))
    return bool(middle < SHIFT_PX and usual < SPREAD_PX)
