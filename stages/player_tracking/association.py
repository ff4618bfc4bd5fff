"""Which box belongs to which track.

The cost of a pair lies between 0 and 1 and mixes three views of it: overlap of the boxes, grown so
that small fast players still touch (Yang et al., "Hard to Track Objects with Irregular Motions and
Similar Appearances? Make It Easier by Buffering the Matching Space", WACV 2023); distance of the
foot points in metres on the pitch, or in body heights where nothing is calibrated; and the
shirt's colour.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stages.player_tracking import motion
from stages.player_tracking.state import Tracks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BUFFER = 0.3  # of a box's width and height, on each side
REACH_M = 1.5
REACH_MPS = 4.0  # how fast the motion's error may grow while a track is not seen
COLOUR_FULL = 40.0  # CIELab distance between kits that nobody confuses
COLOUR_UNKNOWN = 0.3
COLOUR_WEIGHT = 0.2
OVERLAP_WEIGHT = 0.4
LOST_COST_PER_S = 0.2  # a track that is in sight has the better claim
_IMPOSSIBLE = 1e3


class Boxes(msgspec.Struct):
    """The persons of one frame or of many: boxes (n, 4) and what was measured of them.

    `ground` (n, 2) and `noise_m` (n,) are NaN where the frame is not calibrated, `colour` (n, 3)
    is NaN where no shirt was seen; `length` is -1 where there is no appearance.
    """

    box: FloatArray
    confidence: FloatArray
    role: NDArray[np.int8]
    ground: FloatArray
    noise_m: FloatArray
    colour: FloatArray
    appearance: NDArray[np.float16]
    length: NDArray[np.int8]


def overlap(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Intersection over union, and over the smaller box, of boxes (n, 4) and (m, 4): (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    side = np.maximum(high - low, 0.0)
    shared = side[..., 0] * side[..., 1]
    size_1, size_2 = motion.sizes_of(first), motion.sizes_of(second)
    area_1 = (size_1[:, 0] * size_1[:, 1])[:, None]
    area_2 = (size_2[:, 0] * size_2[:, 1])[None]
    union = np.maximum(area_1 + area_2 - shared, 1e-9)
    smaller = np.maximum(np.minimum(area_1, area_2), 1e-9)
    return np.asarray(shared / union), np.asarray(shared / smaller)


def costs(tracks: Tracks, feet_m: FloatArray, seen: Boxes, now_s: float) -> FloatArray:
    """The cost (n, m) of each pair of a track and a box; 1000 where no player can be that fast.

    `feet_m` (n, 2) is where the tracks are expected on the pitch, NaN where unknown.
    """
    expected = motion.boxes_of(tracks)
    shared, _ = overlap(_grown(expected), _grown(seen.box))
    distance = _distance_m(tracks, feet_m, seen)
    noise = np.where(np.isfinite(seen.noise_m), seen.noise_m, 0.1)
    unseen_s = (now_s - tracks.seen_s)[:, None]
    reach = REACH_M + REACH_MPS * unseen_s + 2 * noise[None]
    place = OVERLAP_WEIGHT * (1 - shared) + (1 - OVERLAP_WEIGHT) * distance / reach
    colour = _colour_cost(tracks.colour, seen.colour)
    cost = (1 - COLOUR_WEIGHT) * place + COLOUR_WEIGHT * colour + LOST_COST_PER_S * unseen_s
    return np.asarray(np.where(distance < reach, cost, _IMPOSSIBLE))


def _grown(boxes: FloatArray) -> FloatArray:
    margin = BUFFER * motion.sizes_of(boxes)
    return np.hstack([boxes[:, :2] - margin, boxes[:, 2:] + margin])


def _distance_m(tracks: Tracks, feet_m: FloatArray, seen: Boxes) -> FloatArray:
    pixels = tracks.position[:, None] - motion.feet_of(seen.box)[None]
    in_bodies = np.hypot(*pixels.T).T / motion.pixels_per_metre(tracks.size)[:, None]
    on_pitch = np.hypot(*(feet_m[:, None] - seen.ground[None]).T).T
    return np.asarray(np.where(np.isfinite(on_pitch), on_pitch, in_bodies))


def _colour_cost(known: FloatArray, seen: FloatArray) -> FloatArray:
    difference = np.sqrt(((known[:, None] - seen[None]) ** 2).sum(axis=2))
    known_difference = np.where(np.isfinite(difference), difference, COLOUR_UNKNOWN * COLOUR_FULL)
    return np.asarray(np.minimum(known_difference / COLOUR_FULL, 1.0))


def assign(cost: FloatArray, rows: IntArray, columns: IntArray, limit: float) -> IntArray:
    """The best pairs (k, 2) among `rows` and `columns` of `cost`, none dearer than `limit`."""
    if not len(rows) or not len(columns):
        return np.zeros((0, 2), np.int64)
    part = np.minimum(cost[np.ix_(rows, columns)], limit + 1)
    chosen = linear_sum_assignment(part)
    kept = part[chosen] <= limit
    return np.column_stack([rows[chosen[0][kept]], columns[chosen[1][kept]]])


def distinct(seen: Boxes, limit: float) -> NDArray[np.bool_]:
    """Which boxes (n,) to keep: of two that overlap by more than `limit`, the more confident.

    The detector suppresses repeats within a role; the same man as player and as goalkeeper is left.
    """
    shared, _ = overlap(seen.box, seen.box)
    np.fill_diagonal(shared, 0.0)
    kept = np.ones(len(seen.box), np.bool_)
    if not (shared > limit).any():
        return kept
    for index in np.argsort(-seen.confidence, kind="stable"):
        if kept[index]:
            kept &= shared[index] <= limit
    return kept
