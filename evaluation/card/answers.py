"""What the card asks of the product: callables, so that this package knows no models."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.detection import Detect, Detections
from evaluation.events import Analyse
from evaluation.pitch import Calibrate, ImageCamera

Image = NDArray[np.uint8]
Encode = Callable[[Image, int], Image]
"""An image as it comes back from H.264 video of a constant rate factor; sides are even."""


@dataclass(frozen=True)
class SimulatedCase:
    """A simulated match of the card. Its seed is one of those that only tests may use."""

    name: str
    seed: int
    seconds: float
    camera: str = "main"
    width: int = 1280
    height: int = 720
    fps: float = 25.0
    broadcast: bool = False


@dataclass(frozen=True)
class Answers:
    """The product as the card sees it.

    Attributes:
        detect, calibrate: for one image (height, width, 3) BGR.
        events: for real tracking.
        render: a folder with a simulated match's truth tables, truth.json and match.mp4.
        play: the same without the video.
        conditions: what the seed draws for a match: light, weather, graphics, in words.
        analyse: a folder with the tables of an analysed video.
        encode: an image after video compression.
        frames: the images of a video by frame number, counted from 0 in order of presentation.
        scratch: a folder outside the repository for what takes long to make again.
        saved_s: seconds that reading what earlier runs left there has saved so far.
    """

    detect: Detect
    calibrate: Calibrate
    events: Analyse
    render: Callable[[SimulatedCase], Path]
    play: Callable[[SimulatedCase], Path]
    conditions: Callable[[SimulatedCase], str]
    analyse: Callable[[Path], Path]
    encode: Encode
    frames: Callable[[Path, Sequence[int]], Mapping[int, Image]]
    scratch: Path
    saved_s: Callable[[], float] = lambda: 0.0


@dataclass
class Remembered:
    """Answers to images, each asked for once: sections look at the same images several times."""

    detector: Detect
    calibrator: Calibrate
    _known: dict[tuple[str, bytes], Any] = field(default_factory=dict)

    def detect(self, image: Image) -> Detections:
        found: Detections = self._once("detect", image, self.detector)
        return found

    def calibrate(self, image: Image) -> ImageCamera | None:
        found: ImageCamera | None = self._once("calibrate", image, self.calibrator)
        return found

    def _once(self, what: str, image: Image, ask: Callable[[Image], Any]) -> Any:
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        if (what, digest) not in self._known:
            self._known[what, digest] = ask(image)
        return self._known[what, digest]
