"""Stages of another package, as the clusters under test have them: slow, and poisoned on demand.

Environment variables drive them, so none of it is in a cell's key: SLOW_S and SLOW_FRAMES_S are
seconds of work in a cell, POISON names a file while which is there the middle cell kills its
process, and SLOW_VERSION is the version of the stages in this process.
"""

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import pyarrow as pa

from application.stage import Frame, FramePass, FrameStage, Rows, StageResult, TimelineStage
from application.stage import WholeMatch as Match
from domain.configuration import StageOptions

NAMES = ("slow_pass", "slow")
POISONED_FRAME = 160
_VERSION = int(os.environ.get("SLOW_VERSION", "1"))


class _Pass(FramePass):
    def take(self, frames: Sequence[Frame]) -> None:
        time.sleep(float(os.environ.get("SLOW_FRAMES_S", "0")) * len(frames) / 75)

    def tables(self) -> Mapping[str, pa.Table]:
        return {}


class SlowPassStage(FrameStage[StageOptions]):
    """Sees the frames and leaves nothing; 75 frames, a segment, take SLOW_FRAMES_S."""

    name: ClassVar[str] = "slow_pass"
    version: ClassVar[int] = _VERSION

    def begin(self) -> FramePass:
        return _Pass()


class _Counted(msgspec.Struct):
    frames: int = 0


class SlowStage(TimelineStage[StageOptions, _Counted]):
    """Counts the frames into slow.json."""

    name: ClassVar[str] = "slow"
    version: ClassVar[int] = _VERSION
    requires: ClassVar[tuple[str, ...]] = ("frames",)
    state_type: ClassVar[type[msgspec.Struct]] = _Counted

    def advance(self, rows: Rows, state: _Counted, *, final: bool) -> StageResult:  # noqa: ARG002
        seen = rows["frames"].num_rows
        if seen and rows.first <= POISONED_FRAME < rows.end:
            _take_poison()
        time.sleep(float(os.environ.get("SLOW_S", "0")) if seen else 0.0)
        state.frames += seen
        return StageResult({}, state, rows.end)

    def conclude(self, match: Match, state: _Counted) -> StageResult:
        file = match.workspace / "slow.json"
        file.write_text(json.dumps({"frames": state.frames}))
        return StageResult(files={"slow.json": file})


def _take_poison() -> None:
    if "POISON" in os.environ and Path(os.environ["POISON"]).exists():
        os.kill(os.getpid(), signal.SIGKILL)


def install(folder: Path) -> Path:
    """Makes the stages known to processes that have the returned folder in PYTHONPATH."""
    information = folder / "slow-1.0.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[footanalytics.stages]\n"
        f"slow_pass = {__name__}:SlowPassStage\n"
        f"slow = {__name__}:SlowStage\n"
    )
    return folder
