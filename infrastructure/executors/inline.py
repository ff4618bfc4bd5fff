"""Passes in the calling process, one after another: for tests and for one core."""

from collections.abc import Callable, Sequence

from application.match import Passes
from application.ports import PassOutcome


class InlineExecutor:
    """The adapter of the port `PassExecutor` without any other process."""

    capacity = 1

    def __init__(self, runner: Passes, on_frames: Callable[[int, int], None]) -> None:
        self._runner = runner
        self._on_frames = on_frames
        self._submitted: list[tuple[int, tuple[str, ...]]] = []

    def submit(self, segment: int, stages: Sequence[str]) -> None:
        self._submitted.append((segment, tuple(stages)))

    def finished(self, *, wait: bool) -> Sequence[PassOutcome]:  # noqa: ARG002
        outcomes = [
            self._runner.run(segment, names, lambda count, at=segment: self._on_frames(at, count))  # type: ignore[misc]
            for segment, names in self._submitted
        ]
        self._submitted.clear()
        return outcomes

    def close(self) -> None:
        self._submitted.clear()
