"""Faults of the Redis that holds the state, and of the one that holds the messages."""

import time

from deploy.servers import RedisServer
from tests.faults.rig import Rig
from tests.faults.scenario import scenario

GROUP = "redis"
DOWN_S = 2.0


def _restarted(rig: Rig, *servers: RedisServer, erase: bool = False) -> None:
    rig.start()
    rig.held("slow/1")
    rig.affects_all()
    for server in servers:
        server.kill()
        if erase:
            server.erase()
    time.sleep(DOWN_S)
    for server in servers:
        server.start()
    rig.ends()
    rig.finish()


@scenario("state's Redis killed, restarted with its file", GROUP)
def _with_file(rig: Rig) -> None:
    _restarted(rig, rig.cluster.state_server)


@scenario("state's Redis killed, restarted without its file", GROUP)
def _without_file(rig: Rig) -> None:
    _restarted(rig, rig.cluster.state_server, erase=True)


@scenario("broker's Redis killed, restarted with its file", GROUP)
def _broker_with_file(rig: Rig) -> None:
    _restarted(rig, rig.cluster.broker_server)


@scenario("broker's Redis killed, restarted without its file", GROUP)
def _broker_without_file(rig: Rig) -> None:
    _restarted(rig, rig.cluster.broker_server, erase=True)


@scenario("both Redis killed, restarted without their files", GROUP)
def _both(rig: Rig) -> None:
    _restarted(rig, rig.cluster.state_server, rig.cluster.broker_server, erase=True)


@scenario("state's Redis stands still beyond the leases", GROUP)
def _paused(rig: Rig) -> None:
    rig.start()
    rig.held("slow/1")
    rig.affects_all()
    rig.cluster.state_server.pause()
    time.sleep(5.0)
    rig.cluster.state_server.resume()
    rig.ends()
    rig.finish()


@scenario("FLUSHALL in mid-run", GROUP, quick=True)
def _flushed(rig: Rig) -> None:
    rig.start()
    rig.held("slow/1")
    rig.affects_all()
    rig.cluster.redis.flushall()
    rig.ends()
    rig.finish()


@scenario("FLUSHALL, and whoever rebuilds the state is killed half-way", GROUP)
def _rebuilder_killed(rig: Rig) -> None:
    rig.cluster.state.begin(rig.cluster.ledger.next_generation())
    workers = rig.start(crash=("state begun", 1))
    rig.held("slow/1")
    rig.affects_all()
    rig.cluster.redis.flushall()
    rig.dies_by_itself(workers)
    rig.finish()


@scenario("FLUSHALL of the broker", GROUP)
def _broker_flushed(rig: Rig) -> None:
    rig.start()
    rig.held("slow/1")
    rig.affects_all()
    rig.cluster.broker.flushall()
    rig.ends()
    rig.finish()


@scenario("state's Redis out of memory, then given more", GROUP)
def _full(rig: Rig) -> None:
    rig.start()
    rig.held("slow/1")
    rig.affects_all()
    rig.cluster.redis.config_set("maxmemory", "1mb")
    time.sleep(4.0)
    rig.cluster.redis.config_set("maxmemory", "0")
    rig.ends()
    rig.finish()


@scenario("broker's Redis out of memory, then given more", GROUP)
def _broker_full(rig: Rig) -> None:
    """Celery's library for Redis ends with it; workers are started again."""
    with rig.supervised():
        rig.start()
        rig.held("slow/1")
        rig.affects_all()
        rig.cluster.broker.config_set("maxmemory", "1mb")
        time.sleep(4.0)
        rig.cluster.broker.config_set("maxmemory", "0")
        rig.ends()
        rig.finish_first()
    rig.notes.append(f"{rig.kills} workers ended and were started again")
    rig.finish()
