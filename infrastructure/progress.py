"""`python -m infrastructure.progress`: progress of all matches on port 8765, for existing clients.

One process at a time serves it. Who is on this machine needs nothing, anybody else a ticket of the
API's. It ends by SIGTERM or SIGINT. Exit code 0 when it was told to stop, 1 when it cannot work, 2
when an option or a setting is wrong.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import logging
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from application.api_keys import ApiKeys
from application.ports import ArtifactStore
from application.state import StateStore
from application.tickets import Tickets
from application.watch import Close, deliver
from application.watchers import Watchers
from domain.errors import (
    FootAnalyticsError,
    InputError,
    ResourceError,
    UnknownPipelineError,
)

_log = logging.getLogger(__name__)
PORT = 8765
LOCK_S = 15.0
_LOCK = "progress-port"
_CLOSING_S = 5.0
_LOCAL_PAGES = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_PIPELINE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Doorkeeper:
    """Lets in who is on this machine, and who shows a ticket for what is asked for."""

    state: StateStore
    keys: ApiKeys
    tickets: Tickets

    @classmethod
    def of(cls, state: StateStore, artifacts: ArtifactStore) -> "Doorkeeper":
        keys = ApiKeys(artifacts, time.time)
        return cls(state, keys, Tickets(state, keys.ticket_secret, time.time))

    def admits(self, address: str, ticket: str, pipeline_id: str | None) -> bool:
        """Whether a client may watch the match; None are all matches, for operators' keys alone."""
        if ipaddress.ip_address(address).is_loopback:
            return True
        shown = self.tickets.take(ticket) if ticket else None
        if shown is None or not shown.key_id:
            return False
        key = self.keys.current(shown.key_id)
        if key is None or "read" not in key.scopes:
            return False
        record = self.state.pipeline(pipeline_id) if pipeline_id else None
        return "operate" in key.scopes or (record is not None and record.owner == key.owner)


@asynccontextmanager
async def serving(
    watchers: Watchers, door: Doorkeeper, host: str = "127.0.0.1", port: int = PORT
) -> AsyncIterator[int]:
    """Serve `watchers` while the body runs; gives the port, for which 0 means any.

    Raises:
        ResourceError: the port is taken.
    """

    async def handle(connection: ServerConnection) -> None:
        await _handle(watchers, door, connection)

    try:
        server = await serve(
            handle,
            host,
            port,
            origins=[None, _LOCAL_PAGES],
            compression=None,
            close_timeout=_CLOSING_S,
            server_header=None,
        )
    except OSError as error:
        raise ResourceError(f"{host}:{port} cannot be listened on ({error.strerror})") from error
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _handle(watchers: Watchers, door: Doorkeeper, connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        end = await _watch(watchers, door, connection)
        if end is not None:
            await connection.close(end, end.reason)


async def _watch(
    watchers: Watchers, door: Doorkeeper, connection: ServerConnection
) -> Close | None:
    assert connection.request
    path = connection.request.path
    try:
        pipeline_id, after = _asked(path)
        ticket = parse_qs(urlsplit(path).query).get("ticket", [""])[0]
        address = _client(connection)
        if not await asyncio.to_thread(door.admits, address, ticket, pipeline_id):
            return Close.NO_TICKET
        async with watchers.watching(pipeline_id, after) as watch:
            return await deliver(watch, connection.send, _gone(connection))
    except UnknownPipelineError:
        return Close.NO_SUCH_PIPELINE
    except InputError:
        return Close.BAD_REQUEST
    except ResourceError:
        return Close.TRY_LATER


def _client(connection: ServerConnection) -> str:
    """Whose address it is; behind a proxy nobody counts as being on this machine."""
    assert connection.request
    forwarded = {"forwarded", "x-forwarded-for"} & {k.lower() for k in connection.request.headers}
    return "0.0.0.0" if forwarded else str(connection.remote_address[0])  # noqa: S104


def _asked(path: str) -> tuple[str | None, int | None]:
    """The pipeline and the last change known, of the query."""
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    pipeline_id, after = (query.get(name, [None])[0] for name in ("pipeline_id", "after"))
    if pipeline_id is not None and not _PIPELINE.fullmatch(pipeline_id):
        raise UnknownPipelineError(f"there is no pipeline {pipeline_id}")
    if after is None:
        return pipeline_id, None
    if pipeline_id is None or not after.isdecimal() or len(after) > 15:
        raise InputError("after: the last sequence seen of one pipeline_id")
    return pipeline_id, int(after)


async def _gone(connection: ServerConnection) -> None:
    """Waits until the client is gone; what it says is not looked at."""
    async for _ in connection:
        pass


@dataclass(frozen=True)
class Place:
    """The right to serve: one process at a time has it, as the state says."""

    state: StateStore
    holder: str
    seconds: float = LOCK_S

    def take(self) -> None:
        """Wait as long as a process that died may still have it.

        Raises:
            ResourceError: another one has it.
        """
        until = time.monotonic() + self.seconds + 1
        while not self.state.alone(_LOCK, self.seconds, self.holder):
            if time.monotonic() > until:
                raise ResourceError("another process serves the progress port: stop that one first")
            time.sleep(0.5)

    async def keep(self) -> None:
        """Ends when it is lost, as after a long pause of this process."""
        while True:
            await asyncio.sleep(self.seconds / 3)
            try:
                if not await asyncio.to_thread(self.state.alone, _LOCK, self.seconds, self.holder):
                    return
            except ResourceError as error:  # then nobody else gets it either
                _log.warning("%s", error)

    def leave(self) -> None:
        with contextlib.suppress(ResourceError):
            self.state.alone(_LOCK, 0, self.holder)


async def run(watchers: Watchers, door: Doorkeeper, place: Place, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ResourceError: the port is taken, or the place is lost to another process.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(watchers, door, host, port) as bound:
        _log.info("progress on ws://%s:%d", host, bound)
        tasks = [asyncio.ensure_future(each) for each in (stop.wait(), place.keep())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
    if not stop.is_set():
        raise ResourceError("another process has taken over the progress port")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m infrastructure.progress", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args(arguments)
    try:
        _work(given.host, given.port)
    except FootAnalyticsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _work(host: str, port: int) -> None:
    from infrastructure.bootstrap import (
        cluster as bootstrap,
    )  # heavy, and not needed by who only serves
    from infrastructure.settings import Settings
    from infrastructure.telemetry.logs import configure
    from infrastructure.telemetry.progress_metrics import ProgressMetrics
    from infrastructure.telemetry.serving import serve as serve_metrics

    settings = Settings.load()
    configure(settings.ml_pipeline_log_level, "progress")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    cluster = bootstrap.connect(settings)
    place = Place(cluster.state, f"{socket.gethostname()}:{os.getpid()}")
    place.take()
    try:
        metrics = ProgressMetrics.here()
        serve_metrics(metrics.registry, settings)
        watchers = Watchers(cluster.state, cluster.artifacts, told_after=metrics.told_after)
        door = Doorkeeper.of(cluster.state, cluster.artifacts)
        asyncio.run(run(watchers, door, place, host, port))
    finally:
        place.leave()
        cluster.state.close()


if __name__ == "__main__":
    sys.exit(main())
