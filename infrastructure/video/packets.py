"""The packet table: what one pass over a file's packets leaves, in the file's own order."""

from __future__ import annotations

import zlib
from array import array
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

from infrastructure.video.containers import open_video

NOT_SET = -(2**63)
"""Stands for a time stamp or a position that the container does not give."""


@dataclass(frozen=True, eq=False)
class PacketTable:
    """One row per packet of the video stream, in reading order; 33 bytes a packet.

    `pts`, `dts`: int64 in the stream's time base. `pos`: int64 byte offset. `crc`: uint32 of the
    packet's bytes, which names a packet even where a demuxer gives other times after a seek.
    `key`, `discard`: bool; discard marks what an edit list cuts away. `frame`: int32, the number
    of the frame that the packet shows, or -1.
    """

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    pos: NDArray[np.int64]
    crc: NDArray[np.uint32]
    key: NDArray[np.bool_]
    discard: NDArray[np.bool_]
    frame: NDArray[np.int32]

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"packet table: expected columns of one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.pts)

    @classmethod
    def empty(cls) -> PacketTable:
        """A table without packets: what a folder of images has."""
        number = np.zeros(0, np.int64)
        flag = np.zeros(0, np.bool_)
        crc = np.zeros(0, np.uint32)
        return cls(number, number, number, crc, flag, flag, np.zeros(0, np.int32))

    def find(self, packet: Packet[VideoStream]) -> int | None:
        """The row of a packet read after a seek; None where two rows are equally likely.

        Static pictures give packets of equal bytes, so time and position decide among them.
        """
        rows = np.flatnonzero(self.crc == zlib.crc32(packet))
        for column, value in ((self.pts, packet.pts), (self.pos, packet.pos)):
            if len(rows) > 1:
                rows = rows[column[rows] == (NOT_SET if value is None else value)]
        return int(rows[0]) if len(rows) == 1 else None


@dataclass(frozen=True)
class Scan:
    """A packet table before its frames are numbered, and what else the pass saw."""

    packets: PacketTable
    last_duration: int
    """Duration of the packet presented last, in the time base; 0 where the file gives none."""
    cut_short: bool
    """Reading stopped at an error before the end of the file."""


def video_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets; empty ones (AVI's "same picture again", the flush) are left out."""
    for packet in container.demux(stream):
        if packet.size:
            yield packet


def scan(path: Path, stream_index: int) -> Scan:
    """One pass over the packets of `path`, decoding nothing.

    Raises InputError when the file cannot be opened any more.
    """
    from av.error import FFmpegError

    pts, dts, pos = array("q"), array("q"), array("q")
    crc, flags = array("I"), array("B")
    latest, last_duration, cut_short = NOT_SET, 0, False
    with open_video(path, stream_index) as (container, stream):
        hidden = _is_hidden if stream.codec_context.name == "vp8" else _is_shown
        try:
            for packet in video_packets(container, stream):
                shown = NOT_SET if packet.pts is None else packet.pts
                pts.append(shown)
                dts.append(NOT_SET if packet.dts is None else packet.dts)
                pos.append(NOT_SET if packet.pos is None else packet.pos)
                crc.append(zlib.crc32(packet))
                discard = packet.is_discard or hidden(packet)
                flags.append(packet.is_keyframe | discard << 1)
                if shown >= latest and not discard:
                    latest, last_duration = shown, packet.duration or 0
        except FFmpegError:
            cut_short = True
    bits = np.array(flags, np.uint8)
    packets = PacketTable(
        pts=np.array(pts, np.int64),
        dts=np.array(dts, np.int64),
        pos=np.array(pos, np.int64),
        crc=np.array(crc, np.uint32),
        key=(bits & 1).astype(np.bool_),
        discard=(bits & 2).astype(np.bool_),
        frame=np.full(len(bits), -1, np.int32),
    )
    return Scan(packets, last_duration, cut_short)


def _is_hidden(packet: Packet[VideoStream]) -> bool:
    """VP8's alternate reference: a packet of its own that is decoded but never shown."""
    return not bytes(memoryview(packet)[:1])[0] >> 4 & 1


def _is_shown(_packet: Packet[VideoStream]) -> bool:
    return False
