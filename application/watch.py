"""One watcher: what it is still to be told, and why its connection ends."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from enum import IntEnum
from typing import Any

from application.progress import Told, heartbeat

HEARTBEAT_S = 15.0
QUEUE_LENGTH = 256


class Close(IntEnum):
    """Why a connection ends: WebSocket close codes, those from 4000 on our own."""

    FINISHED = 1000
    FAULT = 1011
    TRY_LATER = 1013
    BAD_REQUEST = 4000
    NO_TICKET = 4001
    NO_SUCH_PIPELINE = 4004
    TOO_SLOW = 4008

    @property
    def reason(self) -> str:
        return self.name.lower().replace("_", " ")


class Watch:
    """One watcher's messages. Of percentages that wait only the newest is kept.

    When more than `bound` messages wait it is cut off: `cut` is set and what waits is dropped.
    """

    def __init__(self, pipeline_id: str | None, opening: Iterable[Told], bound: int) -> None:
        self.cut = asyncio.Event()
        self.end: Close | None = None
        self._pipeline_id = pipeline_id
        self._opening = deque(opening)
        self._waiting: dict[tuple[object, ...], Told] = {}
        self._bound = bound
        self._news = asyncio.Event()
        self._place = 0
        self._told = True

    def knows(self, number: int) -> bool:
        """Whether nothing that it begins with is newer than the change of that number."""
        return all((told.place or 0) <= number for told in self._opening)

    def put(self, told: Told) -> None:
        if self.end is not None:
            return
        self._waiting.pop(told.slot, None)
        self._waiting[told.slot] = told
        self._news.set()
        if len(self._waiting) > self._bound:
            self.cut_off(Close.TOO_SLOW)

    def finish(self, end: Close) -> None:
        """End it, after what waits."""
        self.end = self.end or end
        self._news.set()

    def cut_off(self, end: Close) -> None:
        """End it at once."""
        self._waiting.clear()
        self._opening.clear()
        self.finish(end)
        self.cut.set()

    def beat(self) -> None:
        """Put a heartbeat where nothing was told since the last call."""
        if not self._told:
            self.put(heartbeat(self._pipeline_id, self._place))
        self._told = False

    async def next(self) -> Told | None:
        """The next message; None at the end."""
        while not (self._opening or self._waiting):
            if self.end is not None:
                return None
            self._news.clear()
            await self._news.wait()
        self._told = True
        told = self._opening.popleft() if self._opening else self._first_waiting()
        self._place = self._place if told.place is None else told.place
        return told

    def _first_waiting(self) -> Told:
        return self._waiting.pop(next(iter(self._waiting)))


async def deliver(
    watch: Watch,
    send: Callable[[str], Awaitable[None]],
    gone: Coroutine[Any, Any, None],
) -> Close | None:
    """Send what the watch is told until it ends; None when the client went before, as `gone` says.

    A client that is too slow may never let `send` return, so that is not waited for.
    """

    async def pump() -> None:
        while told := await watch.next():
            await send(told.text)

    pumping, *others = tasks = [asyncio.ensure_future(c) for c in (pump(), gone, watch.cut.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if others[0].cancelled() or watch.cut.is_set():
        if not pumping.cancelled():
            pumping.result()
        return watch.end
    return None
