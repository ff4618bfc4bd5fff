"""What the application needs of the world; adapters stand in infrastructure/."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from application.stage import Frame, MatchFacts
from domain.grid import Cell, Plan, Segment
from domain.pipeline import DomainEvent, PipelineState


class Artifact(msgspec.Struct, frozen=True):
    """An immutable file, named by the SHA-256 of its bytes."""

    sha256: str
    size: int


class Checkpoint(msgspec.Struct, frozen=True):
    """The record that a cell is done.

    `tables` and `files` name the artifacts that the cell wrote, `carried` the state for the next
    segment, `watermark` the frame before which its rows are final. `seconds` is the time it took.
    """

    key: str
    cell: str
    tables: dict[str, Artifact]
    files: dict[str, Artifact] = {}
    carried: Artifact | None = None
    watermark: int = 0
    seconds: float = 0.0
    token: int = 0

    def artifacts(self) -> Iterator[Artifact]:
        yield from self.tables.values()
        yield from self.files.values()
        if self.carried:
            yield self.carried


class LogEntry(msgspec.Struct, frozen=True):
    """A domain event in the log; numbers are global, rise, and are never used twice."""

    number: int
    event_id: str
    kind: str
    pipeline_id: str
    cell: str
    attempt: int
    message: str


class PipelineRecord(msgspec.Struct, frozen=True):
    """What the store keeps of a pipeline; configuration and plan are JSON texts."""

    pipeline_id: str
    state: str
    configuration: str
    plan: str = ""
    attempt: int = 0
    error: str = ""


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

    def put_record(self, name: str, data: bytes) -> None:
        """Write a small record, atomically; an older one of that name is replaced."""

    def read_record(self, name: str) -> bytes | None: ...

    def workspace(self) -> AbstractContextManager[Path]:
        """A folder for temporary files, on the artifacts' own disk, removed at the end."""


class StateStore(Protocol):
    """The pipelines' state and their log. Every method is atomic."""

    def save(self, record: PipelineRecord, events: Sequence[DomainEvent]) -> None:
        """Insert or replace the pipeline's record and append its events to the log."""

    def pipeline(self, pipeline_id: str) -> PipelineRecord | None: ...

    def pipelines(self) -> Sequence[PipelineRecord]:
        """All of them, oldest first."""

    def checkpoint(self, key: str) -> Checkpoint | None: ...

    def forget(self, key: str) -> None:
        """Drop a checkpoint whose artifacts are lost, so that the next commit of the key counts."""

    def lease(self, pipeline_id: str, cell: Cell, holder: str, seconds: float) -> int | None:
        """Take the cell: a fencing token above any before, or None while another holds it."""

    def renew(self, pipeline_id: str, cell: Cell, token: int, seconds: float) -> bool:
        """Hold the lease for `seconds` from now; False when it has passed to another."""

    def give_back(self, pipeline_id: str, cell: Cell, token: int) -> None:
        """Let the cell go before its lease ends; nothing happens when it is no longer held."""

    def commit(
        self,
        pipeline_id: str,
        cell: Cell,
        token: int,
        checkpoint: Checkpoint,
        events: Sequence[DomainEvent],
        state: PipelineState,
    ) -> Checkpoint:
        """Mark the cell done, keep its checkpoint, append the events and set the pipeline's state.

        All of it happens, or nothing. The first commit of a key wins: the checkpoint that counts
        is returned.

        Raises:
            LeaseError: the token is not the cell's latest; nothing was changed.
        """

    def done(self, pipeline_id: str) -> Mapping[Cell, str]:
        """The pipeline's finished cells and their keys."""

    def log(self, after: int, limit: int = 1000) -> Sequence[LogEntry]:
        """Entries with numbers above `after`, in order."""

    def close(self) -> None: ...


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
    """What became of a pass over a segment: the tables that each stage wrote, or the error.

    `lost` says that the worker vanished: the segment may be tried again.
    """

    segment: int
    stages: tuple[str, ...]
    tables: dict[str, dict[str, Artifact]] = {}
    seconds: dict[str, float] = {}
    error: str = ""
    lost: bool = False


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
