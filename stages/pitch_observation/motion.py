"""Camera motion between two pictures: which turn and zoom carried the background along.

Corners spread over the picture are followed by pyramidal Lucas-Kanade flow (Bouguet, 2000). A
camera on a stand turns about three axes and zooms, so these and its focal length (which the flow
shows only weakly, hence a broad prior) are fitted by iteratively reweighted least squares, from a
RANSAC similarity. A free homography has eight numbers and bends where there are no corners.
Players, scrolling boards and the broadcaster's graphics are outvoted.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Grey = NDArray[np.uint8]

CELL_PX = 24
CORNER_STRENGTH = 2e-4
WINDOW_PX = 15
HALVINGS = 3
FLOW_NOISE_PX = 0.3
RANSAC_PX = 2.0
STILL_PX = 0.2
MIN_CORNERS = 12
WIDENINGS = (4.0, 2.0, 1.0, 0.5, 0.5)
# focal length over the picture's width: 1.7 is a main camera's, e^0.5 covers 1.0 to 2.8
USUAL_FOCAL, LOG_FOCAL_SPREAD = 1.7, 0.5


@dataclass(frozen=True)
class Motion:
    """`homography` (3, 3) maps the earlier picture's points to the later's.

    `support` is the share of the followed corners that moved with it.
    """

    homography: Array
    support: float


@dataclass(frozen=True)
class _Turn:
    """A rotation vector (3,), the log of the zoom and the log of the focal length before it."""

    angles: Array
    log_zoom: float
    log_focal: float

    def move(self, points: Array) -> tuple[Array, Array]:
        """Where points (n, 2) go, and the derivatives (n, 2, 5) by turn (3), zoom and focal.

        The focal length changes with the shift on the picture held, not the angle: the two are so
        coupled that steps would overshoot. Angles between frames are small, so that the derivative
        by a turn on top of them serves as the derivative by them.
        """
        focal, zoomed = np.exp(self.log_focal), np.exp(self.log_focal + self.log_zoom)
        rotation = cv2.Rodrigues(self.angles)[0]
        rays = np.column_stack([points / focal, np.ones(len(points))]) @ rotation.T
        moved = zoomed * rays[:, :2] / rays[:, 2:]
        slope = np.zeros((len(points), 2, 3))
        slope[:, 0, 0] = slope[:, 1, 1] = zoomed / rays[:, 2]
        slope[:, :, 2] = -moved / rays[:, 2:]
        jacobian = np.zeros((len(points), 2, 5))
        jacobian[:, :, :3] = np.cross(rays[:, None], slope)
        jacobian[:, :, 3] = moved
        sideways = np.column_stack([points / focal, np.zeros(len(points))]) @ rotation.T
        jacobian[:, :, 4] = moved - np.einsum("nij,nj->ni", slope, sideways)
        jacobian[:, :, 4] -= jacobian[:, :, :2] @ self.angles[:2]
        return moved, jacobian

    def stepped(self, step: Array) -> "_Turn":
        angles = self.angles + step[:3]
        angles[:2] *= np.exp(-step[4])
        return _Turn(angles, self.log_zoom + step[3], self.log_focal + step[4])

    def homography(self) -> Array:
        focal, zoomed = np.exp(self.log_focal), np.exp(self.log_focal + self.log_zoom)
        rotation = cv2.Rodrigues(self.angles)[0]
        matrix = np.diag([zoomed, zoomed, 1.0]) @ rotation @ np.diag([1 / focal, 1 / focal, 1])
        return np.asarray(matrix / matrix[2, 2])


def corners(grey: Grey) -> NDArray[np.float32]:
    """The best corner (x, y) in each cell of a grid over `grey`, where there is one: (n, 2).

    They are sought at half the size: flow needs something to hold on to, not its exact place.
    """
    strength = cv2.cornerMinEigenVal(cv2.pyrDown(grey), 3, ksize=3)
    size = CELL_PX // 2
    rows, columns = strength.shape[0] // size, strength.shape[1] // size
    cells = strength[: rows * size, : columns * size].reshape(rows, size, columns, size)
    flat = cells.swapaxes(1, 2).reshape(rows * columns, size * size)
    best = flat.argmax(axis=1)
    row, column = np.divmod(np.arange(len(flat)), columns)
    xy = np.column_stack([column * size + best % size, row * size + best // size])
    return np.asarray(2 * xy[flat.max(axis=1) > CORNER_STRENGTH], np.float32)


def flow(before: Grey, after: Grey) -> tuple[Array, Array]:
    """Corners of `before` and where they are in `after`: two arrays (n, 2)."""
    start = corners(before)
    if len(start) == 0:
        return np.empty((0, 2)), np.empty((0, 2))
    end, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, start[:, None], None, winSize=(WINDOW_PX, WINDOW_PX), maxLevel=HALVINGS
    )
    good = found[:, 0] > 0
    return start[good].astype(np.float64), end[good, 0].astype(np.float64)


def between(before: Grey, after: Grey) -> Motion | None:
    """The motion from `before` to `after`, in their pixels; None where too few corners agree."""
    old, new = _without_graphics(*flow(before, after))
    if len(old) < MIN_CORNERS:
        return None
    rough, chosen = cv2.estimateAffinePartial2D(
        old, new, method=cv2.RANSAC, ransacReprojThreshold=RANSAC_PX, maxIters=500
    )
    if rough is None or chosen.sum() < MIN_CORNERS:
        return None
    centre = (np.array(before.shape[::-1]) - 1) / 2
    turn = _fitted(_start(rough, centre), old - centre, new - centre)
    miss = np.linalg.norm(new - centre - turn.move(old - centre)[0], axis=1)
    to_middle = np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, 1]])
    homography = np.linalg.inv(to_middle) @ turn.homography() @ to_middle
    return Motion(homography / homography[2, 2], float((miss < 4 * FLOW_NOISE_PX).mean()))


def _without_graphics(old: Array, new: Array) -> tuple[Array, Array]:
    """Leave out what stands still while most of the picture moves: scores, captions, watermarks.

    In a slow pan they are too near to the background's motion for any robust loss to tell.
    """
    distance = np.linalg.norm(new - old, axis=1)
    moving = distance > STILL_PX
    if 2 * moving.sum() <= len(moving) or np.median(distance[moving]) < 2 * STILL_PX:
        return old, new
    return old[moving], new[moving]


def _start(similarity: Array, centre: Array) -> _Turn:
    """The turn that moves the picture's middle as `similarity` (2, 3) does."""
    focal = USUAL_FOCAL * 2 * centre[0]
    zoom = np.hypot(similarity[0, 0], similarity[1, 0])
    roll = np.arctan2(similarity[1, 0], similarity[0, 0])
    shift = (similarity @ np.append(centre, 1.0) - centre) / (focal * zoom)
    return _Turn(np.array([-shift[1], shift[0], roll]), np.log(zoom), np.log(focal))


def _fitted(turn: _Turn, old: Array, new: Array) -> _Turn:
    usual = turn.log_focal
    for widening in WIDENINGS:
        moved, jacobian = turn.move(old)
        miss = new - moved
        # Geman-McClure: a corner on a runner has next to no say
        distance = (miss**2).sum(axis=1) / (3 * FLOW_NOISE_PX * widening) ** 2
        weights = (1 + distance) ** -2 / FLOW_NOISE_PX**2
        normal = np.einsum("n,nij,nik->jk", weights, jacobian, jacobian)
        slope = np.einsum("n,nij,ni->j", weights, jacobian, miss)
        normal[4, 4] += LOG_FOCAL_SPREAD**-2
        slope[4] += (usual - turn.log_focal) * LOG_FOCAL_SPREAD**-2
        turn = turn.stepped(np.linalg.solve(normal, slope))
    return turn
