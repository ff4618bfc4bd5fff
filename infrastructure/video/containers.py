"""Opening a video file: which containers are read, and that nothing but the file is."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import InputError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

# Containers with timestamps that hold match video. Playlists (hls, dash, concat), image and
# device demuxers are left out: they open other files or the network.
FORMATS = "mov,mp4,matroska,webm,mpegts,mpeg,avi,flv,ogg,asf,mxf"
READABLE = "MP4, MOV, MKV, WebM, MPEG-TS, MPEG, AVI, FLV, OGG, WMV or MXF"

MAX_PIXELS = 8192 * 4608
"""The largest picture that is decoded: 8K."""

# A byte offset is an exact address in these; in the others a time stamp is.
BYTE_SEEKABLE = ("mpegts", "mpeg")


def open_options() -> dict[str, str]:
    """FFmpeg's options that keep a file from opening anything but itself."""
    return {"protocol_whitelist": "file", "format_whitelist": FORMATS}


@contextmanager
def open_video(path: Path, stream_index: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens `path` for reading: the container and the video stream that the probe chose.

    Raises InputError when it is no readable video, ResourceError when memory runs out.
    """
    import av
    from av.error import FFmpegError
    from av.video.stream import VideoStream

    try:
        # Absolute, because FFmpeg takes `match: 2.mp4` for a protocol called "match".
        container = av.open(
            str(path.absolute()), mode="r", options=open_options(), metadata_errors="replace"
        )
    except MemoryError as error:
        raise ResourceError(f"{path}: not enough memory to open it; free some and retry") from error
    except (FFmpegError, OSError) as error:
        raise InputError(
            f"{path}: could be read before but cannot now ({error}); check the file and the disk"
        ) from error
    with container:
        stream = container.streams[stream_index] if stream_index < len(container.streams) else None
        if not isinstance(stream, VideoStream):
            raise InputError(f"{path}: its video stream is gone; it has changed, start again")
        # The probe has seen one picture; a later one may be of any size.
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream
