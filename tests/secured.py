"""A service with keys, over a real store, for attacks on its door; nobody does its jobs."""

import logging
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import redis
import uvicorn

from api.main import create_app
from api.routes.parts import Dependency, Parts
from api.security.guard import Rules
from application.api_keys import ApiKeys, Scope
from application.ledger import Ledger
from application.service import Service
from application.state import StateStore
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.served import SteppingClock

PROXIED = {"X-Forwarded-For": "203.0.113.7"}
"""What a proxy on the same machine adds to what others sent."""


@dataclass
class Secured:
    """A service, what it consists of, and a client that comes from elsewhere."""

    url: str
    parts: Parts
    keys: ApiKeys
    http: httpx.Client
    videos: Path

    def key(self, owner: str, *scopes: Scope) -> dict[str, str]:
        """The headers of a new key's holder."""
        text = self.keys.create(owner, scopes or ("read", "submit"))[1]
        return {"Authorization": f"Bearer {text}"}

    def submit(self, headers: dict[str, str], expected: int = 202, **more: Any) -> dict[str, Any]:
        body = {"video_path": "match.mp4", **more}
        answer = self.http.post("/api/v1/process-video", json=body, headers=headers)
        assert answer.status_code == expected, answer.text
        return answer.json()  # type: ignore[no-any-return]


def parts_over(state: StateStore, folder: Path, videos: Path, rules: Rules) -> Parts:
    artifacts = FolderArtifactStore(folder / "artifacts")
    ledger = Ledger(artifacts)
    return Parts(
        state,
        artifacts,
        ledger,
        Service(state, ledger, lambda *_: None, SteppingClock()),
        (Dependency("state", lambda: "at redis://secret-host"),),
        lambda: None,
        (videos,),
        folder / "uploads",
        1 << 20,
        rules=rules,
    )


@contextmanager
def secured(
    store: str, redis_url: str, folder: Path, rules: Rules | None = None
) -> Iterator[Secured]:
    with ExitStack() as until:
        state = _state(store, redis_url, folder)
        until.callback(state.close)
        videos = folder / "videos"
        videos.mkdir(parents=True, exist_ok=True)
        (videos / "match.mp4").write_bytes(b"any")
        rules = rules or Rules()
        if store == "redis":
            rules = replace(rules, rates_url=redis_url)
        parts = parts_over(state, folder, videos, rules)
        url = until.enter_context(listening(parts))
        http = until.enter_context(httpx.Client(base_url=url, headers=PROXIED, timeout=30))
        yield Secured(url, parts, ApiKeys(parts.artifacts, time.time), http, videos)


def _state(store: str, redis_url: str, folder: Path) -> StateStore:
    folder.mkdir(parents=True, exist_ok=True)
    if store == "sqlite":
        return SQLiteStateStore(folder / f"{secrets.token_hex(4)}.sqlite")
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    state = RedisStateStore(redis_url)
    state.begin(1)
    return state


@contextmanager
def listening(parts: Parts, host: str = "127.0.0.1", log_level: str = "error") -> Iterator[str]:
    """uvicorn in a thread, with all routes."""
    app = create_app(parts)
    bound = socket.create_server((host, 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level=log_level, lifespan="on"))
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        yield f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{bound.getsockname()[1]}"  # noqa: S104
    finally:
        server.should_exit = True
        thread.join(30)
        bound.close()


@contextmanager
def in_a_process(folder: Path, log: Path) -> Iterator[Secured]:
    """A service of its own, which logs all that it can into a file."""
    with log.open("w") as out:
        command = [sys.executable, "-m", "tests.secured", str(folder)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=out, text=True)
    try:
        assert child.stdout
        url = child.stdout.readline().strip()
        keys = ApiKeys(FolderArtifactStore(folder / "artifacts"), time.time)
        with httpx.Client(base_url=url, headers=PROXIED, timeout=30) as http:
            yield Secured(url, None, keys, http, folder / "videos")  # type: ignore[arg-type]
    finally:
        child.terminate()
        child.communicate(timeout=30)


def main() -> None:
    """Serve the folder of the first argument until told to stop."""
    logging.basicConfig(level=logging.DEBUG)
    folder = Path(sys.argv[1])
    (folder / "videos").mkdir(parents=True)
    (folder / "videos" / "match.mp4").write_bytes(b"any")
    parts = parts_over(_state("sqlite", "", folder), folder, folder / "videos", Rules())
    app = create_app(parts)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="debug")).run([bound])


if __name__ == "__main__":
    main()
