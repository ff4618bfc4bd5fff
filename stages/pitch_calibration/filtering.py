"""The camera over time: a Kalman filter forwards, and a smoother of fixed lag backwards.

The filter's state is the camera vector. Between frames the picture's motion turns and zooms it,
while its place stays, so that a shot's every frame sharpens the knowledge of where the camera
stands. The smoother is that of Rauch, Tung and Striebel (1965).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stages.pitch_calibration import camera as cameras
from stages.pitch_calibration.belief import Belief, Fit, Sighting, adjusted
from stages.pitch_calibration.camera import K1, LOG_ASPECT, LOG_FOCAL, PAN, ROLL, SIZE, TILT, X, Z

Array = NDArray[np.float64]

# the motion's error between two frames: pixels in a picture 640 wide, and a share of the shift
MOTION_NOISE_PX, MOTION_NOISE_SHARE = 0.15, 0.03
# how far a camera on its stand may wander in a second: radians of roll, metres, log aspect, k1
ROLL_WANDER, PLACE_WANDER_M, ASPECT_WANDER, K1_WANDER = 0.001, 0.05, 0.0002, 0.002
# how long the network misses a point in the same way: until the picture has moved by this share of
# its width; and for a picture that stays, this many seconds
MISS_MEMORY_WIDTHS, MISS_MEMORY_S = 0.4, 8.0
UPDATE_ROUNDS = 4
# factors on a prediction's standard deviations, the second for one that is contradicted
DOUBT = (1.0, 4.0)


@dataclass(frozen=True)
class Moved:
    """A prediction, the variances (9,) that it added, and how far the picture went, in widths."""

    belief: Belief
    added: Array
    travel: float


def moved(belief: Belief, motion: Array, elapsed_s: float, centre: Array) -> Moved:
    """The belief one frame later, after the picture's motion (3, 3).

    A motion that is exactly none is that of a camera known to stand still: nothing is added.
    """
    if np.array_equal(motion, np.eye(3)):
        return Moved(belief, np.zeros(SIZE), 0.0)
    mean = cameras.carried(belief.mean, motion, centre)
    shift = motion @ np.append(centre, 1.0)
    distance = float(np.linalg.norm(shift[:2] / shift[2] - centre))
    noise_px = MOTION_NOISE_PX * centre[0] / 320 + MOTION_NOISE_SHARE * distance
    added = np.zeros(SIZE)
    added[[PAN, TILT]] = (noise_px / np.exp(mean[LOG_FOCAL])) ** 2
    added[[ROLL, LOG_FOCAL]] = (noise_px / centre[0]) ** 2
    added[ROLL] += ROLL_WANDER**2 * elapsed_s
    added[X : Z + 1] = PLACE_WANDER_M**2 * elapsed_s
    added[LOG_ASPECT] = ASPECT_WANDER**2 * elapsed_s
    added[K1] = K1_WANDER**2 * elapsed_s
    zoom = abs(float(mean[LOG_FOCAL] - belief.mean[LOG_FOCAL]))
    travel = distance / (2 * centre[0]) + zoom
    return Moved(Belief(mean, belief.covariance + np.diag(added)), added, travel)


@dataclass(frozen=True)
class Since:
    """What happened since the last sighting: `seconds`, and how far the picture went, in widths.

    `rested_s` is for how long the camera has stood still by now.
    """

    seconds: float
    travel: float
    rested_s: float = 0.0

    @property
    def news(self) -> float:
        """The share of a sighting that is news: a network looks at one view always alike.

        Of a view that never moves, all looks together are worth one more than the first.
        """
        by_time = self.seconds / MISS_MEMORY_S * np.exp(-self.rested_s / MISS_MEMORY_S)
        return min(float(by_time) + self.travel / MISS_MEMORY_WIDTHS, 1.0)


def updated(predicted: Belief, seen: Sighting, since: Since, centre: Array) -> Fit | None:
    """The belief after a sighting.

    Where most points contradict the prediction, it is tried again as a much vaguer one.
    """
    news = replace(seen, share=since.news)
    for doubt in DOUBT:
        vague = Belief(predicted.mean, predicted.covariance * doubt**2)
        fit = adjusted(vague, news, centre, predicted.mean, UPDATE_ROUNDS)
        if fit is not None and 2 * fit.agrees.sum() > len(seen):
            return fit
    return None


@dataclass
class Track:
    """Filtered beliefs of n consecutive frames of one unbroken motion.

    `mean` (n, 9) and `covariance` (n, 9, 9); `predicted` (n, 9) and `added` (n, 9) are what led
    from each frame's predecessor to it (unused in the first).
    """

    mean: Array
    covariance: Array
    predicted: Array
    added: Array


def smoothed(track: Track) -> tuple[Array, Array]:
    """Means (n, 9) and covariances (n, 9, 9) given all frames of the track."""
    mean, covariance = track.mean.copy(), track.covariance.copy()
    before = track.covariance[:-1]
    ahead = before + track.added[1:, :, None] * np.eye(SIZE)
    # gain = before @ inverse(ahead), both symmetric
    gain = np.linalg.solve(ahead, before).transpose(0, 2, 1)
    for index in range(len(mean) - 2, -1, -1):
        weight = gain[index]
        mean[index] += weight @ (mean[index + 1] - track.predicted[index + 1])
        excess = covariance[index + 1] - ahead[index]
        covariance[index] += weight @ excess @ weight.T
    return mean, covariance
