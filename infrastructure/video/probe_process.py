"""The probe's child process: limits itself, opens one file, prints what it found as JSON.

It is run by its path and imports nothing of the project, so it starts fast and works from any
folder. The request is one JSON argument: path, options, codecs' and streams' limits.
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from typing import Any

PACKETS_TO_FIRST_FRAME = 600
PACKETS_TO_SEE_FIELDS = 60
NAMES = {
    "space": {0: "rgb", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc", 10: "bt2020c"},
    "primaries": {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 12: "smpte432"},
    "transfer": {1: "bt709", 6: "smpte170m", 14: "bt2020-10", 16: "smpte2084", 18: "arib-std-b67"},
    "range": {1: "tv", 2: "pc"},
}


class Refused(Exception):  # noqa: N818 - an answer to the parent, not a failure of this code
    """The file is no video that can be processed; the first argument is the kind."""


def limit(memory_bytes: int, cpu_s: int) -> None:
    """Caps this process: address space, CPU time, no core dump, no file written."""
    try:
        import resource
    except ImportError:  # not a POSIX system: the parent's time limit is all there is
        return
    for name, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        # A container may have set a lower hard limit already; that one then holds.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(name, (value, value))


def main_stream(container: Any) -> Any:
    """The default video stream, or the one with most pixels.

    Cover pictures and thumbnails do not count, nor do streams that nothing here can decode where
    another can be.
    """
    import av.stream

    flags = av.stream.Disposition
    still = flags.attached_pic | flags.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & still]
    if not streams:
        raise Refused("no_video")
    return max(
        streams,
        key=lambda s: (
            s.codec_context is not None,
            s.frames != 1,
            bool(s.disposition & flags.default),
            pixels(s),
            -s.index,
        ),
    )


def pixels(stream: Any) -> int:
    """A stream that nothing here can decode has no size that could be asked for."""
    return 0 if stream.codec_context is None else int(stream.width * stream.height)


def left_out(container: Any, chosen: Any) -> list[str]:
    """The other moving pictures in the file: a second camera, a smaller copy."""
    import av.stream

    flags = av.stream.Disposition
    still = flags.attached_pic | flags.timed_thumbnails
    return [
        f"stream {s.index} ({s.width}x{s.height})" if pixels(s) else f"stream {s.index}"
        for s in container.streams.video
        if s.index != chosen.index and not s.disposition & still and s.frames != 1
    ]


def first_frame(container: Any, stream: Any) -> Any:
    """The first picture that the decoder gives: the proof that the codec can be read."""
    from av.error import FFmpegError

    for fed, packet in enumerate(container.demux(stream)):
        with contextlib.suppress(FFmpegError):
            for frame in stream.codec_context.decode(packet):
                return frame
        if fed >= PACKETS_TO_FIRST_FRAME:
            break
    raise Refused("no_frame")


def has_field_packets(container: Any, stream: Any) -> bool:
    """Whether two packets, one a field, make a frame (PAFF broadcasts in H.264)."""
    from av.error import FFmpegError

    packets = frames = 0
    for packet in container.demux(stream):
        packets += bool(packet.size)
        with contextlib.suppress(FFmpegError):
            frames += len(stream.codec_context.decode(packet))
        if packets >= PACKETS_TO_SEE_FIELDS:
            break
    return packets > 8 and frames * 4 < packets * 3


def orientation(frame: Any) -> dict[str, bool]:
    """Transpose and flips of the display matrix; other angles than quarter turns are left."""
    import av.sidedata.sidedata

    data = frame.side_data.get(av.sidedata.sidedata.Type.DISPLAYMATRIX)
    a, b, c, d = 1, 0, 0, 1
    if data is not None:
        nine = struct.unpack("=9i", bytes(data)[:36])
        a, b, c, d = (round(value / 65536) for value in (nine[0], nine[1], nine[3], nine[4]))
    if a == d == 0 and b and c:
        return {"transpose": True, "flip_x": c < 0, "flip_y": b < 0}
    return {"transpose": False, "flip_x": a < 0, "flip_y": d < 0}


def colour(context: Any) -> dict[str, str]:
    """Colour description by name."""
    codes = {
        "space": context.colorspace,
        "primaries": context.color_primaries,
        "transfer": context.color_trc,
        "range": context.color_range,
    }
    return {
        key: NAMES[key].get(int(code), "unknown" if int(code) in (0, 2) else str(int(code)))
        for key, code in codes.items()
    }


def audio(container: Any) -> dict[str, Any] | None:
    """The first audio stream that has a decoder."""
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.sample_rate:
            base = stream.time_base
            return {
                "stream": stream.index,
                "codec": stream.codec_context.name,
                "sample_rate_hz": stream.codec_context.sample_rate,
                "channels": stream.codec_context.layout.nb_channels,
                "start_time_s": float((stream.start_time or 0) * base),
                "duration_s": None if stream.duration is None else float(stream.duration * base),
            }
    return None


def duration_s(container: Any, stream: Any) -> float | None:
    """What the header says, of the stream where it does, else of the container."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1_000_000


def text(value: Any) -> str | None:
    """A fraction as `a/b`; None where the file does not tell."""
    return str(value) if value else None


def describe(request: dict[str, Any]) -> dict[str, Any]:
    """Everything that info.VideoInfo holds, as plain JSON values."""
    import av

    # a title need not be UTF-8
    with av.open(
        request["path"], mode="r", options=request["options"], metadata_errors="replace"
    ) as container:
        if len(container.streams) > request["max_streams"]:
            raise Refused("too_many_streams", str(len(container.streams)))
        stream = main_stream(container)
        context = stream.codec_context
        if context is None:
            raise Refused("no_decoder")
        if context.width * context.height > request["max_pixels"]:
            raise Refused("too_large", f"{context.width}x{context.height}")
        context.thread_count = 1
        depth, interlaced = context.reorder_depth, context.field_order > 1
        frame = first_frame(container, stream)
        if frame.width * frame.height > request["max_pixels"]:
            raise Refused("too_large", f"{frame.width}x{frame.height}")
        fields = interlaced and context.name == "h264" and has_field_packets(container, stream)
        return {
            "container": container.format.name,
            "codec": context.codec.canonical_name,
            "stream": stream.index,
            "coded_width": frame.width,
            "coded_height": frame.height,
            "sample_aspect_ratio": text(stream.sample_aspect_ratio) or "1",
            "aspect_told": (context.sample_aspect_ratio or 1) == (stream.sample_aspect_ratio or 1),
            "orientation": orientation(frame),
            "frame_rate": text(stream.average_rate) or text(stream.guessed_rate),
            "time_base": str(stream.time_base),
            "start_time_s": float((stream.start_time or 0) * stream.time_base),
            "duration_s": duration_s(container, stream),
            "header_packets": stream.frames or None,
            "pixel_format": frame.format.name,
            "colour": colour(context),
            "interlaced": interlaced,
            "field_packets": fields,
            "reorder_depth": depth,
            "left_out": left_out(container, stream),
            "audio": audio(container),
        }


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """`{"info": ...}`, or `{"refused": kind, "detail": text}`."""
    from av.error import EOFError as EndOfFile
    from av.error import FFmpegError

    try:
        return {"info": describe(request)}
    except Refused as refusal:
        kind, *detail = refusal.args
        return {"refused": kind, "detail": " ".join(detail)}
    except MemoryError:
        return {"refused": "memory", "detail": ""}
    except EndOfFile:
        return {"refused": "cut_off", "detail": ""}
    except (FFmpegError, OSError) as error:
        return {"refused": "unreadable", "detail": getattr(error, "strerror", None) or str(error)}


def main() -> None:
    """Reads the request from the first argument and prints the answer."""
    request = json.loads(sys.argv[1])
    limit(request["memory_bytes"], request["cpu_s"])
    print(json.dumps(answer(request)))


if __name__ == "__main__":
    main()
