"""A folder of numbered images is read as a video is."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from domain.errors import InputError
from infrastructure.video.source import VideoSource, open_source
from tests import video_files as files


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(12):
        cv2.imwrite(str(folder / f"frame{number}.png"), files.numbered_frame(number))
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_images_in_natural_number_order(images: Path) -> None:
    """frame2 comes before frame10; ten a second."""
    opened = open_source(images, fps=10)
    frames = list(opened.decode(0, 12))
    assert [files.read_number(f.image) for f in frames if f.image is not None] == list(range(12))
    assert opened.index.time_s.tolist() == pytest.approx((np.arange(12) / 10).tolist())
    assert opened.index.end_s == pytest.approx(1.2)
    assert opened.info.frame_rate == 10
    kept = list(opened.decode(3, 12, target_fps=5, size=(96, 96)))
    assert [frame.number for frame in kept] == [4, 6, 8, 10]
    assert {None if f.image is None else f.image.shape for f in kept} == {(54, 96, 3)}


def test_a_damaged_image_is_a_frame_without_image(images: Path) -> None:
    (images / "frame5.png").write_bytes(b"broken")
    (images / "frame6.png").write_bytes(b"")
    decoded = [frame.decoded for frame in open_source(images).decode(0, 12)]
    assert decoded == [number not in (5, 6) for number in range(12)]


def test_an_image_of_another_size_is_refused(images: Path) -> None:
    cv2.imwrite(str(images / "frame7.png"), files.numbered_frame(7, 96, 54))
    with pytest.raises(InputError, match=r"frame7.png: is 96x54"):
        list(open_source(images).decode(0, 12))


def test_the_hash_of_images_follows_pictures_and_rate_not_the_place(
    images: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in images.glob("*.png"):
        (moved / path.name).write_bytes(path.read_bytes())
    assert open_source(images).content_hash == open_source(moved).content_hash
    assert open_source(images).content_hash != open_source(moved, fps=30).content_hash
    cv2.imwrite(str(moved / "frame3.png"), files.numbered_frame(4))
    assert open_source(images).content_hash != open_source(moved).content_hash


@pytest.mark.parametrize("gone", [False, True])
def test_an_image_that_changed_since_the_match_was_planned_is_refused(
    gone: bool, images: Path
) -> None:
    """A later writing time, or no file, under a name that was planned."""
    opened = open_source(images)
    path = images / "frame5.png"
    if gone:
        path.unlink()
    else:
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(InputError, match=r"frame5.png: changed since the match was planned"):
        list(VideoSource.from_bytes(opened.to_bytes()).decode(0, 12))


def test_a_folder_travels_as_bytes(images: Path) -> None:
    opened = open_source(images, fps=12.5)
    copy = VideoSource.from_bytes(opened.to_bytes())
    assert copy.info == opened.info
    assert copy.content_hash == opened.content_hash
    assert copy.index.time_s.tolist() == opened.index.time_s.tolist()
    assert files.hashes(copy.decode(5, 9)) == files.hashes(opened.decode(5, 9))
