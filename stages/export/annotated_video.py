"""annotated.mp4: the input with what was found drawn on it, at the input's own timestamps."""

from collections.abc import Collection
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.error
import cv2
import numpy as np

from application.stage import Image, MatchFacts, WholeMatch
from domain.errors import ResourceError
from stages.export.drawing import Painter
from stages.export.scenes import Scenes

TIME_BASE = Fraction(1, 90000)
# Bytes depend on the number of threads, so it is fixed; with the macroblock tree x264 gave other
# bytes for the same pictures at some sizes.
ENCODER = {"preset": "superfast", "crf": "23", "bf": "0", "x264-params": "mbtree=0"}
THREADS = 2
_LIMITED_RANGE, _BT601 = 1, 6


@dataclass
class Annotated:
    """What was written: how many frames, and stills asked for, as JPEG by their times in s."""

    frames: int = 0
    stills: dict[float, bytes] = field(default_factory=dict)


def write(
    match: WholeMatch,
    facts: MatchFacts,
    path: Path,
    *,
    radar: bool,
    still_frames: Collection[int] = (),
) -> Annotated:
    """Write H.264 in MP4 to `path`, a frame for each decoded one.

    An odd width or height grows by a pixel: the encoder's colour planes are half as large.

    Raises:
        ResourceError: the file cannot be written.
    """
    painter = Painter(facts.pitch, facts.width, facts.height, radar=radar)
    scenes = Scenes(match)
    written = Annotated()
    try:
        with av.open(str(path), "w", format="mp4") as container:
            stream = _stream(container, facts)
            for frame in match.frames():
                if frame.image is None or not frame.owned:
                    continue
                picture = painter.paint(frame.image, scenes.at(frame.number), frame.time_s)
                container.mux(stream.encode(_encodable(picture, frame.time_s)))
                written.frames += 1
                if frame.number in still_frames:
                    written.stills[frame.time_s] = _still(picture)
            container.mux(stream.encode())
    except (OSError, av.error.FFmpegError) as error:
        raise ResourceError(f"annotated.mp4 cannot be written: {error}") from error
    return written


def _still(picture: Image) -> bytes:
    """At most 1280 pixels wide."""
    scale = min(1280 / picture.shape[1], 1.0)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return bytes(data)


def _stream(container: av.container.OutputContainer, facts: MatchFacts) -> av.VideoStream:
    rate = Fraction(facts.frame_rate).limit_denominator(1001)
    stream = container.add_stream("libx264", rate=rate, options=ENCODER)
    stream.width, stream.height = facts.width + facts.width % 2, facts.height + facts.height % 2
    stream.pix_fmt = "yuv420p"
    stream.time_base = TIME_BASE
    context = stream.codec_context
    context.time_base = TIME_BASE
    context.thread_count = THREADS
    context.gop_size = max(round(2 * facts.frame_rate), 1)
    context.color_range, context.colorspace = _LIMITED_RANGE, _BT601
    return stream


def _encodable(picture: Image, time_s: float) -> av.VideoFrame:
    """OpenCV's conversion takes a quarter of the time of swscale's, with the same coefficients."""
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420))
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts, frame.time_base = round(time_s / TIME_BASE), TIME_BASE
    return frame
