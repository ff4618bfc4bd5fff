"""One camera on its stand and the pitch's size, fitted together to many looks of a match.

Penalty areas, goal areas, arcs and the circle are the same on every pitch; only how far they are
apart tells its size. A look that sees one of them alone tells nothing, but a camera that stands
still and turns from one to the other does. So place, aspect, lens and size are one for all looks,
and each look has a pan, tilt, roll and focal length of its own. A network misses a point alike all
match long: 32 lasting misses are fitted too, else many looks would seem to say more than they do.

What is a look's own is taken out of the normal equations by the Schur complement (Triggs et al.,
"Bundle adjustment", 2000), and the limit for outliers tightens in steps from far off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.pitch import PITCH_POINT_COUNT, Pitch
from stages.pitch_calibration import camera as cameras
from stages.pitch_calibration.camera import (
    K1,
    LOG_ASPECT,
    LOG_FOCAL,
    PAN,
    ROLL,
    SIZE,
    TILT,
    X,
    Y,
    Z,
)

Array = NDArray[np.float64]

TURNED = [PAN, TILT, ROLL, LOG_FOCAL]
STANDING = [X, Y, Z, LOG_ASPECT, K1]
# the numbers that all looks share: those of the camera, length and width, and 32 lasting misses
LENGTH, WIDTH, SHARED = 5, 6, 7
COMMON = SHARED + 2 * PITCH_POINT_COUNT
# standard deviations: place (m), log aspect, k1, length and width (m)
SHARED_SIGMA = (30.0, 30.0, 15.0, 0.005, 0.08, 30.0, 40.0)
ROLL_SIGMA = 0.02
LASTING_PX = 0.7  # of a picture 640 wide: half of the variance of a network's misses
OUTLIERS = (64.0, 16.0, 8.0, 4.0)
FAR_OFF = 1e4
ROUNDS, ENOUGH = 15, 0.05
DAMPING, MOST_DAMPING = (1e-3, 1e-6), 1e4
# a look agrees where most of its points do, as in a shot that is trusted
AGREEING = 0.6

_SMALL = Pitch(100.0, 60.0).points()
_PER_LENGTH = (Pitch(110.0, 60.0).points() - _SMALL)[:, 0] / 10
_PER_WIDTH = (Pitch(100.0, 70.0).points() - _SMALL)[:, 1] / 10


def ground_points(length_m: float, width_m: float) -> Array:
    """The 32 points (32, 2) of a pitch of any size, legal or not."""
    grown = [_PER_LENGTH * (length_m - 100.0), _PER_WIDTH * (width_m - 60.0)]
    return _SMALL + np.column_stack(grown)


@dataclass(frozen=True)
class Look:
    """Which of the 32 points were seen in one frame, (n,), where (n, 2), and how well (n,).

    Pixels and their standard deviations, those of each axis.
    """

    points: NDArray[np.int64]
    pixels: Array
    sigma: Array

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Stand:
    """A guess: the numbers `common` (71,) to all looks, and `turned` (k, 4), those of each."""

    common: Array
    turned: Array

    @classmethod
    def at(cls, camera: Array, turned: Array, size: tuple[float, float]) -> "Stand":
        """A camera (9,) on its place, turned (k, 4), beside a pitch of `size`."""
        return cls(np.concatenate([camera[STANDING], size, np.zeros(COMMON - SHARED)]), turned)

    def moved(self, common: Array, turned: Array) -> "Stand":
        return Stand(self.common + common, self.turned + turned)


@dataclass(frozen=True)
class StandFit:
    """`size` (2,) and its `covariance` (2, 2) as the points' noise alone has it.

    `cost` is what is left, in squared standard deviations, over `numbers` seen numbers; `agreeing`
    is how many looks fit.
    """

    size: Array
    covariance: Array
    cost: float
    numbers: int
    agreeing: int

    @property
    def misfit(self) -> float:
        """What is left of each seen number: about 1, or less, where all is as expected."""
        return self.cost / max(self.numbers, 1)


@dataclass(frozen=True)
class _OneLook:
    """A look's part of the normal equations: its own, shared with the common numbers, both."""

    own: Array
    mixed: Array
    slope: Array


@dataclass(frozen=True)
class _System:
    objective: float
    normal: Array
    slope: Array
    looks: list[_OneLook]
    points: int

    def step(self, damping: float) -> tuple[Array, Array]:
        """How to move the common numbers (71,) and those of each look (k, 4)."""
        normal, slope = self.reduced(damping)
        common = np.asarray(np.linalg.solve(normal, slope), np.float64)
        turned = [
            np.linalg.solve(_damped(look.own, damping), look.slope - look.mixed.T @ common)
            for look in self.looks
        ]
        return common, np.reshape(turned, (-1, len(TURNED)))

    def reduced(self, damping: float) -> tuple[Array, Array]:
        """The equations of the common numbers, with each look's own taken out."""
        normal, slope = _damped(self.normal, damping), self.slope.copy()
        for look in self.looks:
            gain = np.linalg.solve(_damped(look.own, damping), look.mixed.T).T
            normal -= gain @ look.mixed.T
            slope -= gain @ look.slope
        return normal, slope


def _damped(normal: Array, damping: float) -> Array:
    # the last term keeps apart what a look of few points does not tell
    return normal + damping * np.diag(np.diag(normal)) + 1e-9 * np.eye(len(normal))


class StandingCamera:
    """All looks of a match. `centre` (2,) is the picture's middle in pixels."""

    def __init__(self, looks: Sequence[Look], centre: Array) -> None:
        self.looks = looks
        self.centre = centre
        lasting = np.full(COMMON - SHARED, LASTING_PX * centre[0] / 320)
        self.sigma = np.concatenate([SHARED_SIGMA, lasting])

    def fitted(self, start: Stand) -> StandFit:
        """The fit that is found from `start`, whose place is the prior's mean too.

        With each tighter limit the looks of which most points are beyond it are left out: they are
        another camera's.
        """
        looking, stand = self, start
        for outlier in OUTLIERS:
            stand, system = looking._descended(stand, start.common, outlier)
            looking, stand = looking._without_strangers(stand, outlier)
        covariance = np.linalg.inv(system.reduced(0.0)[0])
        return StandFit(
            size=stand.common[LENGTH : WIDTH + 1],
            covariance=np.asarray(covariance[LENGTH : WIDTH + 1, LENGTH : WIDTH + 1], np.float64),
            cost=system.objective,
            numbers=2 * system.points,
            agreeing=len(looking.looks),
        )

    def _without_strangers(self, stand: Stand, limit: float) -> tuple["StandingCamera", Stand]:
        fits = np.array(
            [
                self._share_within(stand, index, limit) >= AGREEING
                for index in range(len(self.looks))
            ],
            bool,
        )
        looks = [look for look, stays in zip(self.looks, fits, strict=True) if stays]
        return StandingCamera(looks, self.centre), Stand(stand.common, stand.turned[fits])

    def _descended(self, stand: Stand, prior: Array, outlier: float) -> tuple[Stand, _System]:
        """Levenberg-Marquardt."""
        system, damping = self._system(stand, prior, outlier), DAMPING[0]
        for _ in range(ROUNDS):
            after = stand.moved(*system.step(damping))
            there = self._system(after, prior, outlier)
            gain = system.objective - there.objective
            if not gain > 0:
                damping *= 10
                if damping > MOST_DAMPING:
                    break
                continue
            stand, system, damping = after, there, max(damping / 10, DAMPING[1])
            if gain < ENOUGH:
                break
        return stand, system

    def _system(self, stand: Stand, prior: Array, outlier: float) -> _System:
        off = (prior - stand.common) / self.sigma
        normal, slope, objective = np.diag(self.sigma**-2), off / self.sigma, float(off @ off)
        looks = []
        for index in range(len(self.looks)):
            common, turned, misses, cost = self._rows(stand, index, outlier)
            normal += common.T @ common
            slope += common.T @ misses
            objective += cost
            looks.append(_OneLook(turned.T @ turned, common.T @ turned, turned.T @ misses))
        return _System(objective, normal, slope, looks, sum(map(len, self.looks)))

    def _rows(self, stand: Stand, index: int, outlier: float) -> tuple[Array, Array, Array, float]:
        """A look's equations by the common numbers (m, 71) and by its own (m, 4), and its misses.

        The last row holds the roll to that of a level stand.
        """
        look, miss, jacobian = self._missed(stand, index)
        square = (miss**2).sum(axis=1)
        relative = 1 / (1 + square / outlier**2)
        weighed = jacobian * (relative / look.sigma)[:, None, None]
        common = np.zeros((len(look), 2, COMMON))
        common[:, :, :LENGTH] = weighed[:, :, STANDING]
        # a point that moves away is a camera that moves the other way
        common[:, :, LENGTH] = -weighed[:, :, X] * _PER_LENGTH[look.points, None]
        common[:, :, WIDTH] = -weighed[:, :, Y] * _PER_WIDTH[look.points, None]
        rows, axes = np.arange(len(look)), np.arange(2)
        places = SHARED + 2 * look.points[:, None] + axes
        common[rows[:, None], axes, places] = (relative / look.sigma)[:, None]
        rolled = stand.turned[index, TURNED.index(ROLL)] / ROLL_SIGMA
        level = np.zeros((1, len(TURNED)))
        level[0, TURNED.index(ROLL)] = 1 / ROLL_SIGMA
        return (
            np.vstack([common.reshape(-1, COMMON), np.zeros((1, COMMON))]),
            np.vstack([weighed[:, :, TURNED].reshape(-1, len(TURNED)), level]),
            np.append((miss * relative[:, None]).ravel(), -rolled),
            float((square * relative).sum() + rolled**2),
        )

    def _missed(self, stand: Stand, index: int) -> tuple[Look, Array, Array]:
        """A look, its misses (n, 2) in standard deviations, and derivatives (n, 2, 9) of pixels.

        A point behind the camera, or nearly, misses by `FAR_OFF` in no direction.
        """
        look, camera = self.looks[index], np.empty(SIZE)
        camera[TURNED], camera[STANDING] = stand.turned[index], stand.common[:LENGTH]
        ground = ground_points(*stand.common[LENGTH : WIDTH + 1])[look.points]
        lasting = stand.common[SHARED:].reshape(-1, 2)[look.points]
        with np.errstate(over="ignore", invalid="ignore"):
            pixels, jacobian = cameras.view(camera, self.centre, ground)
            miss = (look.pixels - lasting - pixels) / look.sigma[:, None]
        behind = ~(np.abs(miss) < FAR_OFF).all(axis=1)
        miss[behind], jacobian[behind] = FAR_OFF, 0.0
        return look, miss, jacobian

    def _share_within(self, stand: Stand, index: int, limit: float) -> float:
        _, miss, _ = self._missed(stand, index)
        return float(((miss**2).sum(axis=1) < limit**2).mean())
