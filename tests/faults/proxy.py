"""A TCP proxy whose network is slow, cut or silent when a test says so."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self

from deploy.servers import free_port

CHUNK = 1 << 16
WAITING_CHUNKS = 64


class Proxy:
    """Forwards each connection to `port` on 127.0.0.1 to `target`, from a thread of its own.

    `latency_s` delays each byte by that much in each direction, without slowing the stream; it
    may be changed at any time. A Pulsar must advertise the proxy's port (`proxied_pulsar`).
    """

    def __init__(self, target: tuple[str, int], latency_s: float = 0.0) -> None:
        self.target = target
        self.latency_s = latency_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = free_port()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Drops every connection and refuses new ones, until `restore`."""
        self._do(self._cut())

    def stall(self) -> None:
        """Accepts connections and holds back all bytes, until `restore` delivers them."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def restore(self) -> None:
        """Undoes `cut` and `stall`, on the same port."""
        self._loop.call_soon_threadsafe(self._flowing.set)
        self._do(self._listen())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Runs as one task a connection, which `cut` cancels."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        writers = [back]
        try:
            if self._server is None:  # accepted just before the cut
                return
            far, forth = await asyncio.open_connection(*self.target)
            writers.append(forth)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._forward(near, forth))
                directions.create_task(self._forward(far, back))
        except* (OSError, asyncio.CancelledError):
            pass  # either end is gone, or the network was cut: both ends are dropped
        finally:
            for writer in writers:
                writer.transport.abort()
            self._connections.discard(task)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Reads ahead while older bytes wait for their time: latency costs no throughput."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WAITING_CHUNKS)
        async with asyncio.TaskGroup() as ends:
            ends.create_task(self._read(source, waiting))
            ends.create_task(self._write(waiting, sink))

    async def _read(
        self, source: asyncio.StreamReader, waiting: "asyncio.Queue[tuple[float, bytes]]"
    ) -> None:
        data = b"-"
        while data:
            data = await source.read(CHUNK)
            await waiting.put((self._loop.time() + self.latency_s, data))

    async def _write(
        self, waiting: "asyncio.Queue[tuple[float, bytes]]", sink: asyncio.StreamWriter
    ) -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - self._loop.time())
            await self._flowing.wait()
            if not data:
                sink.write_eof()
                return
            sink.write(data)
            await sink.drain()
