"""Places where something ball-like stays put: a scratch on the pitch, a bottle, a painted dot.

A ball rests too, so a mark only makes the evidence weaker, and only after a while: a confident
detector still sees a ball that lies still. What came rolling to where it stays is the ball.
"""

import numpy as np
from numpy.typing import NDArray

from stages import ground

FloatArray = NDArray[np.float64]

MAX_MARKS = 64
RADIUS_M = 0.4
MIN_RADIUS_PX = 2.0
DRIFT_GAIN = 0.05
FORGET = 0.25  # a mark out of sight loses this share of the time it was seen
FRESH_S, FULL_S = 0.2, 6.0
TRUSTED_S = 0.5
DISTRUSTED_S = 1.5
COST = 4.0  # more than lying where expected is worth: what stays does so by itself


def watch(
    marks: FloatArray,
    candidates: FloatArray,
    elapsed_s: float,
    camera_motion: FloatArray,
    scale: float,
    rolling: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Move the marks (n, 4) into the new frame and see them again, or not.

    A mark is u, v, the seconds it was seen, and 1 where the ball rolled there, else 0; `rolling`
    (m, 2) is where a rolling ball is expected.

    Returns:
        The marks after the frame, and the cost (k,) in log odds of each candidate (k, 5).
    """
    place, _ = ground.move(camera_motion, marks[:, :2])
    marks = np.column_stack([place, marks[:, 2:]])
    places = candidates[:, :2]
    nearest, apart = _nearest(marks, places)
    radius = max(RADIUS_M * scale, MIN_RADIUS_PX)
    known = apart < radius
    hit = nearest[known]
    marks[:, 2] -= FORGET * elapsed_s
    marks[hit, 2] += (1 + FORGET) * elapsed_s
    marks[hit, :2] += DRIFT_GAIN * (places[known] - marks[hit, :2])
    age = np.zeros(len(places))
    age[known] = np.where(marks[hit, 3] > 0, 0.0, marks[hit, 2])
    new = places[~known]
    rolled = _nearest(rolling, new)[1] < radius
    fresh = np.column_stack([new, np.full(len(new), FRESH_S), rolled])
    marks = np.concatenate([marks[marks[:, 2] > 0], fresh])
    marks[:, 2] = np.minimum(marks[:, 2], FULL_S)
    marks = marks[np.argsort(-marks[:, 2], kind="stable")[:MAX_MARKS]]
    share = np.clip((age - TRUSTED_S) / (DISTRUSTED_S - TRUSTED_S), 0.0, 1.0)
    return marks, COST * share


def _nearest(marks: FloatArray, places: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """The mark nearest to each place (k,), and how far it is in pixels."""
    if not len(marks):
        return np.zeros(len(places), np.int64), np.full(len(places), np.inf)
    apart = np.sqrt(((places[:, None] - marks[None, :, :2]) ** 2).sum(axis=2))
    nearest = apart.argmin(axis=1)
    return nearest, apart[np.arange(len(places)), nearest]
