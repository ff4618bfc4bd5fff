"""A camera from one frame alone: RANSAC, then the most probable camera, then a check of sense."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from stages.pitch_calibration import camera as cameras
from stages.pitch_calibration.belief import (
    OUTLIER,
    Belief,
    Fit,
    Sighting,
    adjusted,
    camera_behind_goal,
    usual_camera,
)
from stages.pitch_calibration.camera import LOG_FOCAL, SIZE, TILT, X, Y, Z

Array = NDArray[np.float64]

ROUNDS = 30
WIDENINGS = (4.0, 2.0, 1.0)
# focal lengths, over the picture's width, tried where the points alone do not tell it
FOCALS = (0.8, 1.5, 3.0)
# a fit worse than one in a thousand good ones is no fit
SURPRISE = 1e-3
MANY_POINTS, LARGEST_MISFIT = 8, 2.5


class FirstLook:
    """Finds the camera of one frame. `centre` (2,) is the picture's middle in pixels."""

    def __init__(
        self, centre: Array, half_length_m: float, min_points: int, ransac_threshold_m: float
    ) -> None:
        self.centre = centre
        self.half_length_m = half_length_m
        self.min_points = min_points
        self.ransac_threshold_m = ransac_threshold_m

    def camera(self, seen: Sighting, known: Belief | None) -> Fit | None:
        """The camera that sees `seen`, or None where nothing sensible fits.

        `known` is the match's main camera, whose place then helps where it agrees.
        """
        if len(seen) < self.min_points:
            return None
        homography, chosen = cv2.findHomography(
            seen.pixels, seen.ground, cv2.RANSAC, self.ransac_threshold_m, maxIters=500
        )
        if homography is None or chosen.sum() < self.min_points:
            return None
        fits = [
            self._fitted(seen, chosen[:, 0] > 0, start)
            for start in self._starts(np.asarray(homography))
        ]
        best = min((fit for fit in fits if fit), key=lambda fit: fit.cost, default=None)
        if best is None or not self._sensible(best):
            return None
        return best if known is None else self._at_known_place(best, seen, known)

    def _starts(self, homography: Array) -> list[Array]:
        logs = [None, *(np.log(focal * 2 * self.centre[0]) for focal in FOCALS)]
        found = [cameras.from_homography(homography, self.centre, log) for log in logs]
        sensible = [start for start in found if start is not None and abs(start[TILT]) < 1.5]
        # the points' own focal length, where there is one, needs no other try
        return sensible[:1] if found[0] is not None else sensible

    def _fitted(self, seen: Sighting, chosen: NDArray[np.bool_], start: Array) -> Fit | None:
        """From the points of one homography to all that fit, which may be more.

        The limit for outliers tightens in steps (graduated non-convexity, Blake and Zisserman,
        1987), else the first few points decide for good.
        """
        prior, camera = self._prior(start), start
        fit = adjusted(prior, seen.only(chosen), self.centre, camera, ROUNDS)
        for widening in WIDENINGS:
            if fit is None:
                return None
            camera, limit = fit.belief.mean, OUTLIER * widening
            fit = adjusted(prior, seen, self.centre, camera, ROUNDS, limit)
        return fit

    def _prior(self, start: Array) -> Belief:
        """A camera beyond the goal line, within the pitch's width, stands behind the goal."""
        if start[X] < -self.half_length_m and abs(start[Y]) < -start[X] - self.half_length_m:
            return camera_behind_goal(2 * self.centre[0], self.half_length_m)
        return usual_camera(2 * self.centre[0])

    def _sensible(self, fit: Fit) -> bool:
        """Whether enough points agree, as well as good ones do, on a camera above the ground."""
        count = int(fit.agrees.sum())
        if count < self.min_points or count * 2 <= len(fit.agrees):
            return False
        # two numbers a point and eight of the prior, less the eight that were fitted; many points
        # that agree roughly are a lens that bends lines, and then only the error is larger
        unsurprising = fit.cost < chi2.ppf(1 - SURPRISE, 2 * count)
        unsurprising |= count >= MANY_POINTS and fit.misfit < LARGEST_MISFIT
        camera = fit.belief.mean
        return bool(
            unsurprising
            and 1.0 < camera[Z] < 100.0
            and abs(camera[LOG_FOCAL] - np.log(2 * self.centre[0])) < np.log(15)
        )

    def _at_known_place(self, fit: Fit, seen: Sighting, known: Belief) -> Fit:
        """The fit with `known` as the prior, if the two agree on where the camera stands."""
        off = fit.belief.mean - known.mean
        lasting = known.covariance.diagonal() < 1e3
        together = (fit.belief.covariance + known.covariance)[np.ix_(lasting, lasting)]
        distance = off[lasting] @ np.linalg.solve(together, off[lasting])
        if distance > chi2.ppf(1 - SURPRISE, int(lasting.sum())):
            return fit
        again = adjusted(known, seen, self.centre, fit.belief.mean, ROUNDS)
        return again if again is not None and self._sensible(again) else fit


def lasting_part(belief: Belief) -> Belief:
    """What of a camera stays when it turns and zooms: roll, place and aspect; the rest unknown."""
    covariance = belief.covariance.copy()
    for index in (cameras.PAN, cameras.TILT, cameras.LOG_FOCAL):
        covariance[index], covariance[:, index] = 0.0, 0.0
        covariance[index, index] = 1e4
    return Belief(belief.mean, covariance + np.diag(_doubt()))


def _doubt() -> Array:
    """Variances that keep a camera's memory from being surer than a lens allows."""
    doubt = np.zeros(SIZE)
    doubt[cameras.ROLL] = 0.003**2
    doubt[X : Z + 1] = 0.3**2
    doubt[cameras.LOG_ASPECT] = 0.001**2
    return doubt
