"""One match on one machine, without servers: state and artifacts live in DIR/.footanalytics."""

import contextlib
import fcntl
import json
import os
import resource
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from application.engine import Engine
from application.ports import Checkpoint, Observer
from domain.errors import ResourceError
from domain.grid import Cell, Plan
from infrastructure.storage.folder import (
    FolderArtifactStore,
    as_resource_errors,
    publish,
    write_whole,
)

STATE_FOLDER = ".footanalytics"


@dataclass
class RunReport:
    """What a run did and how long it took; what it found is in summary.json."""

    out: str
    frames: int = 0
    video_s: float = 0.0
    wall_s: float = 0.0
    processes: int = 1
    cells_run: int = 0
    cells_reused: int = 0
    peak_memory_mib: int = 0  # of this process and, as if all were as large, of its children
    stage_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    notices: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def frames_per_s(self) -> float:
        return self.frames / self.wall_s if self.wall_s else 0.0

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "frames_per_s": round(self.frames_per_s, 2)}

    def as_text(self) -> str:
        speed = f"{self.frames} frames in {self.wall_s:.1f} s ({self.frames_per_s:.1f} frames/s)"
        reused = f", {self.cells_reused} cells reused" if self.cells_reused else ""
        return f"{speed}{reused}\nresults: {self.out}"


class RunFolder:
    """DIR as a run uses it: locked against a second run, with its state and artifacts inside."""

    def __init__(self, out: Path, *, keep: bool) -> None:
        self.out = out
        self._keep = keep
        self.state = out / STATE_FOLDER
        if not keep:
            self.state = out / STATE_FOLDER / "once"

    @contextlib.contextmanager
    def locked(self) -> Iterator[FolderArtifactStore]:
        """The artifact store, while this process alone uses the folder.

        Raises:
            ResourceError: the folder cannot be written, or another run is using it.
        """
        existed = self.out.exists()
        try:
            (self.out / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
            lock = (self.out / STATE_FOLDER / "lock").open("a+")
        except OSError as error:
            raise ResourceError(
                f"{self.out}: cannot be written ({error.strerror}): choose another --out"
            ) from error
        with lock:
            with as_resource_errors(self.out):
                _take(lock.fileno(), self.out)
            try:
                if not self._keep:
                    shutil.rmtree(self.state, ignore_errors=True)
                store = FolderArtifactStore(self.state)
                store.clear_temporary()
                yield store
            finally:
                self._tidy(existed)

    def refuse_if_busy(self) -> None:
        """Say at once, before the input is read, that another run is using the folder.

        Raises:
            ResourceError: it is.
        """
        with contextlib.suppress(OSError), (self.out / STATE_FOLDER / "lock").open("r+") as lock:
            _take(lock.fileno(), self.out)

    def _tidy(self, existed: bool) -> None:
        """Leave no intermediates where none are wanted, and no folder where nothing came of it."""
        if not self._keep:
            shutil.rmtree(self.state, ignore_errors=True)
        nothing_done = not any((self.out / STATE_FOLDER).glob("state.sqlite")) and not existed
        if nothing_done and {entry.name for entry in self.out.iterdir()} == {STATE_FOLDER}:
            shutil.rmtree(self.out, ignore_errors=True)


class Recorder:
    """An observer that fills the report and passes everything on."""

    def __init__(self, report: RunReport, follower: Observer) -> None:
        self._report = report
        self._follower = follower

    def planned(self, plan: Plan) -> None:
        self._report.frames = plan.frame_count
        self._report.video_s = plan.segments[-1].end_s - plan.segments[0].start_s
        self._follower.planned(plan)

    def notice(self, text: str) -> None:
        if text not in self._report.notices:
            self._report.notices.append(text)
            self._follower.notice(text)

    def frames_seen(self, segment: int, count: int) -> None:
        self._follower.frames_seen(segment, count)

    def cell_completed(self, cell: Cell, checkpoint: Checkpoint, *, reused: bool) -> None:
        if reused:
            self._report.cells_reused += 1
        else:
            self._report.cells_run += 1
            self._report.stage_seconds[cell.stage] += checkpoint.seconds
        self._follower.cell_completed(cell, checkpoint, reused=reused)


def publish_files(engine: Engine, out: Path) -> list[str]:
    """Copy every file that an END cell left to where the user finds it; returns their names.

    What an earlier run left there and this one does not make is removed.
    """
    files = engine.files()
    record = out / STATE_FOLDER / "published.json"
    before = json.loads(record.read_bytes()) if record.is_file() else []
    write_whole(record, json.dumps(sorted({*before, *files})).encode())
    for name in set(before) - set(files):
        (out / name).unlink(missing_ok=True)
    for name, artifact in files.items():
        publish(engine.artifacts.local_path(artifact), out / name)
    write_whole(record, json.dumps(sorted(files)).encode())
    return sorted(files)


def finish(report: RunReport, started: float, out: Path) -> RunReport:
    """Complete the report and write it to run.json, the one file that holds times."""
    report.wall_s = round(time.monotonic() - started, 3)
    own, child = (
        resource.getrusage(who).ru_maxrss // 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    report.peak_memory_mib = own + (child * report.processes if report.processes > 1 else 0)
    report.stage_seconds = {name: round(s, 3) for name, s in report.stage_seconds.items()}
    dated = {"finished_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **report.as_json()}
    write_whole(out / "run.json", (json.dumps(dated, indent=2) + "\n").encode())
    return report


def _take(descriptor: int, out: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ResourceError(
            f"{out}: another run is writing there: wait for it or choose another --out"
        ) from error
    os.truncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
