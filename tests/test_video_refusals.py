"""What cannot be used is refused in one line that names the file and says what to do.

docs/formats.md shows each line; a test keeps the two in step.
"""

from __future__ import annotations

import os
import socket
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import pytest

from domain.errors import InputError
from infrastructure.frame_source import VideoFrameSource
from infrastructure.video import source as source_module
from infrastructure.video.index import FrameIndex
from infrastructure.video.info import VideoInfo
from infrastructure.video.probe import ProbeLimits, probe
from infrastructure.video.source import VideoSource, open_source
from tests import video_files as files
from tests.test_video_clocks import configured

Make = Callable[[Path, Path], None]
FORMATS_PAGE = Path(__file__).parent.parent / "docs" / "formats.md"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.small(tmp_path_factory.mktemp("video") / "video.mp4")


def missing(path: Path, _video: Path) -> None:
    path.unlink(missing_ok=True)


def empty(path: Path, _video: Path) -> None:
    path.touch()


def folder(path: Path, _video: Path) -> None:
    path.mkdir()


def text(path: Path, _video: Path) -> None:
    path.write_text("not a video\n" * 50)


def web_page(path: Path, _video: Path) -> None:
    """What a download that needs a login leaves."""
    path.write_text("<!DOCTYPE html><html><head><title>Sign in</title></head></html>" * 20)


def playlist(path: Path, video: Path) -> None:
    """It would open other files, or the network."""
    path.write_text(f"#EXTM3U\n#EXTINF:8,\n{video}\n#EXT-X-ENDLIST\n")


def list_of_files(path: Path, video: Path) -> None:
    path.write_text(f"ffconcat version 1.0\nfile '{video}'\n")


def picture(path: Path, _video: Path) -> None:
    image = path.with_suffix(".png")
    cv2.imwrite(str(image), files.numbered_frame(1))
    path.write_bytes(image.read_bytes())


def archive(path: Path, video: Path) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        packed.write(video, "video.mp4")


def only_sound(path: Path, _video: Path) -> None:
    files.only_sound(path.with_suffix(".m4a")).rename(path)


def headless(path: Path, video: Path) -> None:
    """The header of an MP4 stands at its end until the recorder is told otherwise."""
    files.without_header(path, video)


def no_pictures(path: Path, _video: Path) -> None:
    """A recorder that wrote its header and nothing else."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        container.start_encoding()


def noise(path: Path, video: Path) -> None:
    """Encrypted, or damaged from its first picture on: the header is sound."""
    data = bytearray(video.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)


def in_a_socket(path: Path, _video: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


NOT_A_VIDEO = (
    "FILE: is not a video that can be read (Invalid data found when processing input); "
    "give a file in MP4, MOV, MKV, WebM, MPEG-TS, MPEG, AVI, FLV, OGG, WMV or MXF"
)
REFUSED = {
    missing: "FILE: no such file; check the path",
    empty: "FILE: is empty (0 bytes); copy or download it again",
    folder: "FILE: is a folder without numbered images (1.png, frame_0001.jpg, ...); give a video "
    "file or the folder that holds them",
    text: NOT_A_VIDEO,
    web_page: "FILE: is a web page and no video; download the file itself, signed in if need be",
    playlist: "FILE: is a playlist, which only names other files; give the video itself",
    list_of_files: "FILE: is a playlist, which only names other files; give the videos in their "
    "order",
    picture: "FILE: is a picture; give a video, or a folder of numbered images",
    archive: "FILE: is an archive; unpack it and give the video in it",
    only_sound: "FILE: has no video stream; give the file that holds the pictures",
    headless: "FILE: is an MP4 whose header (moov) is missing: it is still being written, or was "
    "cut off; wait for its end, or export or download it again",
    no_pictures: "FILE: ends before its first picture; it is still being written or was cut off, "
    "wait for its end, or export or download it again",
    noise: "FILE: no picture of its beginning could be decoded; it is damaged or encrypted, "
    "export or download it again",
    in_a_socket: "FILE: is not a regular file; save the stream to a file first",
}
GROWS = "FILE: is still being written; wait until the recording or the copy has ended"
CHANGED = "FILE: changed since the match was planned; submit it again"
GONE = "FILE: not there any more, or not on this machine"
OTHER_SIZE = "FILE: has frames of 96x54 but OTHER of 160x120; scale one so that all parts agree"


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_bad_input_gets_one_clear_line(kind: Make, video: Path, tmp_path: Path) -> None:
    path = tmp_path / "match.mp4"
    kind(path, video)
    with pytest.raises(InputError) as caught:
        open_source(path)
    assert str(caught.value).replace(str(path), "FILE") == REFUSED[kind]


def test_the_page_shows_what_is_said_and_nothing_else() -> None:
    """docs/formats.md: each line of its blocks of text."""
    blocks = FORMATS_PAGE.read_text(encoding="utf-8").split("```text\n")[1:]
    shown = [line for block in blocks for line in block.split("```")[0].splitlines()]
    assert sorted(shown) == sorted({*REFUSED.values(), GROWS, CHANGED, GONE, OTHER_SIZE})


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "locked.mp4"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(InputError, match="check its permissions"):
        open_source(path)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ProbeLimits(max_pixels=100), "160x120 pixels are above the limit"),
        (ProbeLimits(max_streams=0), "streams, more than a match video has"),
        (ProbeLimits(time_s=0.001), "could not be understood within"),
    ],
)
def test_probe_limits(limits: ProbeLimits, words: str, video: Path) -> None:
    with pytest.raises(InputError, match=words):
        probe(video, limits)


@pytest.mark.skipif(sys.platform != "linux", reason="address space limits are Linux's")
def test_a_probe_that_dies_is_an_input_error(video: Path) -> None:
    """24 MB of address space do not even load FFmpeg: the child dies without an answer."""
    with pytest.raises(InputError, match=r"broke the probe|more memory"):
        probe(video, ProbeLimits(memory_bytes=24 * 1024**2))


def test_parts_of_different_size(video: Path, tmp_path: Path) -> None:
    small = files.small(tmp_path / "small.mp4", size=(96, 54), frames=5)
    with pytest.raises(InputError) as caught:
        open_source([video, small])
    said = str(caught.value).replace(str(small), "FILE").replace(str(video), "OTHER")
    assert said == OTHER_SIZE


# A file that changes


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mp4"])
def test_a_file_that_grows_while_it_is_read_is_refused(
    suffix: str, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder that still runs: what is there now is not the match."""
    path = files.remuxed(tmp_path / f"growing{suffix}", [video])
    really = source_module.index_frames

    def grows(path: Path, info: VideoInfo) -> FrameIndex:
        index = really(path, info)
        with path.open("ab") as file:
            file.write(bytes(188))
        return index

    monkeypatch.setattr(source_module, "index_frames", grows)
    with pytest.raises(InputError) as caught:
        open_source(path)
    assert str(caught.value).replace(str(path), "FILE") == GROWS


@pytest.mark.parametrize("how", ["grown", "replaced", "written again", "gone"])
@pytest.mark.parametrize("travels", [False, True])
def test_a_file_that_changed_since_it_was_planned_is_refused(
    how: str, travels: bool, video: Path, tmp_path: Path
) -> None:
    """By its size or its time of writing; in the process that planned and in another."""
    path = tmp_path / "match.mp4"
    path.write_bytes(video.read_bytes())
    configuration = configured(path)
    source = VideoFrameSource.open(configuration)
    if travels:
        source = VideoFrameSource.reopen(configuration, source.to_bytes())
    (segment,) = source.segments(20.0)
    assert next(source.frames(segment)).number == 0
    if how == "grown":
        path.write_bytes(path.read_bytes() + b"more")
    elif how == "gone":
        path.unlink()
    else:
        data, stamp = bytearray(path.read_bytes()), path.stat()
        data[-1] ^= 1
        other = tmp_path / "other.mp4"
        (other if how == "replaced" else path).write_bytes(data)
        later = other if how == "replaced" else path
        os.utime(later, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
        later.replace(path)
    for use in (lambda: list(source.frames(segment)), lambda: source.extract_audio(tmp_path / "a")):
        with pytest.raises(InputError) as caught:
            use()
        expected = GONE if how == "gone" else CHANGED
        assert str(caught.value).replace(str(path), "FILE") == expected


def test_a_file_that_was_only_read_is_the_same_file(video: Path) -> None:
    """Copies of the index keep working while nothing is written."""
    opened = open_source(video)
    video.read_bytes()
    copy = VideoSource.from_bytes(opened.to_bytes())
    assert files.numbers(copy.decode(0, 3)) == [0, 1, 2]
