"""Each kind of file that people have: frame numbers, times and cuts are exact in all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from infrastructure.video.source import open_source
from tests import video_files as files

FORMATS_PAGE = Path(__file__).parent.parent / "docs" / "formats.md"
Make = Callable[[Path], Path]


class Kind(NamedTuple):
    """How a file is made, and what the reader must say of it."""

    make: Make
    codec: str
    rate: Fraction = Fraction(25)
    size: tuple[int, int] = files.SMALL_SIZE
    frames: int = files.SMALL


def with_codec(codec: str, **options: str) -> Make:
    return lambda path: files.small(path, codec, **options)


def at_rate(rate: Fraction) -> Kind:
    return Kind(lambda path: files.small(path, rate=rate), "h264", rate)


def of_size(*size: int) -> Kind:
    def make(path: Path) -> Path:
        return files.small(path, size=size, frames=4, preset="ultrafast")

    return Kind(make, "h264", size=size, frames=4)


def hevc(path: Path, **options: str) -> Path:
    params = "log-level=none:pools=1:keyint=25:bframes=4"
    return files.small(path, "libx265", preset="ultrafast", **{"x265-params": params}, **options)


def fragmented(path: Path) -> Path:
    """Pieces with a header each, as streaming recorders write them: no header counts frames."""
    whole = files.small(path.with_name("whole.mp4"))
    return files.remuxed(path, [whole], "-movflags", "frag_keyframe+empty_moov")


def from_the_middle(path: Path) -> Path:
    """A broadcast that was switched on in the middle of a group of pictures."""
    whole = files.small(path.with_name("whole.ts"), g="10").read_bytes()
    path.write_bytes(whole[int(len(whole) * 0.05) // 188 * 188 :])
    return path


KINDS = {
    "h264.mp4": Kind(files.small, "h264"),
    "h264.mov": Kind(files.small, "h264"),
    "h264.mkv": Kind(files.small, "h264"),
    "h264.ts": Kind(files.small, "h264"),
    "h264.avi": Kind(files.small, "h264"),
    "h264.flv": Kind(files.small, "h264"),
    "fragmented.mp4": Kind(fragmented, "h264"),
    "hevc_10bit.mkv": Kind(lambda path: hevc(path, pixel_format="yuv420p10le"), "hevc"),
    "hevc_10bit.mov": Kind(lambda path: hevc(path, pixel_format="yuv420p10le"), "hevc"),
    "av1.mp4": Kind(with_codec("libsvtav1", preset="12"), "av1"),
    "av1.webm": Kind(with_codec("libsvtav1", preset="12"), "av1"),
    "vp9.webm": Kind(with_codec("libvpx-vp9", deadline="realtime"), "vp9"),
    "vp9.mkv": Kind(with_codec("libvpx-vp9", deadline="realtime"), "vp9"),
    "prores.mov": Kind(with_codec("prores_ks", pixel_format="yuv422p10le"), "prores"),
    "mpeg2.ts": Kind(with_codec("mpeg2video", bf="2", b="2000000"), "mpeg2video"),
    "mpeg2.mxf": Kind(with_codec("mpeg2video", b="2000000"), "mpeg2video"),
    "mpeg4.avi": Kind(with_codec("mpeg4", bf="2"), "mpeg4"),
    "mjpeg.avi": Kind(with_codec("mjpeg", pixel_format="yuvj420p"), "mjpeg"),
    "wmv.wmv": Kind(with_codec("wmv2", b="800000"), "wmv2"),
    "rate_12.mp4": at_rate(Fraction(12)),
    "rate_ntsc.mp4": at_rate(Fraction(30000, 1001)),
    "rate_50.ts": at_rate(Fraction(50)),
    "rate_120.mp4": at_rate(Fraction(120)),
    "size_360p.mp4": of_size(640, 360),
    "size_1080p.mp4": of_size(1920, 1080),
    "size_4k.mp4": of_size(3840, 2160),
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The AV1 encoder talks unless told not to."""
    monkeypatch.setenv("SVT_LOG", "0")


@pytest.mark.parametrize("name", KINDS)
def test_a_file_as_it_is(name: str, tmp_path: Path) -> None:
    """Number, time, size and cuts; the numbers are drawn, so order and orientation are seen."""
    kind = KINDS[name]
    opened = open_source(kind.make(tmp_path / name))
    assert opened.info.codec == kind.codec
    assert (opened.info.width, opened.info.height) == kind.size
    times = np.arange(kind.frames) / float(kind.rate)
    # Matroska, FLV and ASF count in milliseconds.
    np.testing.assert_allclose(opened.index.time_s, times, atol=1.1e-3)
    assert opened.index.end_s == pytest.approx(kind.frames / float(kind.rate), abs=2e-3)
    whole = list(opened.decode(0, kind.frames))
    assert files.numbers(whole) == list(range(kind.frames))
    cuts = [1, 3] if kind.frames < files.SMALL else [7, 24, 25, 26, 41]
    assert files.hashes(files.joined(opened, cuts)) == files.hashes(whole)
    assert opened.notes == ()


def test_a_recording_that_starts_in_the_middle(tmp_path: Path) -> None:
    """Pictures before the first keyframe are frames that cannot be decoded; the rest is exact."""
    opened = open_source(from_the_middle(tmp_path / "middle.ts"))
    frames = files.joined(opened, [4, 20])
    lost = files.SMALL - opened.index.frame_count  # cut away with the first 5 % of the bytes
    assert 0 < lost < 10
    assert files.numbers(frames)[10:] == list(range(10 + lost, files.SMALL))
    assert not frames[0].decoded
    np.testing.assert_allclose(np.diff(opened.index.time_s), 0.04, atol=1e-4)


def test_variable_rate_in_webm_and_transport_streams(tmp_path: Path) -> None:
    """A gap of a third of a second and a burst keep their times in every container."""
    times = np.cumsum([0.0] + [0.04] * 10 + [1 / 3] + [0.01] * 10 + [0.04] * 10)
    for name, codec in (("v.webm", "libvpx-vp9"), ("v.ts", "libx264"), ("v.mov", "libx264")):
        path = files.encode(
            tmp_path / name, codec, size=files.SMALL_SIZE, frames=len(times), times_s=times, g="9"
        )
        opened = open_source(path)
        np.testing.assert_allclose(opened.index.time_s, times, atol=1.1e-3)
        assert files.numbers(files.joined(opened, [11, 12, 20])) == list(range(len(times)))


# Several video streams


def two_cameras(folder: Path, suffix: str, *, large_first: bool) -> tuple[Path, int]:
    """A file with a 160x120 and a 96x54 stream, and the number of the larger."""
    large = files.small(folder / "large.mp4")
    other = files.small(folder / "other.mp4", size=(96, 54), first_number=1000)
    order = [large, other] if large_first else [other, large]
    path = folder / f"two{suffix}"
    return files.remuxed(path, order, "-disposition:v", "0"), int(not large_first)


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
@pytest.mark.parametrize("large_first", [True, False])
def test_of_two_cameras_the_larger_is_read_and_the_other_named(
    suffix: str, large_first: bool, tmp_path: Path
) -> None:
    path, larger = two_cameras(tmp_path, suffix, large_first=large_first)
    opened = open_source(path)
    assert opened.info.stream == larger
    assert files.numbers(files.joined(opened, [25])) == list(range(files.SMALL))
    assert opened.notes == (
        f"{path}: has other video streams: stream {larger} (160x120) is analysed and not "
        f"stream {1 - larger} (96x54); to choose, copy one into a file of its own "
        "(ffmpeg -map 0:NUMBER -c copy)",
    )


def test_the_stream_marked_as_default_goes_first(tmp_path: Path) -> None:
    """The maker's word counts more than the size."""
    large, other = files.small(tmp_path / "l.mp4"), tmp_path / "o.mp4"
    files.small(other, size=(96, 54), first_number=1000)
    path = tmp_path / "default.mkv"
    files.remuxed(path, [large, other], "-disposition:v:0", "0", "-disposition:v:1", "default")
    opened = open_source(path)
    assert opened.info.stream == 1
    assert files.numbers(opened.decode(0, 3)) == [1000, 1001, 1002]


@pytest.mark.parametrize("flag", ["attached_pic", "default"])
def test_a_cover_picture_is_no_match(flag: str, tmp_path: Path) -> None:
    """A poster of one picture, larger than the video, marked as a cover or not: not even noted."""
    video = files.small(tmp_path / "video.mp4")
    poster = files.small(tmp_path / "poster.mp4", "mjpeg", size=(640, 480), frames=1,
                         pixel_format="yuvj420p")  # fmt: skip
    path = tmp_path / "cover.mp4"
    files.remuxed(path, [poster, video], "-disposition:v:0", flag)
    opened = open_source(path)
    assert files.numbers(files.joined(opened, [25])) == list(range(files.SMALL))
    assert opened.notes == ()


# Headers that are wrong


def avi_frame_count(data: bytearray, count: int) -> None:
    """dwTotalFrames of the main header and dwLength of the first stream's."""
    main, stream = data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32
    for place in (main, stream):
        data[place : place + 4] = count.to_bytes(4, "little")


def mp4_duration(data: bytearray, count: int) -> None:
    """Duration in the movie's and the track's headers, `count` times 40 ms; both of version 0."""
    for box in (b"mvhd", b"mdhd"):
        place = data.index(box) + 4 + 4 + 8
        scale = int.from_bytes(data[place : place + 4], "big")
        data[place + 4 : place + 8] = (scale * count // 25).to_bytes(4, "big")


def mkv_duration(data: bytearray, count: int) -> None:
    """The segment's duration, a float of eight bytes in milliseconds."""
    place = data.index(b"\x44\x89\x88") + 3
    data[place : place + 8] = np.array(count * 40.0, ">f8").tobytes()


@pytest.mark.parametrize("count", [7, 9999])
@pytest.mark.parametrize(
    ("name", "spoil"),
    [("h264.avi", avi_frame_count), ("h264.mp4", mp4_duration), ("h264.mkv", mkv_duration)],
)
def test_frames_are_counted_not_believed(
    name: str, spoil: Callable[[bytearray, int], None], count: int, tmp_path: Path
) -> None:
    """The header says 7 frames, or 9999; there are 50."""
    data = bytearray(files.small(tmp_path / name).read_bytes())
    spoil(data, count)
    path = tmp_path / f"wrong_{name}"
    path.write_bytes(data)
    opened = open_source(path)
    if path.suffix != ".mp4":  # there FFmpeg itself adds up the samples
        assert opened.info.duration_s == pytest.approx(count / 25, rel=0.02)
    assert opened.index.frame_count == files.SMALL
    assert opened.index.end_s == pytest.approx(2.0, abs=2e-3)
    assert files.numbers(files.joined(opened, [20, 33])) == list(range(files.SMALL))


def test_the_page_lists_every_kind() -> None:
    """docs/formats.md names each file that is tried here."""
    listed = set(re.findall(r"`(\w+\.\w+)`", FORMATS_PAGE.read_text(encoding="utf-8")))
    assert set(KINDS) <= listed
