"""Files that somebody made to do harm. Each maker writes one and says in its text what it tries."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

HUGE = 30_000


def playlist(target: str) -> bytes:
    """An HLS playlist that names `target`."""
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n".encode()


def ffconcat(target: str) -> bytes:
    return f"ffconcat version 1.0\nfile '{target}'\n".encode()


def dash(target: str) -> bytes:
    """A DASH manifest; entities would be a second way out."""
    return (
        f'<?xml version="1.0"?><!DOCTYPE MPD [<!ENTITY x SYSTEM "{target}">]>'
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
        f'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL>'
        "&x;</Representation></AdaptationSet></Period></MPD>"
    ).encode()


def session(target: str) -> bytes:
    """An SDP file: FFmpeg would listen on a port for its stream."""
    return (
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        b"m=video 45454 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:" + target.encode() + b"\n"
    )


def redirect(target: str) -> bytes:
    """An ASX and a QuickTime reference in one text each are read as such by some players."""
    return f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'.encode()


TEXTS = {
    "hls": playlist,
    "ffconcat": ffconcat,
    "dash": dash,
    "sdp": session,
    "asx": redirect,
}
"""Files that name other files; whatever their suffix, FFmpeg looks at what they hold."""


def picture(width: int = 64, height: int = 48) -> bytes:
    made = cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1]
    return bytes(made.tobytes())


def claiming(jpeg: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its header."""
    place = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]


def avi(
    pictures: list[bytes], size: tuple[int, int], *, streams: int = 1, subtitle: bytes = b""
) -> bytes:
    """An AVI with Motion JPEG, as many times as said, and a subtitle in GAB2 of XSUB's kind."""
    lists = b"".join(_video_stream(size, len(pictures)) for _ in range(streams))
    if subtitle:
        lists += _list(b"strl", _chunk(b"strh", _header(b"txts", b"", 1)) + _chunk(b"strf", b""))
    main = struct.pack("<14I", 40_000, 0, 0, 0x10, len(pictures), 0, streams, 0, *size, 0, 0, 0, 0)
    movie = b"".join(_chunk(b"00dc", data) for data in pictures)
    if subtitle:
        movie = _chunk(f"{streams:02}tx".encode(), _gab2(subtitle)) + movie
    body = _list(b"hdrl", _chunk(b"avih", main) + lists) + _list(b"movi", movie)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"AVI " + body


def _gab2(text: bytes) -> bytes:
    name = "x.m3u8".encode("utf-16-le") + b"\0\0"
    return (
        b"GAB2\0\2\0" + struct.pack("<I", len(name)) + name + b"\4\0" + struct.pack("<I", len(text))
    ) + text


def _video_stream(size: tuple[int, int], count: int) -> bytes:
    form = struct.pack(
        "<IiiHH4sIiiII", 40, *size, 1, 24, b"MJPG", size[0] * size[1] * 3, 0, 0, 0, 0
    )
    return _list(b"strl", _chunk(b"strh", _header(b"vids", b"MJPG", count)) + _chunk(b"strf", form))


def _header(kind: bytes, codec: bytes, count: int) -> bytes:
    return struct.pack(
        "<4s4sIHHIIIIIIII4H", kind, codec, 0, 0, 0, 0, 1, 25, 0, count, 0, 0, 0, 0, 0, 0, 0
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _list(name: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", name + data)


def png(width: int, height: int) -> bytes:
    """A valid picture of one colour: a thousandth of its size on the disk."""
    packer = zlib.compressobj(9)
    row, rows = bytes(width // 8 + 2), height
    data = b"".join(packer.compress(row[: (width + 7) // 8 + 1]) for _ in range(rows))
    data += packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_png_chunk, chunks))


def _png_chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, data = chunk
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def other_data(mp4: bytes, target: str) -> bytes:
    """The MP4, whose data reference names another file in place of itself."""
    url = b"file://" + target.encode() + b"\0"
    place = mp4.index(b"dref") - 4
    length = int.from_bytes(mp4[place : place + 4], "big")
    entry = struct.pack(">I", 12 + len(url)) + b"url \0\0\0\0" + url
    box = struct.pack(">I", 16 + len(entry)) + b"dref" + struct.pack(">II", 0, 1) + entry
    grown = len(box) - length
    made = bytearray(mp4[:place] + box + mp4[place + length :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        start = made.rindex(name, 0, place + 8) - 4
        size = int.from_bytes(made[start : start + 4], "big") + grown
        made[start : start + 4] = struct.pack(">I", size)
    return bytes(made)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
