"""What a stage is: what it requires, what it leaves, and how the engine calls it.

A frame stage sees pixels of one segment and nothing else. A timeline stage sees rows in the order
of frames and carries state. A stage's code is only about football: leases, keys, retries, timing
and storage are the engine's.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.configuration import StageOptions
from domain.match import Kit, MatchOptions
from domain.periods import Period
from domain.pitch import Pitch

OptionsT = TypeVar("OptionsT", bound=StageOptions)
StateT = TypeVar("StateT", bound=msgspec.Struct)
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class MatchFacts:
    """What every stage may know of the input before the first frame.

    `width` and `height` are in source pixels, `frame_rate` is the nominal one, in frames a second.
    A stage that reads one of the others names it in `knows` or `knows_at_end`: `periods`, where
    the configuration or the files tell them, and which of the two (`periods_from`), `kits` of home
    and away, and whatever else was told of the match, `details`.
    """

    width: int
    height: int
    frame_rate: float
    pitch: Pitch = field(default_factory=Pitch)
    periods: tuple[Period, ...] = ()
    periods_from: str = "unknown"
    kits: tuple[Kit, Kit] = (Kit(), Kit())
    details: MatchOptions = field(default_factory=MatchOptions)


@dataclass(frozen=True)
class Frame:
    """One frame of the input: `image` is (height, width, 3) BGR, or None where nothing decodes.

    `owned` is False for a warm-up frame: it is seen, and no row comes of it.
    """

    number: int
    time_s: float
    image: Image | None
    owned: bool = True
    segment: int = 0


@dataclass(frozen=True)
class StageResult:
    """What one call of a stage gives: rows that are final up to `watermark`, and carried state.

    Rows of frames before `watermark` never come again; `files` are whole files to publish, by name.
    """

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    state: Any = None
    watermark: int = 0
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """The complete rows of the frames from `first` up to, not including, `end`.

    `tables` holds each required table, sorted by frame. `optional` tables that the plan does not
    make are absent.
    """

    first: int
    end: int
    tables: Mapping[str, pa.Table]

    def __getitem__(self, name: str) -> pa.Table:
        return self.tables[name]

    def get(self, name: str) -> pa.Table | None:
        return self.tables.get(name)


class WholeMatch(Protocol):
    """The final tables of the whole match, for a stage's END cell."""

    def table(self, name: str) -> pa.Table:
        """All rows; use it where they are few."""

    def parts(self, name: str) -> Iterator[pa.Table]:
        """The same rows, a segment at a time, so that memory does not grow with the match."""

    def has(self, name: str) -> bool:
        """Whether the plan makes this table."""

    def frames(self) -> Iterator["Frame"]:
        """The pixels once more, decoded from the start; for a stage that says `reads_pixels`."""

    def extract_audio(self, path: Path) -> None:
        """Write the input's sound to `path` as WAV; for a stage that says `reads_pixels`."""

    @property
    def workspace(self) -> Path:
        """A folder for files that `StageResult.files` names; gone when the cell is done."""


class BaseStage(ABC, Generic[OptionsT]):
    """A step of the pipeline.

    `requires` and `optional` name the tables that its cells read segment by segment. Its END cell
    reads whole tables, those in `concludes_with` and, where the plan makes them, `optional_at_end`,
    and the pixels once more where `reads_pixels` says so. A stage of another package names its
    `options_type`; ours have theirs in the configuration. `knows` names what of the match's facts
    decides the rows of every cell ("periods", "kits", "details"; a frame stage names "pitch" too),
    `knows_at_end` what decides those of the END cell alone. `version` is raised by hand whenever
    the result of the same input changes.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    options_type: ClassVar[type[StageOptions]] = StageOptions
    requires: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()
    concludes_with: ClassVar[tuple[str, ...]] = ()
    optional_at_end: ClassVar[tuple[str, ...]] = ()
    knows: ClassVar[tuple[str, ...]] = ()
    knows_at_end: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[tuple[str, ...]] = ()
    reads_pixels: ClassVar[bool] = False

    def __init__(self, options: OptionsT, facts: MatchFacts) -> None:
        self.options = options
        self.facts = facts

    def conclude(self, match: WholeMatch, state: Any) -> StageResult:  # noqa: ARG002
        """What only the whole match can tell; nothing by default."""
        return StageResult()


class FramePass(Protocol):
    """One frame stage at work on one segment."""

    def take(self, frames: Sequence[Frame]) -> None:
        """See the next frames, in order."""

    def tables(self) -> Mapping[str, pa.Table]:
        """The rows of the owned frames, after the last of them."""


class FrameStage(BaseStage[OptionsT]):
    """A stage that needs pixels and nothing from other segments.

    `warmup_frames` frames before each segment are decoded for it and not emitted, so that rows do
    not depend on where segments are cut.
    """

    warmup_frames: ClassVar[int] = 0

    @abstractmethod
    def begin(self) -> FramePass:
        """Start on a segment."""


class Model(Protocol):
    """A loaded network: images to arrays, with equal results one at a time or many at once."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the network's file calls its classes, in order; empty where it does not say."""

    def infer(self, images: Sequence[Image]) -> Sequence[tuple[NDArray[np.float32], ...]]:
        """One tuple of outputs for each image, (height, width, 3) BGR of the network's own size."""


class Network(Model, Protocol):
    """A network that can be had for images of other sizes too, unless its file fixes one."""

    @property
    def is_of_one_size(self) -> bool:
        """Whether the file takes images of one size alone; told without loading it."""

    def at(self, size: tuple[int, int]) -> Model:
        """The same network for images of this height and width; loaded when it is first asked."""


@dataclass(frozen=True)
class ModelIdentity:
    """Which network, run how: what of it decides the result."""

    sha256: str
    backend: str
    precision: str


class GPUStage(FrameStage[OptionsT]):
    """A frame stage that runs a network, on a GPU where there is one."""

    @staticmethod
    @abstractmethod
    def shipped_model() -> str:
        """The file name, in models/, of the network used when the options name none."""

    def __init__(self, options: OptionsT, facts: MatchFacts, model: Network) -> None:
        super().__init__(options, facts)
        self.model = model

    def notices(self) -> Sequence[str]:
        """What the user should be told, once, about how this network is used; nothing by default.

        Raises:
            InputError: the network's file is broken.
        """
        return ()

    @staticmethod
    @abstractmethod
    def input_size(options: Any, facts: MatchFacts) -> tuple[int, int]:
        """Height and width in pixels of the images that the network gets."""


class TimelineStage(BaseStage[OptionsT], Generic[OptionsT, StateT]):
    """A stage on tables that carries state from segment to segment.

    `advance` sees each frame exactly once, complete and in order, however the input is cut, and
    must give the same rows for any cutting. It may hold rows back (a smoother looks ahead) and says
    by the watermark up to which frame its rows are final; with `final` it gives all that is left.
    """

    state_type: ClassVar[type[msgspec.Struct]]

    def start(self) -> StateT:
        """The state before the first frame."""
        return self.state_type()  # type: ignore[return-value]

    @abstractmethod
    def advance(self, rows: Rows, state: StateT, *, final: bool) -> StageResult:
        """Take the next complete frames. The given state may be changed and returned."""


class WholeMatchStage(BaseStage[OptionsT]):
    """A stage that has an END cell only: all it does, it does in `conclude`."""
