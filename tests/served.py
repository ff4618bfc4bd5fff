"""The API as its users meet it: real HTTP over a real store, jobs done when the test says so."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import kloppy.tests
import redis
import uvicorn

from api.main import create_app, storage, workers
from api.routes.parts import Dependency, Parts
from application.admission import Admitter
from application.hold import Renewer
from application.ledger import Ledger
from application.ports import Silent
from application.service import Service
from application.state import StateStore, WorkerRecord
from application.worker import Ability, Worker
from infrastructure.inference.machine import Machine
from infrastructure.matches import MatchCache, own_versions, plan_for_cluster
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.matches import render_match
from tests.state_stores import Clock

TRACKING = ("sportec_meta.xml", "sportec_positional.xml")
UPLOAD_BYTES = 3 << 20


class SteppingClock(Clock):
    """Each question is a second later, so that submissions have an order."""

    def __call__(self) -> float:
        self.now += 1
        return self.now


@dataclass
class Served:
    """A running service, a client, and the hands that do its jobs."""

    url: str
    http: httpx.Client
    parts: Parts
    worker: Worker
    record: WorkerRecord
    videos: Path

    def live(self) -> None:
        """Be seen as a live worker, as one is for half a minute."""
        self.parts.state.register(self.record)

    def work(self) -> None:
        """Do every job that there is."""
        self.live()
        while self.worker.take("gpu") or self.worker.take("cpu"):
            pass

    def submit(self, expected: int = 202, **values: Any) -> dict[str, Any]:
        answer = self.http.post("/api/v1/process-video", json=values)
        assert answer.status_code == expected, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def get(self, path: str, expected: int = 200, **query: Any) -> httpx.Response:
        answer = self.http.get(path, params=query or None)  # {} would strip the path's own
        assert answer.status_code == expected, answer.text
        return answer

    def of(self, pipeline_id: str, path: str, expected: int = 200, **query: Any) -> httpx.Response:
        return self.get(f"/api/v1/pipeline/{pipeline_id}/{path}", expected, **query)

    def analysed(self, **values: Any) -> str:
        """The id of a match that was submitted and is done."""
        pipeline_id: str = self.submit(**values)["pipeline_id"]
        self.work()
        status = self.of(pipeline_id, "status").json()
        assert status["state"] == "completed", status
        return pipeline_id


def make_videos(folder: Path) -> Path:
    """A short match, the same once more for the documented examples, and tracking data."""
    match = render_match(folder, seconds=2.0)
    (folder / "cup").mkdir()
    for name in ("final.mp4", "first.mp4", "second.mp4"):
        shutil.copy(match, folder / "cup" / name)
    for name in TRACKING:
        shutil.copy(Path(kloppy.tests.__file__).parent / "files" / name, folder)
    return folder


@contextmanager
def served(store: str, redis_url: str, folder: Path, videos: Path) -> Iterator[Served]:
    """A service over the store of that kind; matches of all of them share the artifacts."""
    with ExitStack() as until:
        state = _state(store, redis_url, folder)
        until.callback(state.close)
        artifacts = FolderArtifactStore(folder.parent / "artifacts")
        ledger = Ledger(artifacts)
        able = (*Machine.here().able, *own_versions())
        record = WorkerRecord("me", ("gpu", "cpu"), able)
        parts = Parts(
            state,
            artifacts,
            ledger,
            Service(state, ledger, _nobody, SteppingClock()),
            (
                Dependency("state", lambda: str(state.ready("cpu"))),
                Dependency("storage", lambda: storage(artifacts)),
                *workers(state),
            ),
            lambda: state.begin(7),
            (videos,),
            folder / "uploads",
            UPLOAD_BYTES,
        )
        url = until.enter_context(running(parts))
        http = until.enter_context(httpx.Client(base_url=url, timeout=60))
        yield Served(url, http, parts, _worker(parts, able), record, videos)


def _state(store: str, redis_url: str, folder: Path) -> StateStore:
    if store == "sqlite":
        return SQLiteStateStore(folder / "state.sqlite")
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    state = RedisStateStore(redis_url)
    state.begin(1)
    return state


def _worker(parts: Parts, able: tuple[str, ...]) -> Worker:
    state, artifacts, ledger = parts.state, parts.artifacts, parts.ledger
    planner = partial(plan_for_cluster, Silent())
    return Worker(
        state,
        ledger,
        MatchCache(state, artifacts, threads=0),
        Admitter(state, artifacts, ledger, planner),
        Ability("me", able),
        Renewer(state, 30.0, 600.0, lambda _: None, lambda: False),
        _nobody,
    )


def _nobody(*_: object) -> None:
    """Invites nobody: the test does the work."""


@contextmanager
def running(parts: Parts, log_level: str = "error") -> Iterator[str]:
    """uvicorn in a thread of this process, at a port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(parts), log_level=log_level, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
