"""Faults of the folder that holds the artifacts."""

import time

from domain.grid import Cell
from tests.faults.broken_disk import BrokenDisk
from tests.faults.full_disk import fill, small_disk
from tests.faults.rig import Rig
from tests.faults.scenario import scenario

GROUP = "storage"
SIZE = 48 << 20


@scenario("artifact disk full, then freed", GROUP)
def _full(rig: Rig) -> None:
    with small_disk(rig.cluster.artifacts_folder, SIZE):
        rig.start()
        rig.held("slow/1")
        filler = fill(rig.cluster.artifacts_folder)
        rig.cluster.wait(lambda: rig.cluster.jobs(rig.pipeline_id).troubles)
        time.sleep(2.0)
        filler.unlink()
        rig.ends()
        rig.affects_troubled()
        rig.finish()


@scenario("no room for the match, then there is", GROUP)
def _no_room(rig: Rig) -> None:
    """It is not admitted, and is tried again."""
    with small_disk(rig.cluster.artifacts_folder, SIZE):
        rig.cluster.beat()
        worker = rig.cluster.worker("worker0")
        rig.ready(1)
        filler = fill(rig.cluster.artifacts_folder)
        filler.write_bytes(b"")  # a record of the match fits, the match does not
        with filler.open("wb") as file:
            file.truncate(0)
            file.write(bytes(SIZE - (1 << 20)))
        rig.submit()
        rig.cluster.wait(lambda: "storage: the match will leave" in worker.said())
        filler.unlink()
        rig.ends()
        rig.affected[-1] = 0
        rig.finish()


def _broken(rig: Rig, every: int, seconds: float) -> None:
    disk = BrokenDisk(rig.cluster.artifacts_folder, rig.cluster.folder, every)
    rig.start(environment=disk.environment)
    rig.held("slow/1")
    rig.may_leave = 100  # what cannot be read cannot be removed either
    with disk.failing():
        time.sleep(seconds)
    rig.ends()
    rig.affects_troubled()
    rig.finish()


@scenario("every read of artifacts fails for 4 s", GROUP)
def _unreadable(rig: Rig) -> None:
    _broken(rig, every=1, seconds=4.0)


@scenario("every read of artifacts fails for 12 s", GROUP)
def _long(rig: Rig) -> None:
    """Longer than three leases: nothing may be given up for it."""
    _broken(rig, every=1, seconds=12.0)


@scenario("a worker opens a match whose plan it cannot read for 12 s", GROUP)
def _plan_unreadable(rig: Rig) -> None:
    """Longer than three leases: no job may be given up for it."""
    disk = BrokenDisk(rig.cluster.artifacts_folder, rig.cluster.folder)
    rig.cluster.beat()
    first = rig.cluster.worker("worker0", crash=("match admitted", 1))
    rig.ready(1)
    rig.submit()
    rig.dies_by_itself([first])
    with disk.failing():
        worker = rig.cluster.worker("worker1", environment=disk.environment)
        rig.cluster.wait(lambda: "failed, again in" in worker.said())
        time.sleep(12.0)
    rig.ends()
    rig.affects_troubled()
    rig.finish()


@scenario("one read in seven of artifacts fails for 4 s", GROUP)
def _flaky(rig: Rig) -> None:
    _broken(rig, every=7, seconds=4.0)


@scenario("artifacts of a finished cell deleted", GROUP)
def _deleted(rig: Rig) -> None:
    """The cell is made anew, and is reported once."""
    rig.start()
    rig.held("slow/1")
    plan = rig.cluster.plan(rig.pipeline_id)
    number = plan.cell_numbers[Cell("tracking_data", 4)]
    rig.cluster.wait(lambda: rig.cluster.state.keys(rig.pipeline_id, [number])[0])
    key = rig.cluster.state.keys(rig.pipeline_id, [number])[0]
    rig.cluster.delete_artifacts_of(key)
    rig.finish()
