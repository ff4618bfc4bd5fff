"""What is known about a video before any of its frames is used."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Colour:
    """Colour description by FFmpeg's names; `unknown` where the file does not say."""

    space: str
    primaries: str
    transfer: str
    range: str


@dataclass(frozen=True)
class Orientation:
    """How a stored picture is brought upright: transpose first, then the two flips."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def clockwise_deg(self) -> int:
        """Rotation in degrees clockwise (0, 90, 180, 270), leaving a mirroring aside."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_x and self.flip_y else 0


@dataclass(frozen=True)
class AudioInfo:
    """The first audio stream. Times are in seconds on the container's clock."""

    stream: int
    codec: str
    sample_rate_hz: int
    channels: int
    start_time_s: float
    duration_s: float | None


@dataclass(frozen=True)
class VideoInfo:
    """One video stream, as the probe found it.

    `coded_width` and `coded_height` are the stored pixels. `width` and `height` are the frames
    that `decode` gives by default: square pixels, upright. `aspect_told`: the pictures themselves
    tell the shape of their pixels, so it may change. `left_out`: the file's other video streams,
    in words. `start_time_s` is on the container's clock; everywhere else time 0 is the first
    presented frame. `duration_s` and `header_packets` are only what the header claims.
    """

    container: str
    codec: str
    stream: int
    coded_width: int
    coded_height: int
    sample_aspect_ratio: Fraction
    aspect_told: bool
    orientation: Orientation
    frame_rate: Fraction | None
    time_base: Fraction
    start_time_s: float
    duration_s: float | None
    header_packets: int | None
    pixel_format: str
    colour: Colour
    interlaced: bool
    field_packets: bool
    reorder_depth: int
    left_out: tuple[str, ...]
    audio: AudioInfo | None

    @property
    def square_size(self) -> tuple[int, int]:
        """(width, height) with square pixels, not yet upright.

        Lines are never resampled: the width is stretched, as players do.
        """
        return max(1, round(self.coded_width * self.sample_aspect_ratio)), self.coded_height

    @property
    def width(self) -> int:
        """Width of an upright frame with square pixels, in pixels."""
        return self.square_size[1 if self.orientation.transpose else 0]

    @property
    def height(self) -> int:
        """Height of an upright frame with square pixels, in pixels."""
        return self.square_size[0 if self.orientation.transpose else 1]

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads; fractions are written `a/b`."""
        return json.dumps(asdict(self), default=str, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> VideoInfo:
        """The inverse of `to_json`."""
        return cls.from_facts(json.loads(text))

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> VideoInfo:
        """From parsed JSON: the probe's answer or `to_json`'s text."""
        rate, audio = facts["frame_rate"], facts["audio"]
        return cls(
            **{
                **facts,
                "sample_aspect_ratio": Fraction(facts["sample_aspect_ratio"]),
                "frame_rate": None if rate is None else Fraction(rate),
                "time_base": Fraction(facts["time_base"]),
                "left_out": tuple(facts["left_out"]),
                "orientation": Orientation(**facts["orientation"]),
                "colour": Colour(**facts["colour"]),
                "audio": None if audio is None else AudioInfo(**audio),
            }
        )


def fit(width: int, height: int, box: tuple[int, int] | None) -> tuple[int, int]:
    """The largest (width, height) of the same aspect inside `box`, never above the source's."""
    if box is None:
        return width, height
    scale = min(1.0, box[0] / width, box[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def image_info(width: int, height: int, rate: Fraction, images: int) -> VideoInfo:
    """The description of a sequence of images, as if it were a video."""
    return VideoInfo(
        container="images",
        codec="images",
        stream=0,
        coded_width=width,
        coded_height=height,
        sample_aspect_ratio=Fraction(1),
        aspect_told=False,
        orientation=Orientation(),
        frame_rate=rate,
        time_base=1 / rate,
        start_time_s=0.0,
        duration_s=float(images / rate),
        header_packets=images,
        pixel_format="bgr24",
        colour=Colour("rgb", "unknown", "unknown", "unknown"),
        interlaced=False,
        field_packets=False,
        reorder_depth=0,
        left_out=(),
        audio=None,
    )
