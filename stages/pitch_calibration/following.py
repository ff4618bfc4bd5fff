"""Follows the camera from frame to frame: when to believe a sighting, when to start afresh."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from stages.pitch_calibration.belief import Belief, Fit, Sighting
from stages.pitch_calibration.camera import TURNING
from stages.pitch_calibration.filtering import Moved, moved, updated
from stages.pitch_calibration.first_look import FirstLook, lasting_part

Array = NDArray[np.float64]

# sightings in a row that must contradict the followed camera before a fresh look replaces it
DOUBTS = 3
# seconds of sightings in one stretch before its camera's place is worth remembering
SETTLED_S = 1.0
FIT_MEMORY_S = 2.0
# radians of pan, tilt and roll, and log zoom, by which no camera moves unnoticed in a few frames
JUMP = np.array([0.05, 0.03, 0.05, 0.2])


class Row(msgspec.Struct):
    """A frame that waits for what comes after it, with what is known of its camera so far."""

    frame: int
    time_s: float
    segment: int
    decoded: bool
    view: str = ""
    shot: int = 0
    motion: np.ndarray | None = None
    mean: np.ndarray | None = None
    covariance: np.ndarray | None = None
    # what led here from the frame before; None where this frame's camera starts a stretch
    predicted: np.ndarray | None = None
    added: np.ndarray | None = None
    measured: bool = False
    # how much worse than expected points fit of late: a factor on standard deviations
    misfit: float = 1.0

    def belief(self) -> Belief | None:
        if self.mean is None or self.covariance is None:
            return None
        return Belief(self.mean, self.covariance)

    def believe(self, belief: Belief) -> None:
        self.mean, self.covariance = belief.mean, belief.covariance

    def forget(self) -> None:
        self.mean = self.covariance = self.predicted = self.added = None


class Followed(msgspec.Struct):
    """What is carried from frame to frame beside the rows."""

    measured_s: float = 0.0
    stretch_s: float = 0.0
    doubts: int = 0
    misfit: float = 1.0
    known_mean: np.ndarray | None = None
    known_covariance: np.ndarray | None = None
    known_s: float = 0.0

    def known(self) -> Belief | None:
        if self.known_mean is None or self.known_covariance is None:
            return None
        return Belief(self.known_mean, self.known_covariance)


@dataclass(frozen=True)
class Follower:
    """The rules. `centre` (2,) is the picture's middle in pixels."""

    first_look: FirstLook
    centre: Array
    max_propagation_s: float
    frame_s: float

    def follow(self, row: Row, earlier: Sequence[Row], seen: Sighting, state: Followed) -> None:
        """Fill in the camera of `row` from what is seen and from the `earlier` rows that wait."""
        predicted = self._predicted(row, earlier, state)
        if predicted is None:
            self._start(row, seen, state)
        elif not self._continue(row, predicted, seen, state):
            state.doubts += 1
            if state.doubts >= DOUBTS and self._start(row, seen, state):
                self._start_over(row, earlier, predicted.belief)

    def _predicted(self, row: Row, earlier: Sequence[Row], state: Followed) -> Moved | None:
        before = next((other for other in reversed(earlier) if other.decoded), None)
        belief = before.belief() if before else None
        if row.motion is None or before is None or belief is None:
            return None
        # a microsecond for times that are sums of frames
        if row.time_s - state.measured_s > self.max_propagation_s + 1e-6:
            return None
        elapsed_s = row.time_s - before.time_s
        return moved(belief, row.motion.reshape(3, 3), elapsed_s, self.centre)

    def _continue(self, row: Row, predicted: Moved, seen: Sighting, state: Followed) -> bool:
        """Take the prediction and what is seen; False where the two contradict each other."""
        row.predicted, row.added = predicted.belief.mean, predicted.added
        row.believe(predicted.belief)
        row.misfit = state.misfit
        if len(seen) == 0:
            return True
        since_s = row.time_s - state.measured_s
        fit = updated(predicted.belief, seen, since_s, self.centre)
        if fit is None or 2 * fit.agrees.sum() <= len(seen):
            return False
        self._accept(row, fit, since_s, state)
        return True

    def _accept(self, row: Row, fit: Fit, since_s: float, state: Followed) -> None:
        row.believe(fit.belief)
        row.measured = bool(fit.agrees.sum() >= self.first_look.min_points)
        if not row.measured:
            return
        share = min(since_s / FIT_MEMORY_S, 1.0)
        state.misfit += share * (fit.misfit - state.misfit)
        row.misfit = state.misfit
        state.measured_s, state.doubts = row.time_s, 0
        state.stretch_s += min(since_s, self.frame_s)
        self._remember(fit.belief, state)

    def _start(self, row: Row, seen: Sighting, state: Followed) -> bool:
        """Begin a new stretch at `row` where one frame alone tells the camera."""
        fit = self.first_look.camera(seen, state.known())
        if fit is None:
            return False
        row.forget()
        row.believe(fit.belief)
        row.measured, row.misfit = True, fit.misfit
        state.measured_s, state.doubts, state.stretch_s = row.time_s, 0, 0.0
        state.misfit = row.misfit
        return True

    def _remember(self, belief: Belief, state: Followed) -> None:
        """Keep the place of the camera that the match shows longest, for shots to come."""
        if state.stretch_s < max(SETTLED_S, state.known_s):
            return
        place = lasting_part(belief)
        state.known_mean, state.known_covariance = place.mean, place.covariance
        state.known_s = state.stretch_s

    def _start_over(self, row: Row, earlier: Sequence[Row], before: Belief) -> None:
        """Forget the guesses since the last sighting: the new stretch is carried back over them.

        A camera that is suddenly elsewhere is a cut that the pictures hid, as in a dissolve.
        """
        guesses = [row]
        for other in reversed(earlier):
            if other.measured:
                break
            other.forget()
            guesses.append(other)
        if row.mean is not None and (np.abs(row.mean - before.mean)[TURNING] > JUMP).any():
            guesses[-1].motion = None
            for guess in guesses:
                guess.shot += 1
