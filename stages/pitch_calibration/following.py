"""Follows the camera from frame to frame: when to believe a sighting, when to start afresh."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from stages.pitch_calibration import camera as cameras
from stages.pitch_calibration.belief import Belief, Fit, Sighting
from stages.pitch_calibration.filtering import Moved, Since, moved, updated
from stages.pitch_calibration.first_look import FirstLook, lasting_part

Array = NDArray[np.float64]

# sightings in a row that must contradict the followed camera before a fresh look replaces it
DOUBTS = 3
# seconds of sightings in one stretch before its camera's place is worth remembering
SETTLED_S = 1.0
FIT_MEMORY_S = 2.0
# for how long looks at points tell whether the network knows such views: a look each 0.2 s renews a
# fifth of it. One look alone never takes all trust
TRUST_MEMORY_S, TRUST_GAIN = 0.9, 0.35
# what is said before the first look of a shot counts as so old
LOOK_S = 0.2
# share of the picture's width by which no camera moves unnoticed
JUMP_WIDTHS = 0.1


class Mix(msgspec.Struct):
    """Frames from `start` up to, not including, `end` in which two shots are mixed.

    The later shot begins at `middle`; `glances` (n,) are those of some of the frames, joined.
    """

    start: int
    end: int
    middle: int
    glances: np.ndarray


class Row(msgspec.Struct, array_like=True):
    """A frame that waits for what comes after it, with what is known of its camera so far.

    `mixed` frames belong to a dissolve or a wipe; `near` says that persons fill the picture;
    `change` is the mix in whose middle this row begins a shot.
    """

    frame: int
    time_s: float
    segment: int
    decoded: bool
    view: str = ""
    shot: int = 0
    mixed: bool = False
    near: bool = False
    change: Mix | None = None
    motion: np.ndarray | None = None
    mean: np.ndarray | None = None
    covariance: np.ndarray | None = None
    # what led here from the frame before; None where this frame's camera starts a stretch
    predicted: np.ndarray | None = None
    added: np.ndarray | None = None
    measured: bool = False
    # how much worse than expected points fit of late: a factor on standard deviations
    misfit: float = 1.0
    # share of the points seen in this shot that fit its camera, those of late above all
    trust: float = 1.0

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

    # time of the last sighting that fitted, and how many widths the picture has moved since
    seen_s: float = 0.0
    travel: float = 0.0
    # seconds for which the camera has stood still
    rested_s: float = 0.0
    # seconds of sightings in this stretch
    stretch_s: float = 0.0
    doubts: int = 0
    misfit: float = 1.0
    trust: float = 1.0
    # time of the last look that told of trust
    weighed_s: float = -LOOK_S
    known_mean: np.ndarray | None = None
    known_covariance: np.ndarray | None = None
    known_s: float = 0.0

    def begin_shot(self, time_s: float) -> None:
        """Trust the network anew."""
        self.trust, self.weighed_s = 1.0, time_s - LOOK_S

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

    def follow(self, row: Row, earlier: Sequence[Row], seen: Sighting, state: Followed) -> None:
        """Fill in the camera of `row` from what is seen and from the `earlier` rows that wait."""
        predicted = self._predicted(row, earlier, state)
        if predicted is None:
            if not self._start(row, seen, state):
                self._weigh(row, seen, 0.0, state)
        elif not self._continue(row, predicted, seen, state):
            state.doubts += 1
            if state.doubts >= DOUBTS and self._start(row, seen, state):
                self._start_over(row, earlier, predicted.belief, seen)
            else:
                self._weigh(row, seen, 0.0, state)

    def _predicted(self, row: Row, earlier: Sequence[Row], state: Followed) -> Moved | None:
        before = next((other for other in reversed(earlier) if other.decoded), None)
        belief = before.belief() if before else None
        if row.motion is None or before is None or belief is None:
            return None
        # a microsecond for times that are sums of frames
        if row.time_s - state.seen_s > self.max_propagation_s + 1e-6:
            return None
        elapsed_s = row.time_s - before.time_s
        predicted = moved(belief, row.motion.reshape(3, 3), elapsed_s, self.centre)
        state.travel += predicted.travel
        stands = not predicted.added.any()
        state.rested_s = state.rested_s + elapsed_s if stands else 0.0
        return predicted

    def _continue(self, row: Row, predicted: Moved, seen: Sighting, state: Followed) -> bool:
        """Take the prediction and what is seen; False where the two contradict each other."""
        row.predicted, row.added = predicted.belief.mean, predicted.added
        row.believe(predicted.belief)
        row.misfit = state.misfit
        if len(seen) == 0:
            return True
        since_s = row.time_s - state.seen_s
        since = Since(since_s, state.travel, state.rested_s)
        fit = updated(predicted.belief, seen, since, self.centre)
        if fit is None:
            return False
        self._accept(row, fit, seen, since_s, state)
        return True

    def _accept(self, row: Row, fit: Fit, seen: Sighting, since_s: float, state: Followed) -> None:
        row.believe(fit.belief)
        row.measured = bool(fit.agrees.sum() >= self.first_look.min_points)
        state.seen_s, state.travel, state.doubts = row.time_s, 0.0, 0
        state.stretch_s += min(since_s, SETTLED_S)
        share = min(since_s / FIT_MEMORY_S, 1.0)
        state.misfit += share * (fit.misfit - state.misfit)
        row.misfit = state.misfit
        self._weigh(row, seen, fit.agrees.sum(), state)
        self._remember(fit.belief, state)

    def _weigh(self, row: Row, seen: Sighting, agreeing: float, state: Followed) -> None:
        """Count how many of the points fit, where there are enough of them to tell."""
        if len(seen) >= self.first_look.min_points:
            news = 1 - np.exp((state.weighed_s - row.time_s) / TRUST_MEMORY_S)
            state.trust += min(float(news), TRUST_GAIN) * (agreeing / len(seen) - state.trust)
            state.weighed_s = row.time_s

    def _start(self, row: Row, seen: Sighting, state: Followed) -> bool:
        """Begin a new stretch at `row` where one frame alone tells the camera."""
        fit = self.first_look.camera(seen, state.known())
        if fit is None:
            return False
        row.forget()
        row.believe(fit.belief)
        row.measured, row.misfit = True, fit.misfit
        state.seen_s, state.travel, state.doubts = row.time_s, 0.0, 0
        state.stretch_s, state.rested_s, state.misfit = 0.0, 0.0, fit.misfit
        self._weigh(row, seen, fit.agrees.sum(), state)
        return True

    def _remember(self, belief: Belief, state: Followed) -> None:
        """Keep the place of the camera that the match shows longest, for shots to come."""
        if state.stretch_s < max(SETTLED_S, state.known_s):
            return
        place = lasting_part(belief)
        state.known_mean, state.known_covariance = place.mean, place.covariance
        state.known_s = state.stretch_s

    def _start_over(self, row: Row, earlier: Sequence[Row], before: Belief, seen: Sighting) -> None:
        """Forget the guesses since the last sighting: the new stretch is carried back over them.

        A camera that suddenly looks elsewhere is a cut that the pictures hid, as in a dissolve.
        """
        guesses = [row]
        for other in reversed(earlier):
            if other.measured:
                break
            other.forget()
            guesses.append(other)
        if row.mean is not None and self._looks_elsewhere(before.mean, row.mean, seen):
            guesses[-1].motion = None
            for guess in guesses:
                guess.shot += 1

    def _looks_elsewhere(self, before: Array, after: Array, seen: Sighting) -> bool:
        """Whether points of the pitch lie far from where they would be."""
        places = [cameras.view(camera, self.centre, seen.ground)[0] for camera in (before, after)]
        distance = np.nan_to_num(np.linalg.norm(places[1] - places[0], axis=1), nan=np.inf)
        return bool(np.median(distance) > JUMP_WIDTHS * 2 * self.centre[0])
