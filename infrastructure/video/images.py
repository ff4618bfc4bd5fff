"""A folder of numbered images as a video: natural number order, a given rate."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.errors import InputError
from infrastructure.video.containers import MAX_PIXELS
from infrastructure.video.decode import Frame
from infrastructure.video.index import FrameIndex, images_index
from infrastructure.video.info import VideoInfo, fit, image_info

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
DEFAULT_FPS = 25.0
_FORMATS = ("PNG", "JPEG", "BMP")


@dataclass(frozen=True, eq=False)
class ImageSequence:
    """Images as frames; one that cannot be read is a frame without image."""

    folder: Path
    names: tuple[str, ...]
    info: VideoInfo
    index: FrameIndex
    content_hash: str
    stamps: tuple[int, ...]
    """When each image was last written, in nanoseconds: a later time means that it changed."""

    def decode(
        self,
        first: int,
        last: int,
        *,
        threads: int = 1,  # noqa: ARG002 - the same signature as a file's
        keep: NDArray[np.bool_] | None = None,
        size: tuple[int, int] | None = None,
        resume: int | None = None,  # noqa: ARG002 - any image can be read next
    ) -> Iterator[Frame]:
        """Frames [first, last) in order.

        Raises InputError for an image of another size, and for one that changed.
        """
        for number in range(first, last):
            if keep is None or keep[number]:
                image = self._image(number, size)
                yield Frame(number, float(self.index.time_s[number]), image)

    def _image(self, number: int, box: tuple[int, int] | None) -> NDArray[np.uint8] | None:
        path = self.folder / self.names[number]
        if modified_ns(path) != self.stamps[number]:
            raise InputError(f"{path}: changed since the match was planned; submit it again")
        image = read_image(path)
        if image is None:
            return None
        height, width = image.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise InputError(
                f"{path}: is {width}x{height} but the folder's first image is "
                f"{self.info.width}x{self.info.height}; give images of one size"
            )
        size = fit(width, height, box)
        if size == (width, height):
            return image
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def open_images(folder: Path, fps: float | None = None) -> ImageSequence:
    """The images of `folder` in natural number order, `fps` (25 by default) a second.

    Raises InputError when the folder has no numbered images or its first cannot be read.
    """
    rate = Fraction(DEFAULT_FPS if fps is None else fps).limit_denominator(1001)
    if rate <= 0:
        raise InputError(f"{folder}: {fps} images a second is no rate; give a number above 0")
    names = numbered_images(folder)
    if not names:
        raise InputError(
            f"{folder}: is a folder without numbered images (1.png, frame_0001.jpg, ...); give a "
            "video file or the folder that holds them"
        )
    image = read_image(folder / names[0])
    if image is None:
        raise InputError(f"{folder / names[0]}: cannot be read as an image; replace or remove it")
    height, width = image.shape[:2]
    return ImageSequence(
        folder=folder,
        names=names,
        info=image_info(width, height, rate, len(names)),
        index=images_index(len(names), rate),
        content_hash=_hash_images(folder, names, rate),
        stamps=tuple(modified_ns(folder / name) for name in names),
    )


def modified_ns(path: Path) -> int:
    """0 where there is no such file any more."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def read_image(path: Path) -> NDArray[np.uint8] | None:
    """uint8 [height, width, 3] BGR, upright by its own EXIF tag; None where it is damaged.

    The bytes are read here: OpenCV prints a warning of its own for a file that it cannot open.
    """
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if _is_harmless(data) else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _is_harmless(data: NDArray[np.uint8]) -> bool:
    """By its header a picture of the named kinds and no larger than a video's may be.

    OpenCV looks at no suffix, and unpacks 100 KB to gigabytes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            width, height = Image.open(io.BytesIO(data.tobytes()), formats=_FORMATS).size
    except (OSError, ValueError, SyntaxError, ImportError, Image.DecompressionBombError):
        # the import is that of a reader which Ultralytics puts in Pillow's place
        return False
    return int(width) * int(height) <= MAX_PIXELS


def numbered_images(folder: Path) -> tuple[str, ...]:
    """Names of the images in `folder` that carry a number, 2 before 10."""
    names = [
        entry.name
        for entry in folder.iterdir()
        if entry.suffix.lower() in SUFFIXES and re.search(r"\d", entry.stem) and entry.is_file()
    ]
    return tuple(sorted(names, key=_natural))


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(p), p) if p.isdecimal() else (1, 0, p.lower()) for p in parts)


def _hash_images(folder: Path, names: tuple[str, ...], rate: Fraction) -> str:
    """Names are left out, as paths are: the same pictures at the same rate are the same match."""
    whole = hashlib.sha256(f"images {rate}".encode())
    for name in names:
        with (folder / name).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
