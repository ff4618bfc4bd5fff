"""Small video files for tests: every frame carries its number as a row of light and dark blocks.

A picture's identity can so be read from its pixels, after any codec, scale or quarter turn.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from infrastructure.video.decode import Frame
from infrastructure.video.source import VideoSource

BITS = 12
SIZE = (192, 108)
FRAMES = 200
SMALL_SIZE, SMALL = (160, 120), 50


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
    rate: int | Fraction = 25,
    times_s: Iterable[float] | None = None,
    rotation_deg: int = 0,
    aspect: Fraction | None = None,
    first_number: int = 0,
    pixel_format: str = "yuv420p",
    draw: Callable[..., NDArray[np.uint8]] = numbered_frame,
    **options: Any,
) -> Path:
    """Writes numbered frames to `path`; `times_s` gives each frame's time instead of `rate`."""
    base = Fraction(1, 90_000) if times_s is not None else 1 / Fraction(rate)
    ticks = range(frames) if times_s is None else [round(t / base) for t in times_s]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = base
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        for number, tick in enumerate(ticks):
            image = draw(number + first_number, *size)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = tick, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def small(path: Path, codec: str = "libx264", **options: Any) -> Path:
    """50 frames of 160x120, two seconds, a keyframe in the middle."""
    given = {"size": SMALL_SIZE, "frames": SMALL, "g": "25"} | options
    if codec == "libx264":
        given.setdefault("preset", "veryfast")
    return encode(path, codec, **given)


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


def display_matrix(path: Path, source: Path, matrix: tuple[int, int, int, int]) -> Path:
    """The MP4 `source` with the a, b, c, d of its track's display matrix (ISO 14496-12) set."""
    data = bytearray(source.read_bytes())
    # Past the name come version and flags, then 20 bytes of version 0, then 16 up to the matrix.
    start = data.index(b"tkhd") + 4 + 4 + 20 + 16
    (a, b, c, d), one = matrix, 1 << 16
    struct.pack_into(">9i", data, start, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def woven(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Two moments in one picture: the even lines of frame 2n, the odd ones of frame 2n + 1."""
    image = numbered_frame(2 * number, width, height)
    image[1::2] = numbered_frame(2 * number + 1, width, height)[1::2]
    return image


def at_clock(path: Path, source: Path, start_s: float) -> Path:
    """`source` as a transport stream whose clock shows `start_s` at its first frame."""
    delay = ["-muxdelay", "0", "-muxpreload", "0"]
    offset = ["-c", "copy", "-output_ts_offset", str(start_s), *delay]
    return ffmpeg(["-i", str(source), *offset, str(path)], path)


def glued(path: Path, *sources: Path) -> Path:
    """The bytes of several transport streams in one file, as recorders and `cat` join them."""
    path.write_bytes(b"".join(source.read_bytes() for source in sources))
    return path


def remuxed(path: Path, sources: list[Path], *options: str) -> Path:
    """The first video streams of all `sources` in one file, without re-encoding."""
    inputs = [word for source in sources for word in ("-i", str(source))]
    maps = [word for number in range(len(sources)) for word in ("-map", f"{number}:v:0")]
    return ffmpeg([*inputs, *maps, "-c", "copy", *options, str(path)], path)


def digest(image: NDArray[np.uint8] | None) -> str | None:
    """A picture's name by its pixels."""
    return None if image is None else f"{zlib.crc32(np.ascontiguousarray(image).data):08x}"


def hashes(frames: Iterable[Frame]) -> list[str | None]:
    """The names of the pictures."""
    return [digest(frame.image) for frame in frames]


def numbers(frames: Iterable[Frame]) -> list[int | None]:
    """What the pictures say that they are."""
    return [None if frame.image is None else read_number(frame.image) for frame in frames]


def joined(source: VideoSource, cuts: list[int], threads: int = 1) -> list[Frame]:
    """All frames, decoded piece by piece between the cuts."""
    edges = [0, *cuts, source.index.frame_count]
    return [
        frame
        for first, last in zip(edges[:-1], edges[1:], strict=True)
        for frame in source.decode(first, last, threads=threads)
    ]


def ffmpeg(arguments: list[str], result: Path) -> Path:
    """Runs the ffmpeg command and gives `result` back."""
    program = shutil.which("ffmpeg")
    assert program is not None, "the tests need the ffmpeg command"
    subprocess.run(
        [program, "-v", "error", "-nostdin", "-y", *arguments], check=True, capture_output=True
    )
    return result
