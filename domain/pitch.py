"""The pitch: its lines and the 32 points by which a camera is calibrated, in metres.

Coordinates are those of the tables: origin at the centre spot, x along the touchline to the right
as the main camera sees it, y away from that camera. Sizes are those of the Laws of the Game, law 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GOAL_WIDTH_M = 7.32
GOAL_HEIGHT_M = 2.44
CENTRE_CIRCLE_RADIUS_M = 9.15
PENALTY_AREA_DEPTH_M = 16.5
PENALTY_AREA_HALF_WIDTH_M = 20.16
GOAL_AREA_DEPTH_M = 5.5
GOAL_AREA_HALF_WIDTH_M = 9.16
PENALTY_SPOT_M = 11.0
PITCH_POINT_COUNT = 32
# half the chord that the penalty arc cuts from the area's line: sqrt(9.15^2 - 5.5^2)
PENALTY_ARC_HALF_CHORD_M = 7.312


@dataclass(frozen=True)
class Pitch:
    """A pitch of `length_m` by `width_m` metres; legal sizes are 90 to 120 by 45 to 90."""

    length_m: float = 105.0
    width_m: float = 68.0

    def __post_init__(self) -> None:
        if not (90 <= self.length_m <= 120 and 45 <= self.width_m <= 90):
            raise ValueError(
                f"pitch: expected 90 to 120 by 45 to 90 metres, "
                f"actual {self.length_m} by {self.width_m}"
            )

    @property
    def half_length_m(self) -> float:
        return self.length_m / 2

    @property
    def half_width_m(self) -> float:
        return self.width_m / 2

    def points(self) -> NDArray[np.float64]:
        """The 32 calibration points as an array (32, 2) of x, y in metres.

        The order is that of the common 32-point pitch templates: down each line from the far
        touchline, lines from left to right, then the centre circle's leftmost and rightmost points.
        """
        left = [
            *self._column(0.0, (None, 20.16, 9.16, -9.16, -20.16, None)),
            *self._column(GOAL_AREA_DEPTH_M, (9.16, -9.16)),
            *self._column(PENALTY_SPOT_M, (0.0,)),
            *self._column(PENALTY_AREA_DEPTH_M, (20.16, 7.31, -7.31, -20.16)),
        ]
        middle = [
            (0.0, self.half_width_m),
            (0.0, CENTRE_CIRCLE_RADIUS_M),
            (0.0, -CENTRE_CIRCLE_RADIUS_M),
            (0.0, -self.half_width_m),
        ]
        right = [(-x, y) for x, y in [*left[9:13], left[8], *left[6:8], *left[0:6]]]
        circle = [(-CENTRE_CIRCLE_RADIUS_M, 0.0), (CENTRE_CIRCLE_RADIUS_M, 0.0)]
        return np.array([*left, *middle, *right, *circle])

    def _column(self, depth_m: float, ys: tuple[float | None, ...]) -> list[tuple[float, float]]:
        """Points `depth_m` from the left goal line; None stands for a touchline."""
        x = depth_m - self.half_length_m
        edges = iter((self.half_width_m, -self.half_width_m))
        return [(x, next(edges) if y is None else y) for y in ys]

    def lines(self, step_m: float = 0.5) -> list[NDArray[np.float64]]:
        """Every painted line as a polyline (n, 2) in metres with a point each `step_m` metres."""
        return [_resample(np.array(corners), step_m) for corners in self._corners()] + self._arcs(
            step_m
        )

    def _corners(self) -> list[list[tuple[float, float]]]:
        x, y = self.half_length_m, self.half_width_m
        outline = [(-x, y), (x, y), (x, -y), (-x, -y), (-x, y)]
        shapes = [outline, [(0.0, y), (0.0, -y)]]
        for side in (-1, 1):
            for depth, half in (
                (PENALTY_AREA_DEPTH_M, PENALTY_AREA_HALF_WIDTH_M),
                (GOAL_AREA_DEPTH_M, GOAL_AREA_HALF_WIDTH_M),
            ):
                inner = side * (x - depth)
                shapes.append([(side * x, half), (inner, half), (inner, -half), (side * x, -half)])
        return shapes

    def _arcs(self, step_m: float) -> list[NDArray[np.float64]]:
        radius = CENTRE_CIRCLE_RADIUS_M
        full = np.linspace(0, 2 * np.pi, max(int(2 * np.pi * radius / step_m), 16))
        circle = radius * np.column_stack([np.cos(full), np.sin(full)])
        reach = np.arcsin(PENALTY_ARC_HALF_CHORD_M / radius)
        arc = np.linspace(-reach, reach, max(int(2 * reach * radius / step_m), 8))
        spot = self.half_length_m - PENALTY_SPOT_M
        left = np.column_stack([-spot + radius * np.cos(arc), radius * np.sin(arc)])
        return [circle, left, left * [-1.0, 1.0]]

    def contains(self, xy: NDArray[np.float64], margin_m: float = 0.0) -> NDArray[np.bool_]:
        """Whether each point of an array (n, 2) lies on the pitch, or `margin_m` outside."""
        limits = np.array([self.half_length_m, self.half_width_m]) + margin_m
        return np.asarray((np.abs(xy) <= limits).all(axis=1))


def _resample(corners: NDArray[np.float64], step_m: float) -> NDArray[np.float64]:
    """The polyline through `corners` (n, 2) with a point at least each `step_m` metres."""
    pieces = []
    for start, end in zip(corners[:-1], corners[1:], strict=True):
        count = max(int(np.ceil(np.linalg.norm(end - start) / step_m)), 1)
        pieces.append(start + (end - start) * np.arange(count)[:, None] / count)
    return np.vstack([*pieces, corners[-1:]])


def mirrored_points() -> NDArray[np.int64]:
    """For each of the 32 points, the index of its mirror image across the halfway line."""
    points = Pitch().points()
    distance = np.abs(points[:, None] * [-1.0, 1.0] - points[None]).sum(axis=2)
    return np.asarray(distance.argmin(axis=1), dtype=np.int64)


def project(homography: NDArray[np.float64], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map points (n, 2) by a homography (3, 3); a point at infinity or behind becomes NaN."""
    if homography.shape != (3, 3) or xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(
            f"project: expected homography (3, 3) and points (n, 2), "
            f"actual {homography.shape} and {xy.shape}"
        )
    mapped = np.column_stack([xy, np.ones(len(xy))]) @ homography.T
    with np.errstate(divide="ignore", invalid="ignore"):
        result = mapped[:, :2] / mapped[:, 2:]
    result[~np.isfinite(result).all(axis=1)] = np.nan
    return np.asarray(result)
