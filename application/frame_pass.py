"""One pass over a segment's pixels: each frame is decoded once and shown to every frame stage."""

import itertools
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa

from application.engine import store_tables
from application.ports import ArtifactStore, FrameSource, PassOutcome
from application.retry import of_the_machine
from application.stage import BaseStage, Frame, FramePass, FrameStage
from domain import tables
from domain.errors import FootAnalyticsError, ResourceError, StageError
from domain.grid import Plan, Segment

T = TypeVar("T")
OnFrames = Callable[[int], None]


@dataclass
class PassResult:
    """What the stages made of a segment, and the seconds that each, and decoding, took."""

    tables: dict[str, Mapping[str, pa.Table]]
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def run(
    source: FrameSource,
    segment: Segment,
    stages: Sequence[FrameStage],
    batch_size: int,
    on_frames: OnFrames = lambda _: None,
) -> PassResult:
    """Decode `segment` and run `stages` on it; `on_frames` hears of each batch that is through."""
    passes = {stage.name: stage.begin() for stage in stages}
    result = PassResult({})
    warmup = max((stage.warmup_frames for stage in stages), default=0)
    with Prefetch(source.frames(segment, warmup), depth=2 * batch_size) as frames:
        _warm_up(frames, stages, passes)
        for batch in _batches(frames, batch_size):
            for name, stage_pass in passes.items():
                started = time.perf_counter()
                stage_pass.take(batch)
                result.seconds[name] += time.perf_counter() - started
            on_frames(len(batch))
        result.seconds["decoding"] = frames.seconds
    for name, stage_pass in passes.items():
        started = time.perf_counter()
        result.tables[name] = {
            table: tables.check(table, rows) for table, rows in stage_pass.tables().items()
        }
        result.seconds[name] += time.perf_counter() - started
    return result


def _warm_up(
    frames: "Prefetch", stages: Sequence[FrameStage], passes: Mapping[str, FramePass]
) -> None:
    """Show each stage just as many frames before the segment as it asked for."""
    before: list[Frame] = []
    for frame in frames:
        if frame.owned:
            frames.push_back(frame)
            break
        before.append(frame)
    for stage in stages:
        if shown := before[max(len(before) - stage.warmup_frames, 0) :]:
            passes[stage.name].take(shown)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


class PassRunner:
    """Holds a match's frame stages, with their networks, between the passes of one worker."""

    def __init__(
        self,
        plan: Plan,
        stages: Mapping[str, BaseStage],
        source: FrameSource,
        artifacts: ArtifactStore,
        batch_size: int,
    ) -> None:
        self._plan = plan
        self._stages = stages
        self._source = source
        self._artifacts = artifacts
        self._batch_size = batch_size

    def run(self, segment: int, names: Sequence[str], on_frames: OnFrames) -> PassOutcome:
        """Run the stages named over a segment and write their tables; errors become the outcome."""
        try:
            chosen = [self._frame_stage(name) for name in names]
            part = self._plan.segments[segment]
            result = run(self._source, part, chosen, self._batch_size, on_frames)
            written = {
                name: store_tables(self._artifacts, rows) for name, rows in result.tables.items()
            }
            return PassOutcome(segment, tuple(names), written, dict(result.seconds))
        except FootAnalyticsError as error:
            return PassOutcome(segment, tuple(names), error=error)
        except MemoryError:
            full = ResourceError("out of memory: use fewer processes or a smaller batch_size")
            return PassOutcome(segment, tuple(names), error=full)
        except Exception as error:  # the task's edge: whatever it was, the run must hear of it
            logging.getLogger(__name__).debug("pass failed", exc_info=True)
            fault = StageError(f"{type(error).__name__}: {error}")
            reason = of_the_machine(error) or fault
            return PassOutcome(segment, tuple(names), error=reason)

    def _frame_stage(self, name: str) -> FrameStage:
        stage = self._stages[name]
        if not isinstance(stage, FrameStage):
            raise StageError(f"{name}: not a frame stage")
        return stage


class Prefetch:
    """Takes frames from an iterator in a thread of its own, at most `depth` ahead.

    An error of the iterator is raised where its frame would have come; `seconds` is the time that
    the iterator took.
    """

    def __init__(self, frames: Iterator[Frame], depth: int) -> None:
        self.seconds = 0.0
        self._queue: queue.Queue[Frame | BaseException | None] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._returned: list[Frame] = []
        self._thread = threading.Thread(target=self._fill, args=(frames,), daemon=True)

    def __enter__(self) -> "Prefetch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.01)
            except queue.Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            if self._returned:
                yield self._returned.pop()
                continue
            item = self._queue.get()
            if item is None:
                self._queue.put(None)
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def push_back(self, frame: Frame) -> None:
        """Give `frame` once more, first."""
        self._returned.append(frame)

    def _fill(self, frames: Iterator[Frame]) -> None:
        last: BaseException | None = None
        try:
            while not self._stopped.is_set():
                started = time.perf_counter()
                frame = next(frames, None)
                self.seconds += time.perf_counter() - started
                if frame is None:
                    break
                self._queue.put(frame)
        except BaseException as error:  # the reader raises it
            last = error
        self._queue.put(last)
