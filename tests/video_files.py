"""Small video files for tests: every frame carries its number as a row of light and dark blocks.

A picture's identity can so be read from its pixels, after any codec, scale or quarter turn.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BITS = 12
SIZE = (192, 108)
FRAMES = 200


def numbered_frame(number: int, width: int = SIZE[0], height: int = SIZE[1]) -> NDArray[np.uint8]:
    """uint8 [height, width, 3] BGR: the number's bits on top, a moving pattern below."""
    x = np.arange(width)[None, :]
    y = np.arange(height)[:, None]
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = (x * 2 + number * 3) % 256
    image[..., 1] = (y * 3 + number) % 256
    image[..., 2] = ((x + y) // 8 % 2) * 90 + (number * 7) % 100
    bits = [number >> bit & 1 for bit in reversed(range(BITS))]
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit, left, right in zip(bits, edges[:-1], edges[1:], strict=True):
        image[: height // 4, left:right] = 225 if bit else 30
    return image


def read_number(image: NDArray[np.uint8]) -> int:
    """The number drawn on top of an upright frame."""
    height, width = image.shape[:2]
    edges = np.linspace(0, width, BITS + 1)
    value = 0
    for left, right in zip(edges[:-1], edges[1:], strict=True):
        quarter = (right - left) / 4
        block = image[height // 16 : height * 3 // 16, int(left + quarter) : int(right - quarter)]
        value = value << 1 | int(block.mean() > 127)
    return value


def encode(
    path: Path,
    codec: str = "libx264",
    *,
    size: tuple[int, int] = SIZE,
    frames: int = FRAMES,
    rate: int = 25,
    times_s: Iterable[float] | None = None,
    rotation_deg: int = 0,
    aspect: Fraction | None = None,
    first_number: int = 0,
    **options: Any,
) -> Path:
    """Writes numbered frames to `path`; `times_s` gives each frame's time instead of `rate`."""
    base = Fraction(1, 90_000) if times_s is not None else Fraction(1, rate)
    ticks = range(frames) if times_s is None else [round(t / base) for t in times_s]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = base
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        for number, tick in enumerate(ticks):
            image = numbered_frame(number + first_number, *size)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = tick, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def open_gop_h264(path: Path) -> Path:
    """B-frames before a keyframe refer to pictures before it; the suffix picks the container."""
    params = "open-gop=1:keyint=25:min-keyint=25:scenecut=0:bframes=3:b-pyramid=normal:b-adapt=0"
    return encode(path, preset="veryfast", **{"x264-params": params})


def open_gop_hevc(path: Path) -> Path:
    """The same in HEVC: clean random access pictures with leading pictures."""
    params = "open-gop=1:keyint=25:min-keyint=25:scenecut=0:bframes=4:log-level=none:pools=1"
    return encode(path, "libx265", preset="ultrafast", **{"x265-params": params})


def intra_refresh(path: Path) -> Path:
    """Keyframes in name only: a picture is whole again after one sweep of intra blocks."""
    params = "intra-refresh=1:keyint=25:scenecut=0:bframes=0"
    return encode(path, preset="veryfast", **{"x264-params": params})


def single_keyframe(path: Path) -> Path:
    """One keyframe, at the start."""
    return encode(path, preset="veryfast", **{"x264-params": "keyint=infinite:scenecut=0"})


def variable_rate(path: Path) -> Path:
    """Gaps that grow and shrink between 20 and 100 ms, as phones record them."""
    return encode(path, times_s=variable_times(), preset="veryfast", g="30")


def variable_times() -> NDArray[np.float64]:
    """Times in seconds, float64 [FRAMES], on the 90 kHz clock of the file."""
    gaps = 0.06 + 0.04 * np.sin(np.arange(FRAMES - 1) / 7)
    times: NDArray[np.float64] = np.round(np.concatenate([[0.0], np.cumsum(gaps)]) * 90_000)
    return times / 90_000


def four_k(path: Path, frames: int = 6) -> Path:
    """A few frames of 3840x2160."""
    return encode(path, size=(3840, 2160), frames=frames, preset="ultrafast")


def edit_list(path: Path, source: Path, start_s: float) -> Path:
    """`source` from `start_s` on without re-encoding: the cut-off frames stay in the file."""
    command = ["-ss", str(start_s), "-i", str(source), "-map", "0:v", "-c", "copy", str(path)]
    return ffmpeg(command, path)


def with_sound(path: Path, source: Path, offset_s: float = 0.0, duration_s: float = 8.0) -> Path:
    """`source` with a tone that starts at `offset_s`."""
    tone = f"sine=frequency=440:duration={duration_s}"
    inputs = ["-i", str(source), "-itsoffset", str(offset_s), "-f", "lavfi", "-i", tone]
    return ffmpeg([*inputs, "-c:v", "copy", "-c:a", "aac", str(path)], path)


def only_sound(path: Path) -> Path:
    """A file without a video stream."""
    return ffmpeg(["-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(path)], path)


def without_header(path: Path, source: Path) -> Path:
    """The first 60 % of an MP4 whose header stands at its end: a recording that was cut off."""
    data = source.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    return path


def damaged(path: Path, source: Path, start: float = 0.5, length: int = 3000) -> Path:
    """`source` with `length` bytes at the fraction `start` overwritten by noise."""
    data = bytearray(source.read_bytes())
    begin = int(len(data) * start)
    noise = np.random.default_rng(1).integers(0, 256, length, np.uint8).tobytes()
    data[begin : begin + length] = noise
    path.write_bytes(data)
    return path


def ffmpeg(arguments: list[str], result: Path) -> Path:
    """Runs the ffmpeg command and gives `result` back."""
    program = shutil.which("ffmpeg")
    assert program is not None, "the tests need the ffmpeg command"
    subprocess.run(
        [program, "-v", "error", "-nostdin", "-y", *arguments], check=True, capture_output=True
    )
    return result
