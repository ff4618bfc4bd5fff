"""Two faults in one run, chosen and timed by a seed."""

import random
import signal
import time
from collections.abc import Callable
from functools import partial

from tests.faults.broken_disk import BrokenDisk
from tests.faults.cluster import Program
from tests.faults.on_messages import copy, queues
from tests.faults.rig import Rig
from tests.faults.scenario import scenario

GROUP = "pairs"
SEEDS = range(8)
Fault = Callable[[Rig, random.Random], None]


def _a_worker(rig: Rig, rng: random.Random) -> Program:
    return rng.choice([each for each in rig.cluster.programs if "worker" in each.log.stem])


def _kill_a_worker(rig: Rig, rng: random.Random) -> None:
    worker = _a_worker(rig, rng)
    rig.kill(worker)
    worker.start()


def _stop_a_worker_for_5_s(rig: Rig, rng: random.Random) -> None:
    worker = _a_worker(rig, rng)
    worker.send(signal.SIGSTOP)
    time.sleep(5.0)
    worker.send(signal.SIGCONT)


def _erase_the_state(rig: Rig, _: random.Random) -> None:
    rig.cluster.redis.flushall()


def _restart_the_states_redis(rig: Rig, _: random.Random) -> None:
    rig.cluster.state_server.kill()
    time.sleep(1.5)
    rig.cluster.state_server.start()


def _restart_the_broker_empty(rig: Rig, _: random.Random) -> None:
    rig.cluster.broker_server.kill()
    rig.cluster.broker_server.erase()
    rig.cluster.broker_server.start()


def _drop_messages(rig: Rig, _: random.Random) -> None:
    for name in queues(rig):
        rig.cluster.broker.delete(name)


def _double_messages(rig: Rig, _: random.Random) -> None:
    copy(rig, 5)


def _kill_beat(rig: Rig, _: random.Random) -> None:
    rig.beat.kill()
    rig.beat.start()


def _break_the_disk(rig: Rig, _: random.Random) -> None:
    assert rig.disk
    with rig.disk.failing():
        time.sleep(3.0)


FAULTS: tuple[Fault, ...] = (
    _kill_a_worker,
    _stop_a_worker_for_5_s,
    _erase_the_state,
    _restart_the_states_redis,
    _restart_the_broker_empty,
    _drop_messages,
    _double_messages,
    _kill_beat,
    _break_the_disk,
)


def _pair(rig: Rig, seed: int) -> None:
    """The jobs that are leased when the second fault is over must be leased again in time."""
    rng = random.Random(seed)  # noqa: S311
    rig.disk = BrokenDisk(rig.cluster.artifacts_folder, rig.cluster.folder)
    rig.may_leave = 100
    rig.start(environment=rig.disk.environment)
    rig.cluster.held(rig.pipeline_id, "slow/0")
    for fault in rng.sample(FAULTS, 2):
        time.sleep(rng.uniform(0.0, 1.5))
        rig.notes.append(fault.__name__.strip("_").replace("_", " "))
        fault(rig, rng)
    rig.finish()


def add(seed: int) -> None:
    scenario(f"two faults, seed {seed}", GROUP)(partial(_pair, seed=seed))


for _seed in SEEDS:
    add(_seed)
