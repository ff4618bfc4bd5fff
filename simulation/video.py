"""Writes frames as H.264 in MP4, the same bytes for the same frames."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import av.error
import cv2
import numpy as np

from domain.errors import ResourceError
from simulation.arrays import Pixels

# One thread, and no macroblock tree, so that bytes repeat: x264's assembly for that tree gives
# varying files at widths such as 480.
ENCODER = {
    "preset": "veryfast",
    "threads": "1",
    "profile": "high",
    "x264-params": "mbtree=0",
}
KEYFRAME_S = 2


def write_video(
    path: Path,
    frames: Iterable[Pixels],
    count: int,
    rate: Fraction,
    size: tuple[int, int],
    crf: int,
    progress: Callable[[int, int], None] | None,
) -> Path:
    """Encode `frames` (height, width, 3; blue, green, red) to `path`, complete or not at all.

    `crf` is x264's constant rate factor; 23 gives a few Mbit/s at 720p, as press feeds have.

    Raises:
        ResourceError: the file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with av.open(str(unfinished), "w", format="mp4") as container:
            _encode(container, frames, count, rate, size, crf, progress)
        unfinished.replace(path)
    except (OSError, av.error.FFmpegError) as error:
        raise ResourceError(f"cannot write the video {path}: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def through_encoder(
    frames: Iterable[Pixels], rate: Fraction, size: tuple[int, int], crf: int
) -> list[Pixels]:
    """The frames as they come back from the video that `write_video` would write."""
    video = BytesIO()
    with av.open(video, "w", format="mp4") as container:
        _encode(container, frames, 0, rate, size, crf, None)
    video.seek(0)
    with av.open(video) as container:
        shown = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    return [np.asarray(image, dtype=np.uint8) for image in shown]


def _encode(
    container: av.container.OutputContainer,
    frames: Iterable[Pixels],
    count: int,
    rate: Fraction,
    size: tuple[int, int],
    crf: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    stream = container.add_stream("libx264", rate=rate, options={**ENCODER, "crf": str(crf)})
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.gop_size = max(round(KEYFRAME_S * rate), 1)
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = 1 / rate
    for done, image in enumerate(frames, start=1):
        planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base, frame.duration = done - 1, 1 / rate, 1
        container.mux(stream.encode(frame))
        if progress is not None:
            progress(done, count)
    container.mux(stream.encode())
