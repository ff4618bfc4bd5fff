"""Decoding any stretch of frames, equal to one straight decode of the whole file.

Seeking to a keyframe and decoding to the next one, as is often done, loses the frames that an
open GOP shows before its keyframe and those that an edit list moves. Here a stretch is read from
a keyframe that is shown no later than its first frame, packets are fed past its end until every
owned frame is out, and each picture is known by its number, not by counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, dropwhile, islice
from typing import TYPE_CHECKING

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from domain.errors import ResourceError
from infrastructure.video.containers import BYTE_SEEKABLE, open_video
from infrastructure.video.packets import NOT_SET, video_packets
from infrastructure.video.picture import Picture

if TYPE_CHECKING:
    from pathlib import Path

    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

    from infrastructure.video.index import FrameIndex
    from infrastructure.video.info import VideoInfo

PRE_ROLLS = (300, 1500)
"""Packets read before a stretch that no keyframe precedes, and at the second try."""

EARLIER_KEYFRAMES = 2
"""How many keyframes further back are tried when frames of the first are missing."""

PACKETS_TO_SYNC = 2000
"""Packets looked at after a seek before it counts as failed."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame by its number in the whole source.

    `time_s` is seconds from the source's first frame; `image` uint8 [height, width, 3] BGR, or
    None where the decoder cannot give a sound picture.
    """

    number: int
    time_s: float
    image: NDArray[np.uint8] | None

    @property
    def decoded(self) -> bool:
        """Whether there is a picture."""
        return self.image is not None


def decode(
    path: Path,
    info: VideoInfo,
    index: FrameIndex,
    first: int,
    last: int,
    *,
    threads: int = 1,
    keep: NDArray[np.bool_] | None = None,
    size: tuple[int, int] | None = None,
) -> Iterator[Frame]:
    """Frames [first, last) in order, each exactly once.

    A frame that cannot be decoded, or that the decoder marks as corrupt, comes without image.
    Sound pictures are the same for any number of `threads`; in damaged ones that the decoder
    does not mark, FFmpeg conceals errors only with one.
    `keep` (bool [frames]) leaves frames out; `size` (width, height) is a box to shrink into.
    Raises InputError when the file cannot be opened, ResourceError when memory runs out.
    """
    if not 0 <= first <= last <= index.frame_count:
        raise ValueError(f"frames {first} to {last}: expected within 0 to {index.frame_count}")
    picture = Picture(info, size)
    run = _Run(path, info, index, threads)
    for number, frame in run.frames(first, last):
        if keep is None or keep[number]:
            image = None if frame is None else picture.array(frame)
            yield Frame(number, float(index.time_s[number]), image)


def start_rows(index: FrameIndex, first: int) -> list[int]:
    """Packet rows from which frame `first` can be decoded, best first, each earlier than the last.

    The best is the last keyframe that is neither read nor shown after the frame; what an open
    GOP shows before that keyframe then belongs to an earlier stretch.
    """
    packets, row = index.packets, int(index.packet[first])
    keys = np.flatnonzero(packets.key[: row + 1])
    shown = np.where(packets.frame[keys] >= 0, packets.frame[keys], 0)
    hidden = packets.frame[keys] < 0
    usable = keys[(hidden & (packets.pts[keys] <= index.pts[first])) | (~hidden & (shown <= first))]
    if len(usable):
        return [int(key) for key in usable[: -2 - EARLIER_KEYFRAMES : -1]]
    rows = [max(0, row - pre_roll) for pre_roll in PRE_ROLLS]
    return sorted(set(rows), reverse=True)


class _Run:
    """The decoding of one stretch: a pass, and passes from further back where it has holes."""

    def __init__(self, path: Path, info: VideoInfo, index: FrameIndex, threads: int) -> None:
        self.path, self.info, self.index, self.threads = path, info, index, threads

    def frames(self, first: int, last: int) -> Iterator[tuple[int, VideoFrame | None]]:
        """Every number in [first, last), with None where no pass gives the picture.

        A hole ends its pass and the rest comes from an earlier start, as long as there is one to
        try. Starts go back two keyframes from the hole, so a stretch costs three passes at most.
        """
        start: int | None = start_rows(self.index, first)[0] if first < last else None
        while start is not None:
            earlier = None
            for number, frame in self._pass(first, last, start):
                if number > first:
                    earlier = self._earlier(first, start)
                    if earlier is not None:
                        break
                    yield from _holes(first, number)
                yield number, frame
                first = number + 1
            else:
                earlier = self._earlier(first, start) if first < last else None
            start = earlier
        yield from _holes(first, last)

    def _earlier(self, first: int, start: int) -> int | None:
        return next((row for row in start_rows(self.index, first) if row < start), None)

    def _pass(self, first: int, last: int, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Sound pictures of [first, last) in order, decoded from packet row `start` on."""
        if start > 0:
            with open_video(self.path, self.info.stream) as (container, stream):
                found = self._seek(container, stream, start)
                if found is not None:
                    yield from self._sound(stream, found, first, last)
                    return
        # No seek led there: read from the beginning, which always does.
        with open_video(self.path, self.info.stream) as (container, stream):
            packets = enumerate(video_packets(container, stream))
            yield from self._sound(stream, _from_row(start, packets), first, last)

    def _seek(
        self, container: InputContainer, stream: VideoStream, start: int
    ) -> Iterator[tuple[int, Packet[VideoStream]]] | None:
        """Rows and packets from `start` on, or None when every seek lands behind it.

        Where a seek lands is not believed: the first packets are looked up in the index.
        """
        for offset, is_byte in self._targets(start):
            try:
                container.seek(offset, stream=stream, unsupported_byte_offset=is_byte)
                packets = video_packets(container, stream)
                for packet in islice(packets, PACKETS_TO_SYNC):
                    row = self.index.packets.find(packet)
                    if row is not None and row <= start:
                        return _from_row(start, chain([(row, packet)], enumerate(packets, row + 1)))
                    if row is not None:
                        break
            except FFmpegError:
                continue
        return None

    def _targets(self, start: int) -> Iterator[tuple[int, bool]]:
        """Where to seek for packet row `start`: (offset, whether it is in bytes), best first."""
        table = self.index.packets
        if self.info.container in BYTE_SEEKABLE:
            # Several pictures may share one position; the nearest known one before is enough.
            known = table.pos[: start + 1][table.pos[: start + 1] != NOT_SET]
            yield from ((int(pos), True) for pos in known[:-4:-1])
            return
        rows = [start, *np.flatnonzero(table.key[:start])[:-4:-1]]
        for stamps in (table.pts, table.dts):
            yield from ((int(stamps[row]), False) for row in rows if stamps[row] != NOT_SET)

    def _sound(
        self,
        stream: VideoStream,
        packets: Iterator[tuple[int, Packet[VideoStream]]],
        first: int,
        last: int,
    ) -> Iterator[tuple[int, VideoFrame]]:
        """(number, picture) for what the decoder gives of [first, last) and vouches for."""
        context = stream.codec_context
        context.thread_count = self.threads
        context.thread_type = "AUTO" if self.threads > 1 else "NONE"
        if context.name == "h264":
            context.reorder_depth = max(context.reorder_depth, self.index.reorder_depth)
        for frame in self._pictures(context, packets):
            number = frame.pts
            if number is None or number < first or frame.is_corrupt:
                continue
            if number >= last:
                return
            yield number, frame
            first = number + 1
            if first == last:
                return

    def _pictures(
        self, context: VideoCodecContext, packets: Iterator[tuple[int, Packet[VideoStream]]]
    ) -> Iterator[VideoFrame]:
        """Decoded pictures in presentation order; their `pts` is the frame's number.

        The decoder hands a packet's time stamp through to its picture, so the number travels in
        its place. That holds where stamps are missing, double or different after a seek.
        """
        numbers = self.index.packets.frame
        # A read error ends the packets as the file's end does.
        with suppress(FFmpegError):
            for row, packet in packets:
                if row >= len(numbers):  # the file has grown since it was indexed
                    break
                packet.pts = int(numbers[row]) if numbers[row] >= 0 else None
                packet.dts = None
                yield from _decoded(context, packet)
        yield from _decoded(context, None)


def _decoded(context: VideoCodecContext, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """What one packet brings out; nothing where it is damaged."""
    try:
        return context.decode(packet)
    except MemoryError as error:
        raise ResourceError(
            "not enough memory to decode a frame; use fewer threads or workers"
        ) from error
    except FFmpegError:
        return []


def _from_row(
    start: int, packets: Iterable[tuple[int, Packet[VideoStream]]]
) -> Iterator[tuple[int, Packet[VideoStream]]]:
    return dropwhile(lambda item: item[0] < start, packets)


def _holes(first: int, last: int) -> Iterator[tuple[int, None]]:
    return ((number, None) for number in range(first, last))
