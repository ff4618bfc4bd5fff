"""The product as the accuracy card asks it: one image, tracking, a simulated match, a video."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.commands.analyze import analyze, configured, of_inputs
from domain.errors import InputError
from evaluation.card.answers import Answers, Image, Remembered, SimulatedCase
from evaluation.detection import Detections
from evaluation.pitch import ImageCamera

if TYPE_CHECKING:
    from infrastructure.single_frame import SingleFrameAnalysis
    from simulation import SimulationOptions

ENCODED_FRAMES = 3
_ROOT = Path(__file__).resolve().parents[3]
_SIMULATOR = ("simulation", "domain")
_ANALYSIS = ("application", "domain", "infrastructure", "stages")


def product(settings: Sequence[str], scratch: Path) -> Answers:
    """What the card asks, under the single options `stage.option=value`."""
    from infrastructure.single_frame import SingleFrameAnalysis, events_in_tracking

    values = option_values(settings)
    analysis = SingleFrameAnalysis(values)
    remembered = Remembered(
        lambda image: detections(analysis, image), lambda image: camera(analysis, image)
    )
    rooms = _Rooms(scratch, tuple(settings))
    return Answers(
        detect=remembered.detect,
        calibrate=remembered.calibrate,
        events=lambda *given: events_in_tracking(values, *given),
        render=rooms.rendered,
        play=rooms.played,
        conditions=conditions,
        analyse=rooms.analysed,
        encode=encoded,
        frames=images_of,
        scratch=scratch,
        saved_s=rooms.saved_s,
    )


def option_values(settings: Sequence[str]) -> dict[str, Any]:
    """A configuration's values, for what is no match."""
    given = configured(None, settings)
    of_inputs(given, ["-"])
    values: dict[str, Any] = given.values
    return values


def detections(analysis: "SingleFrameAnalysis", image: Image) -> Detections:
    """The detector's boxes of one image as the scores read them."""
    import numpy as np

    rows = analysis.detections(image)
    xyxy = np.column_stack([rows[name].to_numpy() for name in ("x1", "y1", "x2", "y2")])
    return Detections(xyxy, rows["confidence"].to_numpy(), rows["role"].to_numpy(False))


def camera(analysis: "SingleFrameAnalysis", image: Image) -> ImageCamera | None:
    """The camera of one image as the scores read it."""
    import numpy as np

    (row,) = analysis.calibration(image).to_pylist()
    if row["homography"] is None:
        return None
    bend = row["k1"] / row["focal_px"] ** 2 if row["k1"] else 0.0
    return ImageCamera(np.array(row["homography"]).reshape(3, 3), bend)


def images_of(video: Path, numbers: Sequence[int]) -> Mapping[int, Image]:
    """The images of these frames, decoded as for an analysis.

    Raises:
        InputError: a frame is not there, or cannot be decoded.
    """
    from infrastructure.video.source import open_source

    wanted = set(numbers)
    if not wanted:
        return {}
    source = open_source(video)
    last = min(max(wanted) + 1, source.index.frame_count)
    found = {
        frame.number: frame.image
        for frame in source.decode(min(wanted), max(last, min(wanted)))
        if frame.number in wanted and frame.image is not None
    }
    if missing := sorted(wanted - set(found)):
        raise InputError(f"{video}: has no frame {missing[0]}")
    return found


def encoded(image: Image, crf: int) -> Image:
    """The image after video compression: the last of a few alike, so that it is no keyframe."""
    from simulation.video import through_encoder

    size = (image.shape[1], image.shape[0])
    return through_encoder([image] * ENCODED_FRAMES, Fraction(25), size, crf)[-1]


def conditions(case: SimulatedCase) -> str:
    """What the seed of a case draws: light, weather, grass and graphics, in words."""
    from simulation.variety import draw_look

    look = draw_look(simulation_options(case))
    told = (
        ("a stand's shadow", look.light.shade),
        ("rain", look.rain),
        ("haze", look.haze),
        ("wet grass", look.grass.wet),
        ("frost", look.grass.frost),
        ("graphics", look.graphics != "none"),
    )
    light = {"flood": "floodlight"}.get(look.light.kind, look.light.kind)
    return ", ".join([light, *(word for word, amount in told if amount)])


def simulation_options(case: SimulatedCase) -> "SimulationOptions":
    """A case as the simulator wants it.

    Raises:
        InputError: the simulator cannot do that.
    """
    from simulation import SimulationOptions

    return SimulationOptions(**{k: v for k, v in asdict(case).items() if k != "name"})


class _Rooms:
    """Folders of rendered and of analysed matches, each made once for what it is made from."""

    def __init__(self, scratch: Path, settings: tuple[str, ...]) -> None:
        self._scratch, self._settings = scratch, settings
        self._known: dict[Path, float] = {}

    def saved_s(self) -> float:
        """How long it took to make what earlier runs had left, and this one only read."""
        return sum(self._known.values())

    def rendered(self, case: SimulatedCase) -> Path:
        """A folder with the truth tables and match.mp4 of a case."""
        return self._simulated(case, video=True)

    def played(self, case: SimulatedCase) -> Path:
        """A folder with the truth tables of a case."""
        return self._simulated(case, video=False)

    def _simulated(self, case: SimulatedCase, *, video: bool) -> Path:
        from api.commands.simulate import Ticker
        from simulation import simulate, write

        chosen = simulation_options(case)
        made_from = _digest(asdict(chosen), video, code_digest(_SIMULATOR))
        folder, ticker = self._scratch / "matches" / made_from, Ticker(f"rendering {case.name}")
        return self._made(
            folder, lambda: write(simulate(chosen), folder, video=video, progress=ticker)
        )

    def analysed(self, video: Path) -> Path:
        """The folder of tables of an analysed video."""
        made_by = code_digest((*_ANALYSIS, "models"))
        folder = self._scratch / "analyses" / _digest(str(video), self._settings, made_by)
        given = configured(None, self._settings)
        of_inputs(given, [str(video)])
        return self._made(folder, lambda: analyze(given, folder))

    def _made(self, folder: Path, make: Callable[[], object]) -> Path:
        """`folder`, made by `make` unless it is there whole; a file tells how long that took."""
        whole = folder / "whole.json"
        if whole.is_file():
            self._known.setdefault(folder, float(json.loads(whole.read_text())))
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        began = time.monotonic()
        make()
        whole.write_text(json.dumps(round(time.monotonic() - began, 1)))
        self._known[folder] = 0.0
        return folder


@cache
def code_digest(packages: Sequence[str]) -> str:
    """Over the bytes of every file of these folders: other code may give other results."""
    total = hashlib.blake2b(digest_size=16)
    for package in packages:
        for path in sorted((_ROOT / package).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                total.update(path.relative_to(_ROOT).as_posix().encode() + b"\0")
                total.update(path.read_bytes())
    return total.hexdigest()


def _digest(*of: Any) -> str:
    return hashlib.blake2b(json.dumps(of).encode(), digest_size=10).hexdigest()
