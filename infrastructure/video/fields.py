"""Interlaced pictures: two fields of different moments become one picture of the first's moment.

A player who runs is drawn as a comb where the fields are shown together. Nothing but the picture
itself is looked at, so a frame looks the same wherever its segment begins.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph

COMB_LEVELS = 10
"""How far a line stands out from both its neighbours, in levels of 255, before it is a comb."""

GROWN = np.ones((5, 7), np.uint8)
"""A comb's surroundings, in lines of a field and pixels, that are replaced with it."""


class Fields:
    """Splits pictures into fields, as pictures of half the lines: colours are stored by field."""

    def __init__(self) -> None:
        self._graphs: dict[tuple[str, int, int, str], Graph] = {}

    def split(self, frame: VideoFrame) -> tuple[VideoFrame, VideoFrame]:
        """The top field and the bottom one."""
        return self._field(frame, "top"), self._field(frame, "bottom")

    def _field(self, frame: VideoFrame, name: str) -> VideoFrame:
        key = (name, frame.width, frame.height, frame.format.name)
        if key not in self._graphs:
            self._graphs[key] = _field_graph(frame, name)
        graph = self._graphs[key]
        graph.vpush(frame)
        return graph.vpull()


def _field_graph(frame: VideoFrame, name: str) -> Graph:
    from av.filter import Graph

    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 25),  # asked for and not used
        ),
        graph.add("field", f"type={name}"),
        graph.add("buffersink"),
    ).configure()
    return graph


def weave(top: NDArray[np.uint8], bottom: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture whose even lines are `top`'s, uint8 [lines of both, width, 3].

    The odd ones are `bottom`'s where nothing moved between the fields, else the mean of the lines
    beside them.
    """
    below = np.concatenate([top[1:], top[-1:]])[: len(bottom)]
    above = top[: len(bottom)]
    odd = bottom.copy()
    mean = cv2.addWeighted(above, 0.5, below, 0.5, 0)
    cv2.copyTo(mean, _combed(above[..., 1], bottom[..., 1], below[..., 1]), odd)
    image = np.empty((len(top) + len(odd), *top.shape[1:]), np.uint8)
    image[0::2], image[1::2] = top, odd
    return image


def _combed(
    above: NDArray[np.uint8], line: NDArray[np.uint8], below: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Mask of the lines that stand out from both neighbours twice as much as in their own field.

    A still thin line stands out from its own field as well, so it stays.
    """
    line = np.ascontiguousarray(line)
    out = cv2.max(
        cv2.subtract(np.minimum(above, below), line), cv2.subtract(line, np.maximum(above, below))
    )
    padded = cv2.copyMakeBorder(line, 1, 1, 0, 0, cv2.BORDER_REFLECT_101)
    own = cv2.min(cv2.absdiff(line, padded[:-2]), cv2.absdiff(line, padded[2:]))
    combed = cv2.compare(
        out, cv2.max(cv2.add(own, own), np.full_like(own, COMB_LEVELS)), cv2.CMP_GT
    )
    combed[-1] = 0  # one neighbour alone tells nothing
    return np.asarray(cv2.dilate(combed, GROWN), np.uint8)
