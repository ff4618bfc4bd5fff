"""A camera from one frame alone: RANSAC, then the most probable camera, then a check of sense."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from domain.pitch import Pitch
from stages.pitch_calibration import camera as cameras
from stages.pitch_calibration.belief import (
    OUTLIER,
    Belief,
    Fit,
    Sighting,
    adjusted,
    camera_behind_goal,
    low_camera,
    usual_camera,
)
from stages.pitch_calibration.camera import LOG_FOCAL, PAN, ROLL, SIZE, TILT, X, Z

Array = NDArray[np.float64]
Chosen = NDArray[np.bool_]

ROUNDS = 30
WIDENINGS = (4.0, 2.0, 1.0)
# a fit worse than one in a thousand good ones is no fit
SURPRISE = 1e-3
# numbers of a camera that stay as it turns: roll, place, aspect and k1
LASTING = 6
# of the points that a camera should show, this share must be seen: far more are, of a real pitch
SEEN_SHARE = 0.45
MANY_POINTS, LARGEST_MISFIT = 8, 2.5


class FirstLook:
    """Finds the camera of one frame. `centre` (2,) is the picture's middle in pixels."""

    def __init__(
        self, centre: Array, pitch: Pitch, min_points: int, ransac_threshold_m: float
    ) -> None:
        self.centre = centre
        self.points = pitch.points()
        width = 2 * centre[0]
        self.families = (
            usual_camera(width),
            camera_behind_goal(width, pitch.half_length_m),
            low_camera(width),
        )
        self.min_points = min_points
        self.ransac_threshold_m = ransac_threshold_m

    def camera(self, seen: Sighting, known: Belief | None) -> Fit | None:
        """The camera that sees `seen`, or None where nothing sensible fits.

        `known` is the match's main camera, whose place then helps where it agrees.
        """
        if len(seen) < self.min_points:
            return None
        fits = [self._fitted(seen, *start) for start in self._starts(seen)]
        best = min((fit for fit in fits if fit), key=lambda found: found.surprise, default=None)
        if known is not None:
            best = self._at_known_place(best, seen, known) or best
        return best if best is not None and self._sensible(best) else None

    def _starts(self, seen: Sighting) -> list[tuple[Belief, Chosen, Array]]:
        """Families, the points that a camera is first fitted to, and the camera to start from."""
        everything = np.ones(len(seen), bool)
        starts = [
            (family, everything, aimed(family.mean, seen, self.centre)) for family in self.families
        ]
        homography, mask = cv2.findHomography(
            seen.pixels, seen.ground, cv2.RANSAC, self.ransac_threshold_m, maxIters=500
        )
        if homography is not None and mask.sum() >= self.min_points:
            found = cameras.from_homography(homography, self.centre)
            starts += [] if found is None else [(self._family(found), mask[:, 0] > 0, found)]
        return [(family, chosen, start) for family, chosen, start in starts if start is not None]

    def _family(self, camera: Array) -> Belief:
        """The family whose cameras stand where this one does."""
        place = camera[X : Z + 1]
        return min(self.families, key=lambda family: family.unlikeliness(place))

    def _fitted(self, seen: Sighting, prior: Belief, chosen: Chosen, start: Array) -> Fit | None:
        """From some points to all that fit, which may be more."""
        first = adjusted(prior, seen.only(chosen), self.centre, start, ROUNDS, OUTLIER * 4)
        return first and self._tightened(prior, seen, first.belief.mean)

    def _tightened(self, prior: Belief, seen: Sighting, camera: Array) -> Fit | None:
        """Fit to all points; the limit for outliers tightens in steps, else the start decides.

        Graduated non-convexity (Blake and Zisserman, 1987).
        """
        fit = None
        for widening in WIDENINGS:
            fit = adjusted(prior, seen, self.centre, camera, ROUNDS, OUTLIER * widening)
            if fit is None:
                return None
            camera = fit.belief.mean
        return fit

    def _in_view(self, camera: Array) -> int:
        """How many of the pitch's points lie well inside the picture: most should be seen."""
        pixels, _ = cameras.view(camera, self.centre, self.points)
        return int((np.abs(pixels - self.centre) < 0.94 * self.centre).all(axis=1).sum())

    def _at_known_place(self, best: Fit | None, seen: Sighting, known: Belief) -> Fit | None:
        """The fit with `known` as the prior, unless it is much worse than the best without."""
        start = aimed(known.mean, seen, self.centre) if best is None else best.belief.mean
        fit = None if start is None else self._tightened(known, seen, start)
        worst = np.inf if best is None else best.loss + chi2.ppf(1 - SURPRISE, LASTING)
        return fit if fit is not None and fit.loss < worst else None

    def _sensible(self, fit: Fit) -> bool:
        """Whether enough points agree, as well as good ones do, on a camera above the ground."""
        count = int(fit.agrees.sum())
        if count < self.min_points or count * 2 <= len(fit.agrees):
            return False
        # the numbers seen and nine of the prior, less the nine that were fitted; many points that
        # agree roughly are a pitch or a lens of its own kind, and then only the error is larger
        unsurprising = fit.cost < chi2.ppf(1 - SURPRISE, fit.agreeing)
        unsurprising |= count >= MANY_POINTS and fit.misfit < LARGEST_MISFIT
        camera = fit.belief.mean
        return bool(
            unsurprising
            and count >= SEEN_SHARE * self._in_view(camera)
            and 1.0 < camera[Z] < 100.0
            and abs(camera[LOG_FOCAL] - np.log(2 * self.centre[0])) < np.log(15)
        )


def aimed(camera: Array, seen: Sighting, centre: Array) -> Array | None:
    """The camera (9,) at the place of `camera`, turned and zoomed to look at what is seen.

    Angles are taken as small: least squares over directions against pixels. None for a view that
    only a mirror would give.
    """
    away = np.column_stack([seen.ground, np.zeros(len(seen))]) - camera[X : Z + 1]
    level = np.hypot(away[:, 0], away[:, 1])
    pan, tilt = np.arctan2(away[:, 0], away[:, 1]), np.arctan2(away[:, 2], level)
    none, one = np.zeros(len(seen)), np.ones(len(seen))
    across = np.column_stack([pan * np.cos(tilt), -one, none])
    down = np.column_stack([-tilt, none, one])
    offset = (seen.pixels - centre).T.ravel()
    focal, panned, tilted = np.linalg.lstsq(np.vstack([across, down]), offset, rcond=None)[0]
    if focal <= 0:
        return None
    start = camera.copy()
    start[PAN] = panned / focal / np.cos(np.median(tilt))
    start[TILT], start[ROLL], start[LOG_FOCAL] = tilted / focal, 0.0, np.log(focal)
    return start


def lasting_part(belief: Belief) -> Belief:
    """What of a camera stays as it turns and zooms: roll, place, aspect, k1; the rest unknown."""
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
    doubt[cameras.K1] = 0.01**2
    return doubt
