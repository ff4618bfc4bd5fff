"""Labelled frames of simulated matches, rendered for training where they are not there yet.

A few matches of one league are little to learn from: other stadiums, light, kits, lenses and camera
places come from here, with exact labels.
"""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from domain.errors import ResourceError
from simulation import SimulationOptions, simulate, write_stills
from training.loop import Report, match_of

FIRST_SEED = 200_001
SECONDS = 40.0
STILLS = 5
CAMERAS = (
    "main", "main", "main", "wide", "behind_goal", "main", "main", "amateur", "behind_goal",
    "amateur",
)  # fmt: skip
BROADCAST = 6
"""The place in `CAMERAS` of matches that are filmed as on television, close-ups included."""
SIZES = ((1920, 1080), (1280, 720), (1920, 1080))


def match_options(index: int) -> SimulationOptions:
    """The match with this number: cameras and sizes take turns, all else is the seed's."""
    width, height = SIZES[index % len(SIZES)]
    place = index % len(CAMERAS)
    return SimulationOptions(
        seed=FIRST_SEED + index,
        seconds=SECONDS,
        width=width,
        height=height,
        camera=CAMERAS[place],
        broadcast=place == BROADCAST,
    )


@dataclass(frozen=True)
class _Job:
    """One match to render into a folder."""

    index: int
    folder: Path

    def done(self) -> bool:
        """Whether all of its frames are there; the labels of the pitch are written last."""
        seed = FIRST_SEED + self.index
        return len(list(self.folder.glob(f"pitch/labels/{seed}_*.txt"))) == STILLS

    def run(self) -> None:
        write_stills(simulate(match_options(self.index)), self.folder, STILLS)


def render(folder: Path, matches: int, processes: int, report: Report = print) -> Path:
    """Fill `folder` with `players/` and `pitch/` of so many matches; what is there is kept.

    Raises:
        ResourceError: the folder cannot be written, or a process that renders died.
    """
    jobs = [job for job in (_Job(index, folder) for index in range(matches)) if not job.done()]
    if not jobs:
        return folder
    report(f"rendering frames of {len(jobs)} simulated matches into {folder}")
    try:
        _render(jobs, min(processes, os.cpu_count() or 1), report)
    except BrokenProcessPool as error:
        raise ResourceError(
            "a process that renders frames died, out of memory or killed: give fewer --threads; "
            "what is rendered is kept"
        ) from error
    return folder


def _render(jobs: list[_Job], processes: int, report: Report) -> None:
    context, started = multiprocessing.get_context("spawn"), time.monotonic()
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            for number, _ in enumerate(pool.map(_Job.run, jobs), start=1):
                if number % 20 == 0:
                    left = (time.monotonic() - started) / number * (len(jobs) - number) / 60
                    report(f"rendered {number} of {len(jobs)} matches, about {left:.0f} min left")
        except KeyboardInterrupt:  # the pool would finish what it has begun, for a minute
            for child in multiprocessing.active_children():
                child.kill()
            raise


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and outlive it in no case: a killed one cannot end its pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def images_in(folder: Path, matches: int) -> list[Path]:
    """The pictures of the first `matches` in `folder` (`players` or `pitch`), sorted."""
    images = sorted((folder / "images").glob("*.jpg"))
    return [image for image in images if int(match_of(image)) < FIRST_SEED + matches]
