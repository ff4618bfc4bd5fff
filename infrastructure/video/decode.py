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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from domain.errors import ResourceError
from infrastructure.video.containers import BYTE_SEEKABLE, open_video
from infrastructure.video.packets import NOT_SET, video_packets

if TYPE_CHECKING:
    from fractions import Fraction
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


class Decoded(NamedTuple):
    """A picture as the decoder gives it, and the shape of its pixels as the stream says it."""

    frame: VideoFrame
    aspect: Fraction | None


class Pass:
    """Decoding that has begun at packet row `start` and can go on where a stretch ended."""

    def __init__(
        self, start: int, keyframe: int | None, pictures: Iterator[tuple[int, Decoded]]
    ) -> None:
        self.start = start
        self.keyframe = keyframe
        """The frame that the start shows, until it has come: what follows it is built on it."""
        self.resume = 0
        """The first frame that can be asked for next."""
        self._pictures = pictures
        self._kept: list[tuple[int, Decoded]] = []

    def take(self, first: int, last: int, resume: int) -> Iterator[tuple[int, Decoded]]:
        """(number, picture) for what is sound of [first, last); pictures from `resume` on stay."""
        kept, self._kept, self.resume = iter(self._kept), [], resume
        for number, frame in chain(kept, self._pictures):
            if number == self.keyframe:
                self.keyframe = None
            if number >= resume:
                self._kept.append((number, frame))
            if first <= number < last:
                yield number, frame
            if number >= last - 1:
                break
        self._kept += kept


class Reader:
    """Decodes stretches of one file; where one begins at the same keyframe as the one before it,
    it goes on there.

    A file without keyframes is so decoded once by each process that takes its segments in order,
    and not from its start for each. The pictures are the same, as the packets that the decoder
    saw are.
    """

    def __init__(self, path: Path, info: VideoInfo, index: FrameIndex) -> None:
        self.path, self.info, self.index = path, info, index
        self._held: list[tuple[int, Pass]] = []

    def frames(
        self, first: int, last: int, *, threads: int = 1, resume: int | None = None
    ) -> Iterator[tuple[int, Decoded | None]]:
        """Every number in [first, last), with None where no pass gives the picture.

        A hole, or a damaged keyframe to start from, ends its pass and the rest comes from an
        earlier start, as long as there is one to try. Starts go back two keyframes from the hole,
        so a stretch costs three passes at most.
        `resume` says where the next stretch will begin, with its warm-up: at `last` by default.
        """
        resume = last if resume is None else min(resume, last)
        start: int | None = start_rows(self.index, first)[0] if first < last else None
        begun = None
        while start is not None:
            begun, earlier = self._begun(start, first, threads), None
            for number, frame in begun.take(first, last, resume):
                if number > first or begun.keyframe is not None:
                    earlier = self._earlier(first, start)
                    if earlier is not None:
                        break
                    begun.keyframe = None  # there is no better start
                    yield from _holes(first, number)
                yield number, frame
                first = number + 1
            else:
                earlier = self._earlier(first, start) if first < last else None
            start = earlier
        yield from _holes(first, last)
        self._hold(begun, threads)

    def _begun(self, start: int, first: int, threads: int) -> Pass:
        """The held pass where it would see the same packets, else a new one."""
        held = self._held.pop() if self._held else None
        if held and held[0] == threads and held[1].start == start and held[1].resume <= first:
            return held[1]
        shown = int(self.index.packets.frame[start])
        keyframe = shown if self.index.packets.key[start] and shown >= 0 else None
        return Pass(start, keyframe, self._pass(start, threads))

    def _hold(self, begun: Pass | None, threads: int) -> None:
        """Keep a pass that the next stretch can use; most files have a keyframe nearer to it."""
        if begun is None or begun.resume >= self.index.frame_count:
            return
        if start_rows(self.index, begun.resume)[0] == begun.start:
            self._held[:] = [(threads, begun)]

    def _earlier(self, first: int, start: int) -> int | None:
        return next((row for row in start_rows(self.index, first) if row < start), None)

    def _pass(self, start: int, threads: int) -> Iterator[tuple[int, Decoded]]:
        """Sound pictures in order, decoded from packet row `start` on."""
        if start > 0:
            with open_video(self.path, self.info.stream) as (container, stream):
                found = self._seek(container, stream, start)
                if found is not None:
                    yield from self._sound(stream, found, threads)
                    return
        # No seek led there: read from the beginning, which always does.
        with open_video(self.path, self.info.stream) as (container, stream):
            packets = enumerate(video_packets(container, stream))
            yield from self._sound(stream, _from_row(start, packets), threads)

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
        threads: int,
    ) -> Iterator[tuple[int, Decoded]]:
        """(number, picture) in order for what the decoder gives and vouches for."""
        context = stream.codec_context
        context.thread_count = threads
        context.thread_type = "AUTO" if threads > 1 else "NONE"
        if context.name == "h264":
            context.reorder_depth = max(context.reorder_depth, self.index.reorder_depth)
        following = 0
        for decoded in self._pictures(context, packets):
            number = decoded.frame.pts
            if number is not None and number >= following and not decoded.frame.is_corrupt:
                yield number, decoded
                following = number + 1

    def _pictures(
        self, context: VideoCodecContext, packets: Iterator[tuple[int, Packet[VideoStream]]]
    ) -> Iterator[Decoded]:
        """Decoded pictures in presentation order; their `pts` is the frame's number.

        The decoder hands a packet's time stamp through to its picture, so the number travels in
        its place. That holds where stamps are missing, double or different after a seek.
        """
        numbers = self.index.packets.frame
        aspects = _Aspects(self.index, self.info)
        # A read error ends the packets as the file's end does.
        with suppress(FFmpegError):
            for row, packet in packets:
                if row >= len(numbers):  # the file has grown since it was indexed
                    break
                packet.pts = int(numbers[row]) if numbers[row] >= 0 else None
                packet.dts = None
                frames = _decoded(context, packet)
                aspects.seen(row, context)
                yield from (Decoded(frame, aspects.of(frame)) for frame in frames)
        yield from (Decoded(frame, aspects.of(frame)) for frame in _decoded(context, None))


class _Aspects:
    """The shape of each picture's pixels: a broadcast goes from 4:3 to 16:9 and back.

    The decoder tells it when it reads a packet, and gives that packet's picture some packets later.
    """

    def __init__(self, index: FrameIndex, info: VideoInfo) -> None:
        self._index, self._told = index, info.aspect_told
        self._changes: list[tuple[int, Fraction | None]] = []

    def seen(self, row: int, context: VideoCodecContext) -> None:
        """Packet `row` was read."""
        if self._told and (
            not self._changes or self._changes[-1][1] != context.sample_aspect_ratio
        ):
            self._changes.append((row, context.sample_aspect_ratio))

    def of(self, frame: VideoFrame) -> Fraction | None:
        """None where only the file as a whole has a shape."""
        if not self._changes or frame.pts is None:
            return None
        row = self._index.packet[frame.pts]
        earlier = [aspect for change, aspect in self._changes if change <= row]
        return earlier[-1] if earlier else self._changes[0][1]


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
