"""Single frames of a simulated match with labels, laid out as detectors and calibrators train.

`players/` gets YOLO boxes (0 ball, 1 goalkeeper, 2 player, 3 referee), `pitch/` YOLO-pose points:
one box and the 32 points of `Pitch.points` as x, y and visibility (2 in the picture, 0 outside).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow.compute as pc

from domain.errors import InputError, ResourceError
from domain.pitch import Pitch
from simulation.arrays import Floats, Pixels
from simulation.match import SimulatedMatch
from simulation.rendering import FrameRenderer
from simulation.transitions import settled_frames
from simulation.variety import draw_look
from simulation.video import through_encoder

CLASS_NAMES = ("ball", "goalkeeper", "player", "referee")
BURST = 4  # a still is the last of so many frames, so that it is no keyframe
JPEG_QUALITY = 95
# People draw boxes about a pixel wider than the figure: on labelled footage a detector's boxes and
# the labels agree, on exact boxes the same detector's are 0.7 px wider on each side at 1280.
LABEL_MARGIN_PX_AT_1280 = 0.8

Progress = Callable[[int, int], None]


def write_stills(
    match: SimulatedMatch, folder: Path, count: int, progress: Progress | None = None
) -> list[Path]:
    """Write `count` frames, evenly spaced, as they look after video compression, with labels.

    Frames in which one shot turns into another are passed over: their labels are of one alone.
    Names are SEED_CAMERA_FRAME, so that the text before the first underscore is the match.

    Raises:
        InputError: there are fewer frames than that.
        ResourceError: the folder cannot be written.
    """
    settled = settled_frames(match.film)
    chosen = [
        int(settled[np.abs(settled - frame).argmin()])
        for frame in _spaced(match.options.frame_count, count)
    ]
    images = _compressed(match, chosen, progress)
    options, paths = match.options, []
    for frame, image in zip(chosen, images, strict=True):
        name = f"{options.seed}_{options.camera}_{frame:05d}"
        ok, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not ok:
            raise ResourceError(f"cannot encode frame {frame} as JPEG")
        for kind, label in (("players", box_label(match, frame)), ("pitch", _points(match, frame))):
            paths.append(_write(folder / kind, name, jpeg.tobytes(), label))
    return paths[::2]


def box_label(match: SimulatedMatch, frame: int) -> str:
    """YOLO lines of everything that the truth counts as seen in `frame`."""
    rows = match.tables["detections"].filter(pc.field("frame") == frame).to_pylist()
    size = np.array([match.options.width, match.options.height])
    margin, lines = LABEL_MARGIN_PX_AT_1280 * size[0] / 1280, []
    for row in rows:
        low = np.maximum(np.array([row["x1"], row["y1"]]) - margin, 0.0) / size
        high = np.minimum(np.array([row["x2"], row["y2"]]) + margin, size) / size
        values = [*(low + high) / 2, *(high - low)]
        lines.append(f"{CLASS_NAMES.index(row['role'])} {_numbers(values)}")
    return "".join(line + "\n" for line in lines)


def point_label(pixels: Floats, visible: np.ndarray, size: tuple[int, int]) -> str:
    """One YOLO-pose line for points (32, 2) in pixels; empty when none is visible."""
    if not visible.any():
        return ""
    shares = np.where(visible[:, None], pixels / np.array(size), 0.0)
    low, high = shares[visible].min(axis=0), shares[visible].max(axis=0)
    box = _numbers([*(low + high) / 2, *(high - low)])
    points = [
        f"{_numbers(point)} {2 if seen else 0}" for point, seen in zip(shares, visible, strict=True)
    ]
    return f"0 {box} {' '.join(points)}\n"


def _points(match: SimulatedMatch, frame: int) -> str:
    size = (match.options.width, match.options.height)
    ground = np.column_stack([Pitch().points(), np.zeros(len(Pitch().points()))])
    pixels, depth = match.camera.pixels(frame, ground)
    inside = (depth > 1.0) & ((pixels >= 0) & (pixels < np.array(size))).all(axis=1)
    return point_label(pixels, inside, size)


def _spaced(frames: int, count: int) -> list[int]:
    if not 1 <= count <= frames // BURST:
        raise InputError(f"stills: expected 1 to {frames // BURST} of this match, actual {count}")
    edges = np.linspace(0, frames, count + 1)
    return [int(at) for at in np.maximum((edges[:-1] + edges[1:]) / 2, BURST - 1)]


def _compressed(
    match: SimulatedMatch, chosen: Sequence[int], progress: Progress | None
) -> list[Pixels]:
    """The chosen frames after the video's encoder, each at the end of a burst."""
    renderer, options = FrameRenderer(match), match.options
    size, crf, images = (options.width, options.height), draw_look(options).lens.crf, []
    for done, frame in enumerate(chosen, start=1):
        burst = (renderer.frame(frame - BURST + 1 + step) for step in range(BURST))
        images.append(through_encoder(burst, options.rate, size, crf)[-1])
        if progress is not None:
            progress(done, len(chosen))
    return images


def _write(folder: Path, name: str, jpeg: bytes, label: str) -> Path:
    image = folder / "images" / f"{name}.jpg"
    try:
        for kind in ("images", "labels"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        image.write_bytes(jpeg)
        (folder / "labels" / f"{name}.txt").write_text(label, encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"cannot write to {folder}: {error}") from error
    return image


def _numbers(values: Sequence[float] | Floats) -> str:
    return " ".join(f"{value:.6f}" for value in values)
