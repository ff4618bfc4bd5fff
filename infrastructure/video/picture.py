"""From a decoded picture to the array that everything downstream takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from infrastructure.video.fields import Fields, weave
from infrastructure.video.info import Orientation, VideoInfo, fit
from infrastructure.video.tone import ToneMap, needs_tone

if TYPE_CHECKING:
    from fractions import Fraction

    from av import VideoFrame

HD_LINES = 720

SAME_SHAPE = 0.02
"""Shapes that differ by less are one: sizes are rounded, and 702 of 720 pixels are shown on TV."""


class Picture:
    """Converts decoded pictures to upright BGR arrays, uint8 [height, width, 3].

    BGR because OpenCV draws and writes it; an inference tensor's channels are swapped for free
    while it is built. Pixels are square, colours BT.709, moving fields one moment. One instance
    belongs to one thread.
    """

    def __init__(self, info: VideoInfo, size: tuple[int, int] | None) -> None:
        self._info = info
        width, height = fit(info.width, info.height, size)
        self._size = (height, width) if info.orientation.transpose else (width, height)
        self._convert = Converter(info)
        self._fields = Fields()

    def array(self, frame: VideoFrame, aspect: Fraction | None = None) -> NDArray[np.uint8]:
        """uint8 [height, width, 3], C-contiguous.

        `aspect` is the shape of the frame's pixels, the file's by default. A frame of another
        shape than the file's first keeps its own, between black bars.
        """
        display = frame.width * float(aspect or self._info.sample_aspect_ratio)
        size = inside(display / frame.height, self._size)
        if frame.interlaced_frame:
            image = self._one_moment(frame, size)
        else:
            image = self._convert(frame, size, shrink=size[0] < round(display))
        return upright(centred(image, self._size), self._info.orientation)

    def _one_moment(self, frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        fields = self._fields.split(frame)
        top, bottom = (self._convert(f, (size[0], f.height), shrink=False) for f in fields)
        return resized(weave(top, bottom), size)


class Converter:
    """Pixel format, colours and size."""

    def __init__(self, info: VideoInfo) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        colour = info.colour
        tone = needs_tone(colour.transfer, colour.primaries)
        self._tone = ToneMap(colour.transfer, colour.primaries) if tone else None
        self._options: dict[str, Any] = {
            "format": "rgb48le" if tone else "bgr24",
            "threads": 1,  # a conversion takes 0.4 ms at 720 lines; more gained nothing
        }
        mistagged = colour.space == "rgb" and info.pixel_format.startswith("yuv")
        if (colour.space == "unknown" or mistagged) and (tone or info.coded_height >= HD_LINES):
            # Untagged HD is BT.709; libswscale would take BT.601 and shift every colour.
            self._options["src_colorspace"] = "BT2020" if tone else "ITU709"

    def __call__(
        self, frame: VideoFrame, size: tuple[int, int], *, shrink: bool
    ) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] BGR of `size` (width, height)."""
        way = "AREA" if shrink else "BICUBIC"
        image = self._reformatter.reformat(
            frame, width=size[0], height=size[1], interpolation=way, **self._options
        ).to_ndarray()
        if self._tone:
            return self._tone(np.asarray(image, np.uint16))
        return np.asarray(image, np.uint8)


def inside(shape: float, box: tuple[int, int]) -> tuple[int, int]:
    """The largest (width, height) of `shape` (width by height) in `box`, or all of it if near."""
    width, height = box
    if abs(shape * height / width - 1) < SAME_SHAPE:
        return box
    return max(1, min(width, round(height * shape))), max(1, min(height, round(width / shape)))


def centred(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """`image` in the middle of a black picture of `size` (width, height)."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    canvas[top : top + height, left : left + width] = image
    return canvas


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture at `size` (width, height)."""
    if image.shape[1::-1] == size:
        return image
    way = cv2.INTER_AREA if image.shape[0] > size[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)


def upright(image: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    """The picture as it should be seen."""
    if orientation.transpose:
        image = np.asarray(cv2.transpose(image), np.uint8)
    if orientation.flip_x or orientation.flip_y:
        code = -1 if orientation.flip_x and orientation.flip_y else int(orientation.flip_x)
        image = np.asarray(cv2.flip(image, code), np.uint8)
    return image
