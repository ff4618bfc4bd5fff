"""What the ball tracker carries: open hypotheses, places to distrust, frames not final yet."""

import msgspec
import numpy as np

from stages.ground import CAMERA_SIZE

MAX_CANDIDATES = 6
# what a hypothesis says of a frame: a candidate's place in the list plus 16 times how it was
# reached, or one of these
UNDECIDED, ABSENT, MISSED = -3, -2, -1
FOLLOWED, KICKED, BORN = 0, 1, 2
KIND = 16


def _array(dtype: type, *shape: int) -> np.ndarray:
    return msgspec.field(default_factory=lambda: np.zeros((0, *shape), dtype))


class Frames(msgspec.Struct):
    """Frames in order, as columns. Pixels are those of each frame, NaN stands for unknown.

    `candidates` holds, for up to six boxes: u, v, confidence, evidence (log odds) and what speaks
    against a path that begins there. `scale` is pixels per metre. From `code` on, columns are
    filled when a frame is decided: `line` numbers unbroken runs of the ball (-1 where absent),
    `place`, `velocity` (pixels a second) and `covariance` (place, mixed, velocity; equal along both
    axes) are the filter's, `predicted` and `predicted_covariance` what it expected before it saw
    the frame, `zoom` the camera's.
    """

    frame: np.ndarray = _array(np.int64)
    time_s: np.ndarray = _array(np.float64)
    shot: np.ndarray = _array(np.int64)
    elapsed_s: np.ndarray = _array(np.float64)
    motion: np.ndarray = _array(np.float64, 9)
    camera: np.ndarray = _array(np.float64, CAMERA_SIZE)
    error_m: np.ndarray = _array(np.float64)
    scale: np.ndarray = _array(np.float64)
    candidates: np.ndarray = _array(np.float64, MAX_CANDIDATES, 5)
    code: np.ndarray = _array(np.int64)
    line: np.ndarray = _array(np.int64)
    place: np.ndarray = _array(np.float64, 2)
    velocity: np.ndarray = _array(np.float64, 2)
    covariance: np.ndarray = _array(np.float64, 3)
    predicted: np.ndarray = _array(np.float64, 4)
    predicted_covariance: np.ndarray = _array(np.float64, 3)
    zoom: np.ndarray = _array(np.float64)
    confidence: np.ndarray = _array(np.float64)


class Hypotheses(msgspec.Struct):
    """What may have happened, a row each; row 0 is "no ball in sight".

    `history` (n, lag) holds what each says of the last frames, the newest last.
    """

    score: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(1))
    place: np.ndarray = msgspec.field(default_factory=lambda: np.zeros((1, 2)))
    velocity: np.ndarray = msgspec.field(default_factory=lambda: np.zeros((1, 2)))
    covariance: np.ndarray = msgspec.field(default_factory=lambda: np.ones((1, 3)))
    unseen: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(1, np.int64))
    unseen_s: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(1))
    history: np.ndarray = msgspec.field(default_factory=lambda: np.zeros((1, 0), np.int16))


class Cloud(msgspec.Struct):
    """Particles (n, 4): u, v and their speeds; `trail` (n, k, 2) is where each came from."""

    particles: np.ndarray = _array(np.float32, 4)
    trail: np.ndarray = _array(np.float32, 0, 2)


class BallTrackingState(msgspec.Struct):
    """All that the stage knows between two calls.

    `marks` (n, 4) are places in the last frame's pixels where something ball-like was seen, for how
    many seconds, and whether the ball rolled there. `decided` counts the held frames that are
    decided, `clutter` is how many false boxes a usual frame has.
    """

    frames: Frames = msgspec.field(default_factory=Frames)
    hypotheses: Hypotheses = msgspec.field(default_factory=Hypotheses)
    cloud: Cloud = msgspec.field(default_factory=Cloud)
    marks: np.ndarray = _array(np.float64, 4)
    decided: int = 0
    emitted: int = 0
    lines: int = 0
    support: float = 0.0
    clock_s: float = 0.0
    shot: int = -1
    scale: float = 0.0
    clutter: float = 0.5


def take(frames: Frames, index: slice) -> Frames:
    """The frames of `index`."""
    return Frames(**{name: getattr(frames, name)[index] for name in Frames.__struct_fields__})


def join(first: Frames, second: Frames) -> Frames:
    """Frames of `first`, then those of `second`."""
    return Frames(
        **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in Frames.__struct_fields__
        }
    )
