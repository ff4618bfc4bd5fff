"""What the application needs of the world; adapters stand in infrastructure/."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from application.stage import Frame, MatchFacts
from domain.errors import FootAnalyticsError
from domain.grid import Cell, Plan, Segment


class Artifact(msgspec.Struct, frozen=True):
    """An immutable file, named by the SHA-256 of its bytes."""

    sha256: str
    size: int


class Checkpoint(msgspec.Struct, frozen=True):
    """The record that a cell is done.

    `tables` and `files` name the artifacts that the cell wrote, `carried` the state for the next
    segment, `watermark` the frame before which its rows are final. `seconds` is the time it took,
    `token` the fencing token of the lease under which it was made, `made_at` when that was, in
    Unix seconds.
    """

    key: str
    cell: str
    tables: dict[str, Artifact]
    files: dict[str, Artifact] = {}
    carried: Artifact | None = None
    watermark: int = 0
    seconds: float = 0.0
    token: int = 0
    made_at: float = 0.0

    def artifacts(self) -> Iterator[Artifact]:
        yield from self.tables.values()
        yield from self.files.values()
        if self.carried:
            yield self.carried


class ArtifactStore(Protocol):
    """Immutable bytes by their hash, and small records by name; the truth."""

    def put(self, data: bytes) -> Artifact: ...

    def put_file(self, path: Path) -> Artifact:
        """Take over the file at `path`; it is gone from there."""

    def read(self, artifact: Artifact) -> memoryview:
        """The artifact's bytes.

        Raises:
            ArtifactError: it is missing, or its bytes are not the promised ones.
        """

    def local_path(self, artifact: Artifact) -> Path:
        """A readable file with the artifact's bytes."""

    def holds(self, artifact: Artifact) -> bool:
        """Whether it is there with just the bytes that its name promises."""

    def renew(self, artifact: Artifact) -> bool:
        """The same; if it is there it counts as written just now, for who goes by its age."""

    def put_record(self, name: str, data: bytes) -> None:
        """Write a small record, atomically; an older one of that name is replaced."""

    def put_first(self, name: str, data: bytes) -> bytes:
        """Write a record unless there is one of that name, and return the one that is there."""

    def read_record(self, name: str) -> bytes | None: ...

    def remove_record(self, name: str) -> None:
        """Nothing happens where there is none."""

    def records(self, folder: str) -> Iterator[str]:
        """The names of all records whose names begin with `folder` and a slash."""

    def artifacts(self) -> Iterator[tuple[Artifact, float]]:
        """Every artifact, with the Unix time at which it was written."""

    def remove(self, artifact: Artifact) -> None:
        """Nothing happens where it is not there."""

    def free_bytes(self) -> int | None:
        """The room that is left; None where there is no telling."""

    def workspace(self) -> AbstractContextManager[Path]:
        """A folder for temporary files, on the artifacts' own disk, removed at the end."""


class FrameSource(Protocol):
    """The input: video files in order, numbered images, or anything that gives frames.

    `pixels_id` is a hash of all that decides a frame's pixels: the content of the files and how
    they are decoded.
    """

    @property
    def facts(self) -> MatchFacts: ...

    @property
    def pixels_id(self) -> str: ...

    def segments(self, seconds: float) -> tuple[Segment, ...]: ...

    def frames(self, segment: Segment, warmup: int = 0) -> Iterator[Frame]:
        """The segment's frames in order, after at most `warmup` frames that it does not own."""

    def extract_audio(self, path: Path) -> None:
        """Write the sound as WAV, or raise InputError where there is none."""


class PassOutcome(msgspec.Struct, frozen=True):
    """What became of a pass over a segment: the tables that each stage wrote, or the error."""

    segment: int
    stages: tuple[str, ...]
    tables: dict[str, dict[str, Artifact]] = {}
    seconds: dict[str, float] = {}
    error: FootAnalyticsError | None = None


class PassExecutor(Protocol):
    """Runs passes over segments, some at the same time."""

    @property
    def capacity(self) -> int:
        """How many passes are worth having under way at once."""

    def submit(self, segment: int, stages: Sequence[str]) -> None:
        """Start the pass of the source stages named over a segment."""

    def finished(self, *, wait: bool) -> Sequence[PassOutcome]:
        """The passes that ended since the last call; with `wait`, at least one."""

    def close(self) -> None:
        """Stop what is under way."""


class Observer(Protocol):
    """Hears how a run goes on; what it does with it changes no result."""

    def planned(self, plan: Plan) -> None: ...

    def notice(self, text: str) -> None:
        """Something that the user should know and that stops nothing."""

    def frames_seen(self, segment: int, count: int) -> None:
        """`count` more frames of the segment went through all its source stages."""

    def cell_completed(self, cell: Cell, checkpoint: Checkpoint, *, reused: bool) -> None: ...


class Silent:
    """An observer that does nothing."""

    def planned(self, plan: Plan) -> None: ...

    def notice(self, text: str) -> None: ...

    def frames_seen(self, segment: int, count: int) -> None: ...

    def cell_completed(self, cell: Cell, checkpoint: Checkpoint, *, reused: bool) -> None: ...
