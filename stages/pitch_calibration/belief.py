"""What is believed of a camera, a mean and a covariance, and how seen pitch points change it.

One calculation serves the first look (with what is usual of cameras as the prior) and every later
one (with the prediction as the prior: an iterated extended Kalman update). Points that do not fit
lose their say by the Geman-McClure loss.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

# standard deviations beyond which a point counts as wrong
OUTLIER = 4.0
DAMPING = (1e-4, 1e6)
# a step that gains less, in squared standard deviations, is the last
ENOUGH = 0.01


@dataclass(frozen=True)
class Belief:
    """`mean` (9,) and `covariance` (9, 9) of a camera vector."""

    mean: Array
    covariance: Array

    def unlikeliness(self, place: Array) -> float:
        """Minus twice the log density, but for a constant, of a camera at `place` (3,)."""
        off = place - self.mean[X : Z + 1]
        covariance = self.covariance[X : Z + 1, X : Z + 1]
        return float(off @ np.linalg.solve(covariance, off)) + _log_determinant(covariance)


@dataclass(frozen=True)
class Lines:
    """Places on painted lines: `sights` (m, 6), as pitch_observation leaves them.

    Across its line each is known to `sigma` pixels, along it not at all.
    """

    sights: Array
    sigma: float

    @property
    def ground(self) -> Array:
        return self.sights[:, :2]

    @property
    def pixels(self) -> Array:
        return self.sights[:, 2:4]

    @property
    def normal(self) -> Array:
        return self.sights[:, 4:]

    def __len__(self) -> int:
        return len(self.sights)


NO_LINES = Lines(np.empty((0, 6)), 1.0)


@dataclass(frozen=True)
class Sighting:
    """Pitch points and lines seen in one frame; its length is the number of points.

    `ground` (n, 2) in metres, `pixels` (n, 2), `sigma` (n,) in pixels, each axis; `share` of it is
    news, the rest was in the sighting before.
    """

    ground: Array
    pixels: Array
    sigma: Array
    lines: Lines = NO_LINES
    share: float = 1.0

    def only(self, chosen: NDArray[np.bool_]) -> "Sighting":
        """Some of the points, and no lines."""
        return Sighting(
            self.ground[chosen], self.pixels[chosen], self.sigma[chosen], share=self.share
        )

    def __len__(self) -> int:
        return len(self.sigma)


@dataclass(frozen=True)
class Fit:
    """A belief after a sighting.

    `cost` is the sum of squared misses of what fits and of the prior, in standard deviations, over
    `agreeing` numbers; `loss` counts the others too, each at most `OUTLIER` squared, over `numbers`
    of them. `agrees` (n,) tells which points fit. `surprise` compares fits under different priors:
    minus twice the log probability of what is seen, but for a constant (Laplace's approximation,
    MacKay, "Bayesian interpolation", 1992), so that a vague prior pays for all that it allows.
    """

    belief: Belief
    cost: float
    loss: float
    agrees: NDArray[np.bool_]
    agreeing: int
    numbers: int
    surprise: float

    @property
    def misfit(self) -> float:
        """By how much what is seen misses more than it should: a factor, at least 1."""
        return max(float(np.sqrt(self.loss / max(self.numbers, 1))), 1.0)


def usual_camera(width: float) -> Belief:
    """What is known of a main camera before its first picture, `width` pixels wide.

    Positions as in eleven stadiums of the training footage: 58 to 78 m from the pitch's middle, 13
    to 20 m up, rolled by 1.5 degrees at most; here with three times that room. Their widest
    pictures bend lines by 6 to 10 pixels of 1920 at the edges, which is a k1 of about 0.05.
    """
    mean, sigma = np.zeros(SIZE), np.zeros(SIZE)
    mean[[TILT, LOG_FOCAL, Y, Z]] = -0.25, np.log(1.2 * width), -80.0, 22.0
    sigma[[PAN, TILT, ROLL, LOG_FOCAL]] = 1.5, 0.3, 0.06, 0.8
    sigma[[X, Y, Z, LOG_ASPECT]] = 25.0, 30.0, 12.0, 0.005
    sigma[K1] = 0.05
    return Belief(mean, np.diag(sigma**2))


def camera_behind_goal(width: float, half_length_m: float) -> Belief:
    """The same for a camera behind the left goal: +x is the goal farther from it."""
    usual = usual_camera(width)
    mean, sigma = usual.mean.copy(), np.sqrt(np.diag(usual.covariance))
    mean[[PAN, TILT, X, Y]] = np.pi / 2, -0.4, -half_length_m - 30.0, 0.0
    sigma[[X, Y]] = 25.0, 15.0
    return Belief(mean, np.diag(sigma**2))


def low_camera(width: float) -> Belief:
    """The same for a phone or a small camera beside the pitch, in hands or on a tripod.

    It stands 1.5 to 6 m up and 5 to 30 m behind the near touchline (y is -34 m there), its lens
    shows more than a broadcaster's and bends more.
    """
    usual = usual_camera(width)
    mean, sigma = usual.mean.copy(), np.sqrt(np.diag(usual.covariance))
    mean[[TILT, LOG_FOCAL, Y, Z, K1]] = -0.1, np.log(1.1 * width), -51.0, 4.0, -0.03
    sigma[[LOG_FOCAL, X, Y, Z, K1]] = 0.5, 25.0, 13.0, 1.6, 0.06
    return Belief(mean, np.diag(sigma**2))


def adjusted(
    prior: Belief,
    seen: Sighting,
    centre: Array,
    start: Array,
    rounds: int,
    outlier: float = OUTLIER,
) -> Fit | None:
    """The most probable camera given `prior` and `seen`, sought from `start` (9,), and its spread.

    Levenberg-Marquardt; None where a seen point would be behind the camera. A point that misses by
    `outlier` standard deviations has half its say, and counts as not fitting.
    """
    precision: Array = np.asarray(np.linalg.inv(prior.covariance), np.float64)
    look = _Look(prior.mean, precision, seen, centre, outlier)
    camera, damping, state = start, DAMPING[0], look.linearised(start)
    while state is not None and rounds > 0 and damping <= DAMPING[1]:
        rounds -= 1
        damped = state.normal + damping * np.diag(np.diag(state.normal))
        step = np.linalg.solve(damped, state.slope)
        after = look.linearised(camera + step)
        if after is None or after.objective > state.objective:
            damping *= 10
            continue
        gain = state.objective - after.objective
        camera, state, damping = camera + step, after, max(damping / 10, DAMPING[0])
        if gain < ENOUGH:
            break
    return None if state is None else state.fit(camera, len(seen), precision)


@dataclass(frozen=True)
class _Linearised:
    """Normal equations at a camera.

    `square` (n + m,) are squared misses in standard deviations, of n points and then of m lines.
    """

    normal: Array
    slope: Array
    objective: float
    square: Array
    prior_cost: float
    outlier: float

    def fit(self, camera: Array, points: int, precision: Array) -> Fit:
        """The fit at `camera` to so many points; `precision` (9, 9) is the prior's."""
        spread = np.linalg.inv(self.normal)
        agrees = self.square < self.outlier**2
        loss = self.square / (1 + self.square / self.outlier**2)
        numbers = np.repeat([2, 1], [points, len(self.square) - points])
        total = float(loss.sum()) + self.prior_cost
        return Fit(
            belief=Belief(camera, (spread + spread.T) / 2),
            cost=float(self.square[agrees].sum()) + self.prior_cost,
            loss=total,
            agrees=agrees[:points],
            agreeing=int(numbers[agrees].sum()),
            numbers=int(numbers.sum()),
            surprise=total + _log_determinant(self.normal) - _log_determinant(precision),
        )


@dataclass(frozen=True)
class _Look:
    """A prior (mean and inverse covariance) and a sighting, to be made to agree."""

    mean: Array
    precision: Array
    seen: Sighting
    centre: Array
    outlier: float

    def linearised(self, camera: Array) -> _Linearised | None:
        seen, lines = self.seen, self.seen.lines
        places = np.concatenate([seen.ground, lines.ground])
        pixels, jacobian = cameras.view(camera, self.centre, places)
        miss = (np.concatenate([seen.pixels, lines.pixels]) - pixels) / self._sigma[:, None]
        # across a line; a point counts along both axes
        count = len(seen)
        across = np.einsum("mi,mi->m", lines.normal, miss[count:])
        square = np.concatenate([(miss[:count] ** 2).sum(axis=1), across**2])
        if not np.isfinite(square).all():
            return None
        off = self.mean - camera
        pull = self.precision @ off
        relative = 1 / (1 + square / self.outlier**2)
        weighed = jacobian * (relative / self._sigma)[:, None, None]
        of_lines = np.einsum("mi,mij->mj", lines.normal, weighed[count:])
        rows = np.concatenate([weighed[:count].reshape(-1, SIZE), of_lines])
        misses = np.concatenate([miss[:count].ravel(), across])
        misses *= np.repeat(relative, np.repeat([2, 1], [count, len(lines)]))
        share, prior_cost = seen.share, float(off @ pull)
        return _Linearised(
            normal=share * (rows.T @ rows) + self.precision,
            slope=share * (rows.T @ misses) + pull,
            objective=share * float((square * relative).sum()) + prior_cost,
            square=square,
            prior_cost=prior_cost,
            outlier=self.outlier,
        )

    @property
    def _sigma(self) -> Array:
        return np.append(self.seen.sigma, np.full(len(self.seen.lines), self.seen.lines.sigma))


def _log_determinant(matrix: Array) -> float:
    return float(np.linalg.slogdet(matrix)[1])
