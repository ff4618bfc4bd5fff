"""What may be asked of the simulator, and the seeds that each use of it owns."""

import math
from dataclasses import dataclass
from fractions import Fraction

from domain.errors import InputError
from simulation.formations import FORMATIONS
from simulation.schedule import Schedule

CAMERAS = ("main", "wide", "behind_goal", "amateur", "drone")

# Seeds are split by use, so that no simulated match is both trained on and scored.
VALIDATION_SEEDS_FROM = 900_000
TEST_SEEDS_FROM = 950_000
LAST_SEED = 999_999

MAX_SECONDS = 7200.0  # two halves with added time and a break
BREAK_RANGE_S = (10.0, 1800.0)
MIN_SECONDS = 1.0
FPS_RANGE = (5.0, 60.0)
WIDTH_RANGE = (160, 3840)
HEIGHT_RANGE = (90, 2160)


def seed_use(seed: int) -> str:
    """The use that owns `seed`: training, validation or test."""
    if seed < VALIDATION_SEEDS_FROM:
        return "training"
    return "validation" if seed < TEST_SEEDS_FROM else "test"


@dataclass(frozen=True)
class SimulationOptions:
    """A match to simulate. The same options give the same bytes on one machine.

    `seconds` are played from the kick-off of the first half, which ends at `half_time_s` where that
    is given; after `break_s` the teams have changed ends and the second half begins. `fps` frames
    a second of `width` by `height` pixels (even numbers) are seen by `camera`; `broadcast` cuts
    from the main camera to others, close-ups and replays; a formation that is not given is drawn by
    the seed.

    Raises:
        InputError: a value is outside its legal range.
    """

    seed: int
    seconds: float
    fps: float = 25.0
    width: int = 1280
    height: int = 720
    camera: str = "main"
    broadcast: bool = False
    half_time_s: float | None = None
    break_s: float = 60.0
    home_formation: str | None = None
    away_formation: str | None = None

    def __post_init__(self) -> None:
        _within("seed", self.seed, 0, LAST_SEED)
        _within("seconds", self.seconds, MIN_SECONDS, MAX_SECONDS)
        _within("fps", self.fps, *FPS_RANGE)
        _even("width", self.width, *WIDTH_RANGE)
        _even("height", self.height, *HEIGHT_RANGE)
        _one_of("camera", self.camera, CAMERAS)
        if self.broadcast and self.camera != "main":
            raise InputError(f"simulation: a broadcast starts from main, not from {self.camera}")
        _within("break_s", self.break_s, *BREAK_RANGE_S)
        if self.half_time_s is not None:
            _within("half_time_s", self.half_time_s, MIN_SECONDS, self.seconds)
            if self.half_time_s + self.break_s > self.seconds:
                raise InputError(
                    f"simulation: half_time_s {self.half_time_s:g} and break_s {self.break_s:g} "
                    f"leave nothing of the {self.seconds:g} seconds for a second half"
                )
        for name in ("home_formation", "away_formation"):
            if getattr(self, name) is not None:
                _one_of(name, getattr(self, name), tuple(FORMATIONS))

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.seconds, self.half_time_s, self.break_s)

    @property
    def rate(self) -> Fraction:
        """Frames a second as the fraction that the video states: 29.97 is 30000/1001."""
        broadcast = Fraction(round(self.fps) * 1000, 1001)
        if self.fps != round(self.fps) and abs(float(broadcast) - self.fps) < 0.005:
            return broadcast
        return Fraction(self.fps).limit_denominator(1000)

    @property
    def frame_count(self) -> int:
        """Frames of the video: those whose time is below `seconds`."""
        return max(math.ceil(self.seconds * self.rate - 1e-9), 1)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (isinstance(value, int | float) and low <= value <= high):
        raise InputError(f"simulation: {name}: expected {low} to {high}, actual {value}")


def _even(name: str, value: int, low: int, high: int) -> None:
    _within(name, value, low, high)
    if value % 2:
        raise InputError(f"simulation: {name}: expected an even number of pixels, actual {value}")


def _one_of(name: str, value: str, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise InputError(f"simulation: {name}: expected one of {', '.join(legal)}, actual {value}")
