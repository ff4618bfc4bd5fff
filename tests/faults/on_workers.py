"""Faults of worker processes, of beat, and of their clocks and networks."""

import os
import re
import signal
import time
from functools import partial

from tests.faults.clock import MovableClock
from tests.faults.cluster import LEASE_S, children
from tests.faults.proxy import Proxy
from tests.faults.rig import Rig
from tests.faults.scenario import scenario

GROUP = "workers"
POINTS = (
    ("admission claimed", 1),
    ("plan kept", 1),
    ("match admitted", 1),
    ("job claimed", 3),
    ("frames seen", 4),
    ("artifacts written", 3),
    ("checkpoint kept", 3),
    ("before commit", 3),
    ("after commit", 3),
    ("before renewal", 2),
    ("after renewal", 2),
    ("leases expired", 3),
    ("worker registered", 2),
    ("match completed", 1),
    ("results kept", 1),
)
QUICK = {"checkpoint kept", "match completed"}


def _killed_at(rig: Rig, point: str, count: int) -> None:
    """Of two workers the first that comes to the point dies there."""
    workers = rig.start(crash=(point, count))
    rig.dies_by_itself(workers)
    rig.finish()


for _point, _count in POINTS:
    scenario(f"worker killed: {_point}", GROUP, quick=_point in QUICK)(
        partial(_killed_at, point=_point, count=_count)
    )


@scenario("the only worker killed when the match had ended, started again", GROUP)
def _only_one(rig: Rig) -> None:
    """Nobody remembers that the end is not yet on storage; it is found all the same."""
    worker = rig.start(workers=1, crash=("match completed", 1))[0]
    rig.dies_by_itself([worker])
    worker.start()
    rig.finish()


@scenario("worker killed in the middle of a cell", GROUP, SLOW_S="1.5")
def _in_a_cell(rig: Rig) -> None:
    rig.start()
    rig.kill(rig.held("slow/1"))
    rig.finish()


@scenario("all workers killed, then started again", GROUP)
def _all(rig: Rig) -> None:
    workers = rig.start()
    rig.held("slow/1")
    for worker in workers:
        rig.kill(worker)
    for worker in workers:
        worker.start()
    rig.ends()
    rig.finish()


@scenario("pool child killed", GROUP, SLOW_S="1.5")
def _child(rig: Rig) -> None:
    """The parent replaces the child; the invitation comes back, the lease runs out."""
    worker = rig.cluster.worker("worker0", "--pool", "prefork", "--concurrency", "2")
    rig.cluster.beat()
    rig.ready(2)
    rig.submit()
    holder = rig.cluster.held(rig.pipeline_id, "slow/1")
    pid = int(holder.rpartition(":")[2])
    assert pid in children(worker.pid)
    os.kill(pid, signal.SIGKILL)
    rig.was_killed({pid})
    rig.finish()


@scenario("worker asked to stop in the middle of a cell", GROUP, SLOW_FRAMES_S="2")
def _asked(rig: Rig) -> None:
    """A pass goes back at once, and not by the lease's expiry."""
    rig.start()
    worker = rig.held("tracking_data/2")
    rig.affects(worker)
    worker.stop()
    rig.ends()
    rig.finish()


@scenario("beat killed", GROUP)
def _beat(rig: Rig) -> None:
    """Workers reconcile by themselves."""
    workers = rig.start()
    rig.held("slow/0")
    rig.beat.kill()
    rig.kill(workers[0])
    rig.finish()


@scenario("worker stopped beyond its lease, then continued", GROUP, quick=True, SLOW_S="1")
def _stalled(rig: Rig) -> None:
    """The late commit is refused: the worker says so, and the log has one completion."""
    rig.start()
    worker = rig.held("slow/1")
    rig.stall(worker)
    rig.until_again()
    worker.send(signal.SIGCONT)
    rig.cluster.wait(lambda: re.search(r"lease( \d+)? has ended", worker.said()))
    rig.finish()
    rig.notes.append("the late result was refused")


@scenario("worker cut off from Redis, then connected", GROUP, SLOW_S="1.5")
def _cut_off(rig: Rig) -> None:
    with Proxy(("127.0.0.1", rig.cluster.state_server.port)) as proxy:
        near = f"redis://127.0.0.1:{proxy.port}/0"
        rig.cluster.worker("worker0", environment={"REDIS_URL": near})
        rig.cluster.worker("worker1")
        rig.cluster.beat()
        rig.ready(2)
        rig.submit()
        rig.cluster.wait(lambda: rig.holds("worker0"))
        rig.affects(rig.program("worker0"))
        cut_at = time.time()
        proxy.cut()
        rig.until_again()
        proxy.restore()
        rig.ends(cut_at + LEASE_S)
        rig.finish()


@scenario("worker's connection to Redis is silent, then delivers", GROUP, SLOW_S="1.5")
def _silent(rig: Rig) -> None:
    with Proxy(("127.0.0.1", rig.cluster.state_server.port)) as proxy:
        near = f"redis://127.0.0.1:{proxy.port}/0"
        rig.cluster.worker("worker0", environment={"REDIS_URL": near})
        rig.cluster.worker("worker1")
        rig.cluster.beat()
        rig.ready(2)
        rig.submit()
        rig.cluster.wait(lambda: rig.holds("worker0"))
        rig.affects(rig.program("worker0"))
        cut_at = time.time()
        proxy.stall()
        rig.until_again()
        proxy.restore()
        rig.ends(cut_at + LEASE_S)
        rig.finish()


@scenario("Redis is slow (50 ms each way)", GROUP)
def _slow(rig: Rig) -> None:
    with Proxy(("127.0.0.1", rig.cluster.state_server.port), 0.05) as proxy:
        rig.start(environment={"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"})
        rig.finish()


def _clock(rig: Rig, offset_s: float) -> None:
    """Leases run by the clock of Redis, waiting by the monotonic one."""
    clock = MovableClock(rig.cluster.folder / "clock")
    rig.cluster.worker("worker0", environment=clock.environment)
    rig.cluster.worker("worker1")
    rig.cluster.beat()
    rig.ready(2)
    rig.submit()
    rig.held("slow/0")
    clock.set_offset(offset_s)
    rig.affects_all()
    rig.ends()
    rig.finish()


for _hours in (1, -1):
    scenario(f"a worker's clock moved by {_hours:+} h", GROUP)(
        partial(_clock, offset_s=3600.0 * _hours)
    )
