"""How a run shows itself: a progress bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from application.ports import Checkpoint, Observer
from domain.grid import END, Cell, Plan

PLAIN_EVERY_S = 5.0


@contextmanager
def observer() -> Iterator[Observer]:
    """An observer that writes to stderr, fitting to what stderr is."""
    if not sys.stderr.isatty():
        yield PlainObserver()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description:>22}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        yield RichObserver(progress)


class _Counting:
    """Counts frames and remembers when the run began."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.total = 0
        self.seen = 0
        self._by_segment: dict[int, int] = {}
        self._segments: dict[int, int] = {}

    def plan(self, plan: Plan) -> None:
        self.began = time.monotonic()
        self._segments = {part.number: part.end - part.first for part in plan.segments}
        self.total = sum(self._segments.values())

    def see(self, segment: int, count: int) -> None:
        self._by_segment[segment] = self._by_segment.get(segment, 0) + count
        self.seen += count

    def complete(self, segment: int) -> None:
        """A source cell of the segment is done: all its frames are, whatever was counted."""
        missing = self._segments.get(segment, 0) - self._by_segment.get(segment, 0)
        self.see(segment, max(missing, 0))

    @property
    def rate(self) -> float:
        return self.seen / max(time.monotonic() - self.began, 1e-6)


class PlainObserver:
    """A line now and then, for logs."""

    def __init__(self) -> None:
        self._count = _Counting()
        self._last = 0.0

    def planned(self, plan: Plan) -> None:
        self._count.plan(plan)
        print(
            f"{plan.frame_count} frames, {len(plan.segments)} segments, "
            f"stages: {', '.join(stage.name for stage in plan.stages)}",
            file=sys.stderr,
        )

    def notice(self, text: str) -> None:
        print(f"notice: {text}", file=sys.stderr)

    def frames_seen(self, segment: int, count: int) -> None:
        self._count.see(segment, count)
        if time.monotonic() - self._last >= PLAIN_EVERY_S:
            self._last = time.monotonic()
            print(
                f"frames {self._count.seen}/{self._count.total} {self._count.rate:.1f} frames/s",
                file=sys.stderr,
            )

    def cell_completed(self, cell: Cell, checkpoint: Checkpoint, *, reused: bool) -> None:
        if cell.segment == END:
            how = "taken from the run before" if reused else f"last cell {checkpoint.seconds:.2f} s"
            print(f"{cell.stage}: done ({how})", file=sys.stderr)


class RichObserver:
    """One bar for the frames and one for the cells of the stages on tables."""

    def __init__(self, progress) -> None:  # type: ignore[no-untyped-def]
        self._progress = progress
        self._count = _Counting()
        self._frames = progress.add_task("frames", total=None, rate="")
        self._cells = progress.add_task("cells", total=None, rate="")

    def planned(self, plan: Plan) -> None:
        self._count.plan(plan)
        self._progress.update(self._frames, total=plan.frame_count)
        self._progress.update(self._cells, total=len(plan.cells))
        self._sources = {stage.name for stage in plan.stages if stage.kind == "source"}

    def notice(self, text: str) -> None:
        self._progress.console.print(f"notice: {text}")

    def frames_seen(self, segment: int, count: int) -> None:
        self._count.see(segment, count)
        self._show_frames()

    def cell_completed(self, cell: Cell, checkpoint: Checkpoint, *, reused: bool) -> None:
        if cell.segment != END and cell.stage in self._sources:
            self._count.complete(cell.segment)
            self._show_frames()
        rate = "reused" if reused else f"{checkpoint.seconds * 1000:.0f} ms"
        self._progress.update(self._cells, advance=1, description=cell.stage, rate=rate)

    def _show_frames(self) -> None:
        rate = f"{self._count.rate:.1f} frames/s"
        self._progress.update(self._frames, completed=self._count.seen, rate=rate)
