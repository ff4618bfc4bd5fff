"""Watchers of real servers: both doors to progress, opened for a test, and clients that listen."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from api.main import create_app
from api.routes.parts import Parts
from application.watchers import Watchers
from infrastructure.progress import Doorkeeper, serving
from tests.toy_match import ToyCluster

DEADLINE_S = 30.0
Door = Literal["api", "port"]
Said = dict[str, Any]


@contextmanager
def api(cluster: ToyCluster, **limits: Any) -> Iterator[str]:
    """uvicorn with the API over the cluster's state; gives its address."""
    parts = Parts(
        cluster.state, cluster.artifacts, cluster.ledger, cluster.service, (), lambda: None
    )
    app = create_app(parts)
    app.state.watchers = Watchers(cluster.state, cluster.artifacts, **limits)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(DEADLINE_S)
        listening.close()


@contextmanager
def port(cluster: ToyCluster, **limits: Any) -> Iterator[str]:
    """What listens on 8765, at another port."""
    ready, bound, loop = threading.Event(), [], asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        watchers = Watchers(cluster.state, cluster.artifacts, **limits)
        door = Doorkeeper.of(cluster.state, cluster.artifacts)
        async with serving(watchers, door, port=0) as number:
            bound.append(number)
            ready.set()
            await stop.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(DEADLINE_S)
    try:
        yield f"127.0.0.1:{bound[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE_S)


DOORS: dict[Door, Callable[..., Any]] = {"api": api, "port": port}


def address(door: Door, place: str, pipeline_id: str, after: object = None) -> str:
    known = "" if after is None else f"after={after}"
    if door == "api":
        return f"ws://{place}/api/v1/pipeline/{pipeline_id}/progress?{known}"
    return f"ws://{place}/?pipeline_id={pipeline_id}&{known}"


@dataclass
class Client:
    """What one connection has heard."""

    connection: ClientConnection
    heard: list[Said] = field(default_factory=list)
    code: int | None = None

    def hear(self) -> Said | None:
        """The next message; None when the connection has ended."""
        try:
            self.heard.append(json.loads(self.connection.recv(DEADLINE_S)))
        except ConnectionClosed as closed:
            self.code = closed.rcvd.code if closed.rcvd else None
            return None
        return self.heard[-1]

    def hear_until(self, *types: str) -> Said:
        while said := self.hear():
            if said["type"] in types:
                return said
        raise AssertionError(f"closed with {self.code} after {len(self.heard)}: no {types}")

    def hear_all(self) -> list[Said]:
        """Everything until the connection ends."""
        while self.hear():
            pass
        return self.heard

    def cut(self) -> None:
        """As when a cable is pulled."""
        self.connection.socket.shutdown(socket.SHUT_RDWR)


@contextmanager
def watching(url: str, **options: Any) -> Iterator[Client]:
    with connect(url, compression=None, close_timeout=1, **options) as connection:
        yield Client(connection)


def changes(heard: list[Said]) -> list[Said]:
    """The messages that carry a number of their own."""
    return [said for said in heard if not is_passing(said) and said["type"] != "snapshot"]


def is_passing(said: Said) -> bool:
    return said["type"] in {"stage_progress", "heartbeat"}


def check_gapless(heard: list[Said]) -> None:
    """A snapshot says which number comes next; percentages and heartbeats have the last one."""
    assert heard[0]["type"] == "snapshot"
    last = 0
    for said in heard:
        if said["type"] == "snapshot":
            last = said["next"] - 1
        else:
            last += not is_passing(said)
            assert said["sequence"] == last, said


def check_story(heard: list[Said], stages: tuple[str, ...] = ("look", "walk", "total")) -> None:
    """A match that went well: each stage starts and is completed once, and then the match is."""
    told = [(said["type"], said["stage"]) for said in changes(heard)]
    for stage in stages:
        assert told.count(("stage_started", stage)) == 1
        assert told.count(("stage_completed", stage)) == 1
        assert told.index(("stage_started", stage)) < told.index(("stage_completed", stage))
    assert [each for each in told if each[1] is None] == [
        ("pipeline_started", None),
        ("pipeline_completed", None),
    ]
    assert (told[0][0], told[-1][0]) == ("pipeline_started", "pipeline_completed")
