"""Faults of Pulsar and of the relay: a consumer that drops no repeats sees each fact once."""

import json
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any

import pulsar

from domain.errors import ResourceError
from tests.faults.cluster import Program
from tests.faults.rig import Rig
from tests.faults.scenario import scenario
from tests.servers import pulsar_client

GROUP = "pulsar"
RELAY = "infrastructure.relay"
POINTS = (
    ("message handed over", 25),
    ("messages acknowledged", 4),
    ("position kept", 5),
)


def consumed(rig: Rig, topic: str) -> list[dict[str, Any]]:
    """Everything in the topic, from its beginning."""
    client = pulsar_client(rig.cluster.pulsar.server.url)
    found = []
    try:
        reader = client.create_reader(rig.cluster.topic(topic), pulsar.MessageId.earliest)
        while reader.has_message_available():
            message = reader.read_next(10_000)
            found.append({**json.loads(message.data()), "id": message.properties()["event_id"]})
    finally:
        client.close()
    return [each for each in found if each["pipeline_id"] == rig.pipeline_id]


def told(rig: Rig) -> bool:
    """Whether all that waits in the log is published."""
    with suppress(ResourceError):
        last = rig.cluster.state.log(0, 10_000)
        return not last or rig.cluster.state.readers().get("relay", 0) >= last[-1].number
    return False


def finish(rig: Rig) -> None:
    """The match's end, then the consumer's: each fact once, and none is missing."""
    rig.finish_first()
    rig.cluster.wait(lambda: "PipelineCompleted" in {e["kind"] for e in consumed(rig, "pipeline")})
    rig.cluster.wait(lambda: told(rig))
    events = consumed(rig, "pipeline")
    twice = [each for each, count in Counter(e["id"] for e in events).items() if count > 1]
    assert not twice, [f"{e['kind']} {e['cell']}" for e in events if e["id"] in twice]
    cells = [e["cell"] for e in events if e["kind"] == "CellCompleted"]
    assert Counter(cells) == Counter(map(str, rig.cluster.plan(rig.pipeline_id).cells))
    rows = consumed(rig, "match")
    assert len({row["id"] for row in rows}) == len(rows)
    assert not rows or len(rows) == rows[0]["events"]
    rig.notes.append(f"{len(events)} facts and {len(rows)} match events, each once")
    rig.finish()


def start(rig: Rig, **how: Any) -> Program:
    relay = rig.cluster.run("relay", RELAY, **how)
    rig.start()
    return relay


def _relay_killed(rig: Rig, point: str, count: int) -> None:
    relay = start(rig, crash=(point, count))
    rig.dies_by_itself([relay])
    relay.start()
    finish(rig)


for _point, _count in POINTS:
    scenario(f"relay killed: {_point}", GROUP, pulsar=True)(
        partial(_relay_killed, point=_point, count=_count)
    )


@scenario("relay killed at any time, five times", GROUP, pulsar=True)
def _five(rig: Rig) -> None:
    relay = start(rig)
    for _ in range(5):
        time.sleep(1.5)
        rig.kill(relay)
        relay.start()
    finish(rig)


@scenario("relay stopped for 8 s while another takes its place", GROUP, pulsar=True)
def _stalled(rig: Rig) -> None:
    import signal

    relay = start(rig)
    rig.held("slow/0")
    relay.send(signal.SIGSTOP)
    second = rig.cluster.run("relay2", RELAY)
    time.sleep(8.0)
    relay.send(signal.SIGCONT)
    finish_with(rig, second)


def finish_with(rig: Rig, second: Program) -> None:
    assert second.alive
    finish(rig)


@scenario("Pulsar is down at the start", GROUP, pulsar=True)
def _down(rig: Rig) -> None:
    """No match waits for it."""
    proxy = rig.cluster.pulsar.proxy
    proxy.cut()
    try:
        start(rig)
        rig.finish_first()
        assert not rig.cluster.state.readers().get("relay", 0)
    finally:
        proxy.restore()
    rig.ends()
    finish(rig)


@scenario("Pulsar cut off in mid-send", GROUP, pulsar=True)
def _cut(rig: Rig) -> None:
    proxy = rig.cluster.pulsar.proxy
    start(rig)
    rig.held("slow/0")
    for _ in range(3):
        proxy.cut()
        time.sleep(1.0)
        proxy.restore()
        time.sleep(1.0)
    finish(rig)


@scenario("Pulsar killed in mid-send, started again", GROUP, pulsar=True)
def _killed(rig: Rig) -> None:
    start(rig)
    rig.held("slow/0")
    rig.cluster.pulsar.server.kill()
    rig.finish_first()
    rig.cluster.pulsar.server.start()
    rig.ends()
    finish(rig)


@scenario("Pulsar is slow (200 ms each way)", GROUP, pulsar=True)
def _slow(rig: Rig) -> None:
    proxy = rig.cluster.pulsar.proxy
    proxy.latency_s = 0.2
    try:
        start(rig)
        finish(rig)
    finally:
        proxy.latency_s = 0.0


@scenario("FLUSHALL of the state while the relay publishes", GROUP, pulsar=True)
def _flushed(rig: Rig) -> None:
    start(rig)
    rig.held("slow/1")
    rig.affects_all()
    rig.cluster.redis.flushall()
    rig.ends()
    finish(rig)


@scenario("state's Redis restarted without its file, and the relay killed", GROUP, pulsar=True)
def _erased(rig: Rig) -> None:
    relay = start(rig)
    rig.held("slow/1")
    rig.affects_all()
    server = rig.cluster.state_server
    server.kill()
    rig.kills += 1
    relay.kill()
    server.erase()
    server.start()
    relay.start()
    rig.ends()
    finish(rig)


@scenario("worker killed while the relay publishes", GROUP, pulsar=True)
def _worker(rig: Rig) -> None:
    start(rig)
    rig.kill(rig.held("slow/1"))
    finish(rig)
