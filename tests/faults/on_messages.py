"""Messages that are lost, doubled, out of order, or of another release."""

import random
import time
from typing import Any

from tests.faults.rig import Rig
from tests.faults.scenario import scenario

GROUP = "messages"


def queues(rig: Rig) -> list[str]:
    """The lists of waiting messages."""
    keys: list[bytes] = rig.cluster.broker.keys("[cg]pu*")  # type: ignore[assignment]
    return [key.decode() for key in keys]


@scenario("every message of 4 s dropped", GROUP)
def _dropped(rig: Rig) -> None:
    rig.start()
    rig.held("slow/0")
    until = time.monotonic() + 4.0
    while time.monotonic() < until:
        for name in queues(rig):
            rig.cluster.broker.delete(name)
        time.sleep(0.02)
    rig.ends()
    rig.affects_ready()
    rig.finish()


def copy(rig: Rig, times: int) -> None:
    """Each waiting message, a few more times."""
    for name in queues(rig):
        waiting: Any = rig.cluster.broker.lrange(name, 0, -1)
        for message in waiting * times:
            rig.cluster.broker.rpush(name, message)


def shuffle(rig: Rig, seed: int) -> None:
    for name in queues(rig):
        waiting: Any = rig.cluster.broker.lrange(name, 0, -1)
        random.Random(seed).shuffle(waiting)  # noqa: S311
        with rig.cluster.broker.pipeline(transaction=True) as together:
            together.delete(name)
            for message in waiting:
                together.rpush(name, message)
            together.execute()


@scenario("every message 10 times, in another order", GROUP)
def _doubled(rig: Rig) -> None:
    rig.start()
    rig.held("slow/0")
    for queue in ("cpu", "gpu"):
        rig.cluster.invitations.send(queue, "normal", 10)
    copy(rig, 9)
    shuffle(rig, seed=4)
    rig.finish()


@scenario("old messages of another release in the queue", GROUP, quick=True)
def _old(rig: Rig) -> None:
    """Unknown tasks, other arguments, unknown queues: the workers pass over them and live."""
    for name, arguments in (
        ("footanalytics.process_match", ["an-id", {"option": 1}]),
        ("footanalytics.work", []),
        ("footanalytics.work", ["cpu", 17]),
        ("footanalytics.work", ["tpu"]),
        ("footanalytics.reconcile", ["now"]),
    ):
        for queue in ("cpu", "gpu"):
            rig.cluster.app.send_task(name, args=arguments, queue=queue, priority=6)
    workers = rig.start()
    rig.finish_first()
    assert all(worker.alive for worker in workers)
    rig.finish()


@scenario("messages that are no JSON in the queue", GROUP)
def _garbage(rig: Rig) -> None:
    """Celery's library for Redis ends with them; they are gone then."""
    for name in ("cpu", "gpu"):
        rig.cluster.broker.rpush(name, b"\x80garbage", b"{}", b'{"body": 1}')
    with rig.supervised():
        rig.start()
        rig.finish_first()
    rig.notes.append("each one that is no JSON ends a worker, which is started again")
    rig.finish()
