"""From an event to its watchers: `python benchmarks/watchers.py REDIS_URL`.

Starts the real progress process, or with `--api` one process of the API, opens many WebSockets from
this one, makes things happen at a steady pace (matches are queued; with `--api` the jobs of one toy
match are done), and compares when each client heard of it with the time at which Redis logged it.
Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import redis
from websockets.asyncio.client import ClientConnection, connect

sys.path.insert(0, str(Path(__file__).parents[1]))

from application.state import PipelineRecord
from domain.pipeline import DomainEvent, EventKind
from infrastructure.state.redis import RedisStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.toy_match import ToyCluster

ROOT = Path(__file__).parents[1]
AT_ONCE = 50


async def listen(client: ClientConnection, late: list[float]) -> None:
    async for message in client:
        said = json.loads(message)
        if said["type"] not in {"snapshot", "heartbeat", "stage_progress"}:
            late.append(time.time() - datetime.fromisoformat(said["time"]).timestamp())


async def watch(
    url: str, watchers: int, happenings: Sequence[Callable[[], object]], given: argparse.Namespace
) -> dict[str, float]:
    late: list[float] = []
    clients: list[ClientConnection] = []
    while len(clients) < watchers:
        opening = (connect(url, compression=None, open_timeout=60) for _ in range(AT_ONCE))
        clients += await asyncio.gather(*opening)
    tasks = [asyncio.create_task(listen(client, late)) for client in clients]
    await asyncio.sleep(2)
    late.clear()
    for happen in happenings:
        await asyncio.to_thread(happen)
        await asyncio.sleep(given.every_s)
    await asyncio.sleep(3)
    for task in tasks:
        task.cancel()
    late.sort()
    return {
        "watchers": watchers,
        "every_s": given.every_s,
        "heard": len(late),
        "p50_ms": round(1000 * late[len(late) // 2], 1),
        "p99_ms": round(1000 * late[len(late) * 99 // 100], 1),
        "load": round(os.getloadavg()[0], 2),
    }


def submissions(state: RedisStateStore, count: int) -> list[Callable[[], object]]:
    """Matches that are queued; who watches all hears of each."""
    names = [f"{number:032x}" for number in range(count)]
    return [
        partial(
            state.submit,
            PipelineRecord(name, '{"video_path": ["m.mp4"]}'),
            [DomainEvent(EventKind.PIPELINE_SUBMITTED, name)],
        )
        for name in names
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("redis_url", help="of an empty database: it is flushed")
    parser.add_argument("--api", action="store_true", help="the API's door")
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--every-s", type=float, default=0.5)
    given = parser.parse_args()
    redis.Redis.from_url(given.redis_url).flushdb()
    state = RedisStateStore(given.redis_url)
    state.begin(1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "REDIS_URL": given.redis_url, "ARTIFACT_URL": folder}
        command = ["infrastructure.progress", "--port", port]
        url, happenings = f"ws://127.0.0.1:{port}/", submissions(state, 20)
        if given.api:
            cluster = ToyCluster(state, FolderArtifactStore(Path(folder)))
            worker, pipeline_id = cluster.worker(), cluster.submit()
            command = ["uvicorn", "api.main:app", "--port", port, "--log-level", "error"]
            url = f"{url}api/v1/pipeline/{pipeline_id}/progress"
            happenings = [lambda: worker.take("cpu") or worker.take("gpu")] * 12
        server = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment)
        try:
            wait_for(int(port))
            figures = asyncio.run(watch(url, given.watchers, happenings, given))
            print(json.dumps(figures, indent=2))
        finally:
            server.terminate()
            server.wait()


def wait_for(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    main()
