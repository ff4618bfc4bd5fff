"""One match as a source of frames: a file, several files in order, or a folder of images.

Frame numbers and times run on from part to part without a gap.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from domain.errors import InputError, InputMissingError
from infrastructure.video.decode import Frame, Reader
from infrastructure.video.images import ImageSequence, open_images
from infrastructure.video.index import FrameIndex, images_index, index_frames
from infrastructure.video.info import VideoInfo
from infrastructure.video.picture import Picture
from infrastructure.video.probe import DEFAULT, ProbeLimits, probe
from infrastructure.video.rate import kept_frames


class Part(Protocol):
    """What a source is made of; numbers and times here start at 0."""

    @property
    def info(self) -> VideoInfo: ...
    @property
    def index(self) -> FrameIndex: ...
    @property
    def content_hash(self) -> str: ...

    def decode(
        self,
        first: int,
        last: int,
        *,
        threads: int = 1,
        keep: NDArray[np.bool_] | None = None,
        size: tuple[int, int] | None = None,
        resume: int | None = None,
    ) -> Iterator[Frame]:
        """Frames [first, last) in order, each exactly once.

        A frame that cannot be decoded, or that the decoder marks as corrupt, comes without image.
        `keep` (bool [frames]) leaves frames out; `size` (width, height) is a box to shrink into;
        `resume` is where the next stretch will begin, with its warm-up: `last` by default.
        """


@dataclass(frozen=True)
class Stamp:
    """What the file system says of a file; another one means that it was replaced or written."""

    size_bytes: int
    modified_ns: int


def stamp_of(path: Path) -> Stamp | None:
    """None where there is no such file any more."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_size, found.st_mtime_ns)


@dataclass(frozen=True, eq=False)
class VideoFile:
    """A probed and indexed video file, and how it looked on the disk then."""

    path: Path
    info: VideoInfo
    index: FrameIndex
    content_hash: str
    stamp: Stamp

    def decode(
        self,
        first: int,
        last: int,
        *,
        threads: int = 1,
        keep: NDArray[np.bool_] | None = None,
        size: tuple[int, int] | None = None,
        resume: int | None = None,
    ) -> Iterator[Frame]:
        """See `Part.decode`.

        Sound pictures are the same for any number of `threads`; in damaged ones that the decoder
        does not mark, FFmpeg conceals errors only with one. Raises InputError when the file has
        changed since it was indexed or cannot be opened, ResourceError when memory runs out.
        """
        if not 0 <= first <= last <= self.index.frame_count:
            raise ValueError(
                f"frames {first} to {last}: expected within 0 to {self.index.frame_count}"
            )
        self.check_unchanged()
        picture = Picture(self.info, size)
        for number, found in self._reader.frames(first, last, threads=threads, resume=resume):
            if keep is None or keep[number]:
                image = None if found is None else picture.array(*found)
                yield Frame(number, float(self.index.time_s[number]), image)

    def check_unchanged(self) -> None:
        """Raises InputError when the file is not the one that was indexed."""
        if (now := stamp_of(self.path)) is None:
            raise InputMissingError(f"{self.path}: not there any more, or not on this machine")
        if now != self.stamp:
            raise InputError(f"{self.path}: changed since the match was planned; submit it again")

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.path, self.info, self.index)


@dataclass(frozen=True, eq=False)
class SourceIndex:
    """The time line of the whole source.

    `time_s`: float64 [frames], strictly increasing from 0. `end_s`: where the last frame ends.
    `first_frames`: the number of each part's first frame. `starts_s`: when each part begins.
    """

    time_s: NDArray[np.float64]
    end_s: float
    first_frames: tuple[int, ...]
    starts_s: tuple[float, ...]

    @property
    def frame_count(self) -> int:
        """How many frames the source presents."""
        return len(self.time_s)


@dataclass(frozen=True, eq=False)
class VideoSource:
    """The frames of one match."""

    parts: tuple[Part, ...]

    @property
    def info(self) -> VideoInfo:
        """The first part's description; all parts have its frame size."""
        return self.parts[0].info

    @cached_property
    def index(self) -> SourceIndex:
        """The time line of all parts."""
        counts = [part.index.frame_count for part in self.parts]
        ends = np.cumsum([0.0] + [part.index.end_s for part in self.parts])
        times = [part.index.time_s + start for part, start in zip(self.parts, ends, strict=False)]
        return SourceIndex(
            time_s=np.concatenate(times),
            end_s=float(ends[-1]),
            first_frames=tuple(int(n) for n in np.cumsum([0, *counts[:-1]])),
            starts_s=tuple(float(start) for start in ends[:-1]),
        )

    @cached_property
    def content_hash(self) -> str:
        """sha256 (hex) of the pictures' bytes, whatever the paths; of one file, the file's own."""
        if len(self.parts) == 1:
            return self.parts[0].content_hash
        return hashlib.sha256(" ".join(p.content_hash for p in self.parts).encode()).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the files, one line each."""
        return tuple(f"{_where(part)}: {note}" for part in self.parts for note in part.index.notes)

    def decode(
        self,
        first: int,
        last: int,
        *,
        threads: int = 1,
        target_fps: float | None = None,
        size: tuple[int, int] | None = None,
        resume: int | None = None,
    ) -> Iterator[Frame]:
        """Frames [first, last) of the whole source in order, each exactly once.

        `target_fps` keeps the frame nearest to each tick, under its own number. `size`
        (width, height) is a box to shrink into; the aspect ratio stays and nothing is enlarged.
        `resume` is where the next stretch will begin, with its warm-up: `last` by default.
        A frame that cannot be decoded comes without image. Raises InputError when a file has
        changed, ValueError for frames outside the source.
        """
        if not 0 <= first <= last <= self.index.frame_count:
            raise ValueError(
                f"frames {first} to {last}: expected within 0 to {self.index.frame_count}"
            )
        keep = None if target_fps is None else kept_frames(self.index, target_fps)
        for part, offset in zip(self.parts, self.index.first_frames, strict=True):
            count = part.index.frame_count
            begin, end = max(first - offset, 0), min(last - offset, count)
            if begin >= end:
                continue
            own = None if keep is None else keep[offset : offset + count]
            again = None if resume is None else max(begin, resume - offset)
            pictures = part.decode(begin, end, threads=threads, keep=own, size=size, resume=again)
            for frame in pictures:
                number = frame.number + offset
                yield Frame(number, float(self.index.time_s[number]), frame.image)

    def to_bytes(self) -> bytes:
        """Everything but the pictures, without pickle, for a worker that sees the same paths."""
        facts = [_facts(part) for part in self.parts]
        arrays: dict[str, Any] = {
            f"index_{number}": np.frombuffer(part.index.to_bytes(), np.uint8)
            for number, part in enumerate(self.parts)
            if isinstance(part, VideoFile)
        }
        out = io.BytesIO()
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        np.savez(out, **arrays)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> VideoSource:
        """The inverse of `to_bytes`; opens no file."""
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            facts = json.loads(archive["facts"].tobytes())
            return cls(tuple(_part(fact, archive, number) for number, fact in enumerate(facts)))


def open_source(
    paths: Path | str | Sequence[Path | str],
    *,
    fps: float | None = None,
    limits: ProbeLimits = DEFAULT,
) -> VideoSource:
    """Probes, indexes and hashes a video file, several in order, or a folder of images.

    `fps` is the rate of images (25 by default). Raises InputError, one line that names the file
    and what to do, for whatever cannot be used.
    """
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    if not listed:
        raise InputError("no input: give a video file or a folder of numbered images")
    parts = tuple(open_part(Path(path), fps=fps, limits=limits) for path in listed)
    sizes = [(part.info.width, part.info.height) for part in parts]
    for path, size in zip(listed, sizes, strict=True):
        if size != sizes[0]:
            raise InputError(
                f"{path}: has frames of {size[0]}x{size[1]} but {listed[0]} of "
                f"{sizes[0][0]}x{sizes[0][1]}; scale one so that all parts agree"
            )
    return VideoSource(parts)


def open_part(path: Path, *, fps: float | None = None, limits: ProbeLimits = DEFAULT) -> Part:
    """One input: a folder of images or a video file."""
    if path.is_dir():
        return open_images(path, fps)
    before = stamp_of(path)
    info = probe(path, limits)
    # Hashing leaves the interpreter lock, so the packets are read meanwhile.
    with ThreadPoolExecutor(max_workers=1) as pool:
        content_hash = pool.submit(hash_file, path)
        index = index_frames(path, info)
        file = VideoFile(path, info, index, content_hash.result(), before or Stamp(0, 0))
    if stamp_of(path) != before:
        raise InputError(
            f"{path}: is still being written; wait until the recording or the copy has ended"
        )
    return file


def hash_file(path: Path) -> str:
    """sha256 of the file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _where(part: Part) -> str:
    return str(part.path if isinstance(part, VideoFile) else getattr(part, "folder", "images"))


def _facts(part: Part) -> dict[str, Any]:
    """A part as plain JSON values; a file's index travels beside them."""
    if isinstance(part, VideoFile):
        return {
            "kind": "file",
            "path": str(part.path.absolute()),
            "info": json.loads(part.info.to_json()),
            "content_hash": part.content_hash,
            "stamp": asdict(part.stamp),
        }
    if isinstance(part, ImageSequence):
        return {
            "kind": "images",
            "path": str(part.folder.absolute()),
            "info": json.loads(part.info.to_json()),
            "content_hash": part.content_hash,
            "names": part.names,
            "stamps": part.stamps,
        }
    raise TypeError(f"a part of type {type(part).__name__} cannot be handed to a worker")


def _part(facts: dict[str, Any], archive: Any, number: int) -> Part:
    info, path = VideoInfo.from_facts(facts["info"]), Path(facts["path"])
    if facts["kind"] == "file":
        index = FrameIndex.from_bytes(archive[f"index_{number}"].tobytes())
        return VideoFile(path, info, index, facts["content_hash"], Stamp(**facts["stamp"]))
    rate, names = info.frame_rate or Fraction(25), tuple(facts["names"])
    index = images_index(len(names), rate)
    return ImageSequence(path, names, info, index, facts["content_hash"], tuple(facts["stamps"]))
