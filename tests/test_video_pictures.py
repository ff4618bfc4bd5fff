"""Pictures come upright, with square pixels, one moment each, and colours as they were."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from infrastructure.video.source import open_source
from tests import video_files as files

F64 = NDArray[np.float64]
Signal = Callable[[F64], F64]

# The display matrix (a, b, c, d) of each way to hold a phone, with and without a mirror, and what
# undoes it on the picture that it shows.
HELD = {
    "upright": (1, 0, 0, 1),
    "90 clockwise": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "270 clockwise": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down in a mirror": (1, 0, 0, -1),
    "90 and mirrored": (0, 1, 1, 0),
    "270 and mirrored": (0, -1, -1, 0),
}


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.small(tmp_path_factory.mktemp("upright") / "upright.mp4")


def shown(stored: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """ISO 14496-12: the stored point (x, y) is shown at (ax + cy, bx + dy), pixel by pixel."""
    a, b, c, d = matrix
    height, width = stored.shape[:2]
    y, x = np.mgrid[:height, :width]
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    image = np.empty((to_y.max() + 1, to_x.max() + 1, 3), np.uint8)
    image[to_y, to_x] = stored
    return image


@pytest.mark.parametrize("held", HELD)
def test_every_display_matrix_is_followed(held: str, upright: Path, tmp_path: Path) -> None:
    """Each pixel goes where the standard's formula sends it; whole and in pieces."""
    path = files.display_matrix(tmp_path / "held.mp4", upright, HELD[held])
    opened, stored = open_source(path), open_source(upright)
    frames = files.joined(opened, [7, 30])
    for number in (0, 7, 29, 49):
        (before,) = stored.decode(number, number + 1)
        assert before.image is not None
        expected = shown(before.image, HELD[held])
        assert (opened.info.height, opened.info.width, 3) == expected.shape
        assert files.digest(frames[number].image) == files.digest(expected)


@pytest.mark.parametrize("rotation_deg", [90, -90, 180])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_phones_video_comes_upright(rotation_deg: int, suffix: str, tmp_path: Path) -> None:
    """The stored picture is turned the other way, as a phone does, so upright it reads again."""
    turn = {90: cv2.ROTATE_90_CLOCKWISE, -90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180}
    width, height = files.SMALL_SIZE

    def turned(number: int, *_: int) -> NDArray[np.uint8]:
        image = cv2.rotate(files.numbered_frame(number, width, height), turn[rotation_deg])
        return np.ascontiguousarray(image, np.uint8)

    path = files.small(
        tmp_path / f"phone{suffix}",
        draw=turned,
        size=turned(0).shape[1::-1],
        rotation_deg=rotation_deg,
    )
    opened = open_source(path)
    assert (opened.info.width, opened.info.height) == files.SMALL_SIZE
    assert opened.info.orientation.clockwise_deg == -rotation_deg % 360
    assert files.numbers(files.joined(opened, [20])) == list(range(files.SMALL))


# The shape of pixels


@pytest.mark.parametrize(
    ("stored_width", "aspect", "width"), [(120, Fraction(4, 3), 160), (200, Fraction(4, 5), 160)]
)
@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
def test_pixels_become_square(
    stored_width: int, aspect: Fraction, width: int, suffix: str, tmp_path: Path
) -> None:
    """120 pixels of 4:3, or 200 of 4:5, are 160 wide; the lines stay."""
    path = files.small(tmp_path / f"wide{suffix}", size=(stored_width, 120), aspect=aspect)
    opened = open_source(path)
    assert opened.info.coded_width == stored_width
    assert (opened.info.width, opened.info.height) == (width, 120)
    frames = files.joined(opened, [25])
    assert {None if f.image is None else f.image.shape for f in frames} == {(120, width, 3)}
    assert files.numbers(frames) == list(range(files.SMALL))


def test_pixels_that_change_their_shape_in_the_middle(tmp_path: Path) -> None:
    """16:9 follows 4:3 in a broadcast, both 160 pixels wide.

    4:3 pixels make 160x120 a picture of 213 by 120: in a width of 160 it is 90 lines high, so 15
    are black above and below. From frame 50 on, not from where the decoder first tells of it.
    """
    first = files.small(tmp_path / "first.ts", aspect=Fraction(1), bf="3")
    second = files.small(
        tmp_path / "second.ts", aspect=Fraction(4, 3), bf="3", first_number=files.SMALL
    )
    opened = open_source(files.glued(tmp_path / "changing.ts", first, second))
    frames = files.joined(opened, [30, 49, 60, 80])
    assert files.hashes(frames) == files.hashes(files.joined(opened, []))
    assert files.numbers(frames[: files.SMALL]) == list(range(files.SMALL))
    for frame in frames[files.SMALL :]:
        assert frame.image is not None
        assert not frame.image[:14].any()
        assert not frame.image[-14:].any()
        assert files.read_number(frame.image[15:-15]) == frame.number


def test_a_picture_that_changes_its_size_in_the_middle(tmp_path: Path) -> None:
    """Adverts in 96x54 between 160x120: scaled to the first size, between black bars."""
    first = files.small(tmp_path / "first.ts")
    second = files.small(tmp_path / "second.ts", size=(96, 54), first_number=files.SMALL)
    opened = open_source(files.glued(tmp_path / "changing.ts", first, second))
    frames = files.joined(opened, [48, 52])
    assert files.numbers(frames[: files.SMALL]) == list(range(files.SMALL))
    for frame in frames[files.SMALL :]:
        assert frame.image is not None
        assert frame.image.shape == (120, 160, 3)
        assert not frame.image[:14].any()
        assert files.read_number(frame.image[15:-15]) == frame.number  # 160 * 54 / 96 = 90 lines


# Interlaced


INTERLACED = {
    "h264.ts": ("libx264", {"x264-params": "tff=1:keyint=25:bframes=2"}),
    "h264_bottom_first.mkv": ("libx264", {"x264-params": "bff=1:keyint=25"}),
    "mpeg2.ts": ("mpeg2video", {"b": "3000000", "g": "12"}),
}


@pytest.mark.parametrize("name", INTERLACED)
def test_two_fields_are_one_moment(name: str, tmp_path: Path) -> None:
    """Even lines show frame 2n and odd ones 2n + 1: the picture is all 2n, cut anywhere."""
    codec, options = INTERLACED[name]
    path = files.small(tmp_path / name, codec, draw=files.woven, flags="+ildct+ilme", **options)
    opened = open_source(path)
    assert opened.info.interlaced
    frames = files.joined(opened, [3, 24, 31])
    assert files.numbers(frames) == list(range(0, 2 * files.SMALL, 2))
    assert files.hashes(frames) == files.hashes(opened.decode(0, files.SMALL))
    np.testing.assert_allclose(opened.index.time_s, np.arange(files.SMALL) / 25, atol=1e-4)


def grating(_number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Thin still lines on grey: all that the two fields differ in is where they lie."""
    image = np.full((height, width, 3), 90, np.uint8)
    image[5::12] = 230
    image[10::12] = 20
    return image


def test_what_stands_still_keeps_all_its_lines(tmp_path: Path) -> None:
    """1080i of a still picture: lines one pixel thin, as the far touchline is, are not lost."""
    path = files.small(
        tmp_path / "still.ts", draw=grating, size=(1920, 1080), frames=3, crf="10",
        preset="ultrafast", flags="+ildct+ilme", **{"x264-params": "tff=1"},
    )  # fmt: skip
    opened = open_source(path)
    assert opened.info.interlaced
    (frame,) = opened.decode(1, 2)
    assert frame.image is not None
    difference = np.abs(frame.image.astype(int) - grating(0, 1920, 1080))
    assert difference.max() < 25
    assert difference.mean() < 3


# Colours

SCENE = {  # sRGB values of a match, none brighter than where the tone curve bends
    "grass": (70, 125, 55),
    "dark grass": (55, 100, 45),
    "red shirt": (190, 30, 40),
    "blue shirt": (30, 50, 170),
    "skin": (190, 140, 110),
    "grey": (128, 128, 128),
    "black": (8, 8, 8),
    "yellow": (200, 190, 40),
}
BT2020_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083],
                            [-0.0182, -0.1006, 1.1187]])  # fmt: skip


def pq(nits: F64) -> F64:
    """SMPTE ST 2084, light to signal."""
    y = (nits / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375)


def hlg(nits: F64) -> F64:
    """ARIB STD-B67 for a display of 1000 cd/m2 with a system gamma of 1.2."""
    scene = (nits / 1000) ** (1 / 1.2)
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


def wide(nits: F64) -> F64:
    """SDR in the primaries of BT.2020: white is 203 cd/m2 here."""
    return np.asarray((nits / 203) ** (1 / 2.4))


def ten_bit_file(path: Path, signal: F64, transfer: str, matrix: str = "bt2020nc") -> Path:
    """HEVC of colours in 20 pixel columns each, signal (n, 3) as BT.2020 R'G'B' of 0 to 1."""
    red, green, blue = np.repeat(signal, 20, axis=0).T
    luma = 0.2627 * red + 0.678 * green + 0.0593 * blue
    planes = [64 + 876 * luma, *(512 + 896 * (c - luma) / s for c, s in
                                 ((blue, 1.8814), (red, 1.4746)))]  # fmt: skip
    lines = [np.rint(p[:: 1 + (i > 0)]).astype("<u2") for i, p in enumerate(planes)]
    raw = path.with_suffix(".yuv")
    raw.write_bytes(
        b"".join(np.tile(v, (120 >> (i > 0), 1)).tobytes() for i, v in enumerate(lines)) * 3
    )
    size = ["-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", f"{20 * len(signal)}x120"]
    tags = f"colorprim=bt2020:transfer={transfer}:colormatrix={matrix}"
    params = f"log-level=none:pools=1:lossless=1:{tags}"
    encoder = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", params]
    return files.ffmpeg([*size, "-i", str(raw), *encoder, str(path)], path)


@pytest.mark.parametrize(
    ("transfer", "matrix", "signal_of"),
    [
        ("smpte2084", "bt2020nc", pq),
        ("arib-std-b67", "bt2020nc", hlg),
        ("bt2020-10", "bt2020nc", wide),
        ("smpte2084", "unknown", pq),
        ("smpte2084", "gbr", pq),
    ],
    ids=["PQ", "HLG", "wide gamut", "matrix not told", "matrix of RGB, which it is not"],
)
def test_hdr_looks_as_its_sdr_version(
    transfer: str, matrix: str, signal_of: Signal, tmp_path: Path
) -> None:
    """White is 203 cd/m2 (BT.2408), a display's gamma 2.4: a match's colours come back."""
    colours = np.array(list(SCENE.values()))
    light = (colours / 255) ** 2.4 @ np.linalg.inv(BT2020_TO_BT709).T * 203
    opened = open_source(ten_bit_file(tmp_path / "hdr.mp4", signal_of(light), transfer, matrix))
    assert opened.info.pixel_format == "yuv420p10le"
    (frame,) = opened.decode(1, 2)
    assert frame.image is not None
    seen = frame.image[60, 10::20, ::-1].astype(int)
    np.testing.assert_allclose(seen, colours, atol=4)
    assert files.hashes(files.joined(opened, [1])) == files.hashes(opened.decode(0, 3))


@pytest.mark.parametrize(("transfer", "signal_of"), [("smpte2084", pq), ("arib-std-b67", hlg)])
def test_hdr_highlights_are_bent_not_cut(transfer: str, signal_of: Signal, tmp_path: Path) -> None:
    """From grass in the sun to a floodlight: each is brighter than the one before, none grey.

    By the curve's formula white comes out at (0.6 + 0.4 / 2) ** (1 / 2.4) * 255 = 232.
    """
    nits = np.array([20, 50, 100, 203, 400, 600, 900], float)
    signal = signal_of(np.repeat(nits[:, None], 3, axis=1))
    opened = open_source(ten_bit_file(tmp_path / "hdr.mp4", signal, transfer))
    (frame,) = opened.decode(0, 1)
    assert frame.image is not None
    seen = frame.image[60, 10::20].astype(int)
    assert np.ptp(seen, axis=1).max() <= 2
    assert (np.diff(seen.mean(axis=1)) > 0).all()
    assert seen[3].mean() == pytest.approx(232, abs=2)
    assert seen[-1].mean() <= 255


@pytest.mark.parametrize(("pixel_format", "colour_range"), [("yuv420p", 1), ("yuvj420p", 2)])
def test_full_and_limited_range_are_the_same_picture(
    pixel_format: str, colour_range: int, tmp_path: Path
) -> None:
    """A phone's full range is not stretched once more, which would make 205 of 192.

    What is within 6 levels is the encoder's.
    """

    def greys(_number: int, width: int, height: int) -> NDArray[np.uint8]:
        row = np.repeat([0, 64, 128, 192, 255], width // 5).astype(np.uint8)
        return np.tile(row[None, :, None], (height, 1, 3))

    path = files.small(
        tmp_path / "greys.mp4", draw=greys, frames=3, crf="1", pixel_format=pixel_format
    )
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.color_range in (0, colour_range)
    (frame,) = open_source(path).decode(1, 2)
    assert frame.image is not None
    seen = frame.image[60, 16::32].astype(int)
    np.testing.assert_allclose(seen, np.repeat([[0], [64], [128], [192], [255]], 3, 1), atol=6)
