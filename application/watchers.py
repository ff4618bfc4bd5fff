"""Tells many watchers how pipelines go on: one reader of the log and the state, in memory for all.

It runs in one event loop and reads only while somebody watches, from a thread of its own.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from application import records
from application.match import PlanDocument
from application.ports import Artifact, ArtifactStore
from application.progress import Look, PipelineProgress, Told
from application.state import Change, LogEntry, StateStore
from application.watch import HEARTBEAT_S, QUEUE_LENGTH, Close, Watch
from domain.errors import ArtifactError, ResourceError, UnknownPipelineError
from domain.grid import Plan
from domain.pipeline import EventKind, PipelineState

_log = logging.getLogger(__name__)
T = TypeVar("T")
_POLL_S, _IDLE_POLL_S, _IDLE_AFTER_S = 0.015, 0.025, 2.0
_PERCENTAGES_S = 0.5
_SWEEP_S, _SWEEP_FOR_S = 1.0, 0.01
_AWAY_S = 1.0
_PLANS, _AT_ONCE = 64, 256


@dataclass
class _Followed:
    """A pipeline that somebody watches; its jobs are looked at again when that is `due`."""

    progress: PipelineProgress
    watches: set[Watch] = field(default_factory=set)
    due: float = 0.0


class Watchers:
    """All watchers of one process."""

    def __init__(
        self,
        state: StateStore,
        artifacts: ArtifactStore,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        bound: int = QUEUE_LENGTH,
        told_after: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`told_after` hears how many seconds after a change its message was made."""
        self._told_after = told_after
        self._state = state
        self._artifacts = artifacts
        self._beat_s = heartbeat_s / 2
        self._bound = bound
        self._plan = lru_cache(_PLANS)(self._read_plan)
        self._thread = ThreadPoolExecutor(1, "progress")
        self._one_at_a_time = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._heart: asyncio.Task[None] | None = None
        self._count = 0
        self._after = 0
        self._followed: dict[str, _Followed] = {}
        self._of_all: set[Watch] = set()
        self._percentages_at = 0.0

    @asynccontextmanager
    async def watching(
        self, pipeline_id: str | None = None, after: int | None = None
    ) -> AsyncIterator[Watch]:
        """A watch on one pipeline, from after a change that is known, or on all.

        Raises:
            UnknownPipelineError: there is none of that id.
            ResourceError: the state cannot be read now.
        """
        self._count += 1
        try:
            watch = await self._join(pipeline_id, after)
            try:
                yield watch
            finally:
                self._leave(watch, pipeline_id)
        finally:
            self._count -= 1

    async def _join(self, pipeline_id: str | None, after: int | None) -> Watch:
        async with self._one_at_a_time:
            await self._start()
            if pipeline_id is None:
                return await self._join_all()
            followed = await self._follow(pipeline_id)
        progress = followed.progress
        watch = Watch(pipeline_id, progress.opening(after), self._bound)
        followed.watches.add(watch)
        if progress.finished:
            watch.finish(Close.FINISHED)
        return watch

    async def _join_all(self) -> Watch:
        for pipeline_id in await self._read(self._unfinished):
            with contextlib.suppress(UnknownPipelineError):  # removed just now
                await self._follow(pipeline_id)
        found = [each.progress for each in self._followed.values() if not each.progress.finished]
        opening = [told for progress in found for told in progress.opening()]
        watch = Watch(None, opening, self._bound)
        self._of_all.add(watch)
        return watch

    def _leave(self, watch: Watch, pipeline_id: str | None) -> None:
        self._of_all.discard(watch)
        if pipeline_id is None:
            for each in list(self._followed):
                self._forget_if_unwatched(each)
        elif followed := self._followed.get(pipeline_id):
            followed.watches.discard(watch)
            self._forget_if_unwatched(pipeline_id)

    def _forget_if_unwatched(self, pipeline_id: str) -> None:
        followed = self._followed[pipeline_id]
        if not followed.watches and (followed.progress.finished or not self._of_all):
            del self._followed[pipeline_id]

    # -- reading

    async def _read(self, call: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, call, *arguments)

    def _look(self, pipeline_id: str, after: int) -> Look | None:
        """What there is of the pipeline; None where there is none."""
        record = self._state.pipeline(pipeline_id)
        if record is None:
            return None
        story = self._state.story(pipeline_id, after)
        if record.plan is None:
            return Look(record, story)
        done = self._state.jobs(pipeline_id).done
        frames = self._state.frames_reported(pipeline_id)
        return Look(record, story, done, frames, self._plan(record.plan))

    def _read_plan(self, plan: Artifact) -> Plan | None:
        try:
            return records.decode(bytes(self._artifacts.read(plan)), PlanDocument).frozen()
        except ArtifactError:  # collected, long after the pipeline's end
            return None

    def _unfinished(self) -> list[str]:
        """The running pipelines and the queued, at most _AT_ONCE of each."""
        both = (PipelineState.RUNNING, PipelineState.QUEUED)
        found = [self._state.pipelines(state=state, limit=_AT_ONCE) for state in both]
        return [record.pipeline_id for page in found for record in page]

    async def _start(self) -> None:
        """Read from here on, if nobody has watched until now."""
        if self._reader is None or self._reader.done():
            self._followed.clear()
            self._after = await self._read(lambda: self._state.last_number)
            self._reader = asyncio.create_task(self._run(), name="progress")
            self._heart = asyncio.create_task(self._beat(), name="heartbeats")

    async def _run(self) -> None:
        try:
            await self._read_on()
        except Exception:  # the task's edge: watchers must not wait for a reader that is gone
            _log.exception("progress")
            for watch in self._all():
                watch.cut_off(Close.FAULT)
        finally:
            if self._heart:
                self._heart.cancel()

    async def _read_on(self) -> None:
        busy_until = 0.0
        while self._count:
            try:
                if await self._step():
                    busy_until = time.monotonic() + _IDLE_AFTER_S
                await asyncio.sleep(_POLL_S if time.monotonic() < busy_until else _IDLE_POLL_S)
            except ResourceError as error:
                _log.warning("progress waits: %s", error)
                await asyncio.sleep(_AWAY_S)

    async def _beat(self) -> None:
        """Twice in the time, so that no silence is longer."""
        while True:
            await asyncio.sleep(self._beat_s)
            for watch in self._all():
                watch.beat()

    def _all(self) -> list[Watch]:
        of_one = [watch for each in self._followed.values() for watch in each.watches]
        return [*of_one, *self._of_all]

    async def _step(self) -> bool:
        """Tell what is new; whether there was anything in the log."""
        entries = await self._read(self._state.log, self._after)
        for entry in entries:
            await self._take(entry)
            self._after = entry.number
            await asyncio.sleep(0)  # a watcher who keeps up has no queue, however much is new
        await self._sweep()
        self._tell_percentages()
        return bool(entries)

    async def _take(self, entry: LogEntry) -> None:
        event = entry.event
        followed = self._followed.get(event.pipeline_id)
        if followed is None:
            if self._of_all:
                await self._meet(entry)
        elif event.kind is EventKind.CELL_COMPLETED:
            if event.cell:
                followed.progress.cell_done(event.cell)
        elif entry.change == followed.progress.sequence + 1:
            self._go_on(followed, Change(entry.change, entry.time, event))
        elif entry.change > followed.progress.sequence:
            followed.due = 0.0  # others were trimmed before they were read: the story has them

    async def _meet(self, entry: LogEntry) -> None:
        """A pipeline that those who watch all do not know yet."""
        pipeline_id = entry.event.pipeline_id
        if entry.sequence == 1:
            followed = self._followed[pipeline_id] = _Followed(PipelineProgress(pipeline_id))
            await self._take(entry)
            return
        with contextlib.suppress(UnknownPipelineError):
            followed = await self._follow(pipeline_id)
            self._tell(followed, followed.progress.opening())

    async def _follow(self, pipeline_id: str) -> _Followed:
        followed = self._followed.get(pipeline_id)
        if followed is None:
            look = await self._read(self._look, pipeline_id, 0)
            if look is None:
                raise UnknownPipelineError(f"there is no pipeline {pipeline_id}")
            followed = _Followed(PipelineProgress.of(look), due=time.monotonic() + _SWEEP_S)
            followed = self._followed.setdefault(pipeline_id, followed)
        return followed

    async def _sweep(self) -> None:
        """Look again at those whose time has come, as many as there is time for."""
        until = time.monotonic() + _SWEEP_FOR_S
        waiting = sorted(self._followed.values(), key=lambda each: each.due)
        for followed in waiting:
            if followed.due > time.monotonic() or time.monotonic() > until:
                break
            await self._look_again(followed)

    async def _look_again(self, followed: _Followed) -> None:
        progress = followed.progress
        look = await self._read(self._look, progress.pipeline_id, max(progress.sequence - 1, 0))
        followed.due = time.monotonic() + _SWEEP_S
        if look is None:
            self._end(followed, Close.NO_SUCH_PIPELINE)
        elif progress.story and progress.story[-1:] != list(look.story[:1]):
            await self._begin_again(followed)
        else:
            for change in look.story:
                if change.number > progress.sequence:
                    self._go_on(followed, change)
                    await asyncio.sleep(0)
            progress.see(look)

    async def _begin_again(self, followed: _Followed) -> None:
        """The state was lost and rebuilt: the pipeline's story is another one."""
        look = await self._read(self._look, followed.progress.pipeline_id, 0)
        if look is not None:
            followed.progress = PipelineProgress.of(look)
            self._tell(followed, followed.progress.opening())

    # -- telling

    def _go_on(self, followed: _Followed, change: Change) -> None:
        if change.event.kind is EventKind.PIPELINE_STARTED:
            followed.due = 0.0  # there is a plan now
        self._tell(followed, [followed.progress.take(change)])
        self._told_after(time.time() - change.time)

    def _tell(self, followed: _Followed, messages: Iterable[Told]) -> None:
        for told in messages:
            for watch in (*followed.watches, *self._of_all):
                watch.put(told)
        if followed.progress.finished:
            self._end(followed, Close.FINISHED)

    def _end(self, followed: _Followed, end: Close) -> None:
        for watch in followed.watches:
            watch.finish(end)
        if not followed.watches:
            self._followed.pop(followed.progress.pipeline_id, None)

    def _tell_percentages(self) -> None:
        now = time.monotonic()
        if now >= self._percentages_at:
            self._percentages_at = now + _PERCENTAGES_S
            for followed in self._followed.values():
                for told in followed.progress.percentages():
                    for watch in (*followed.watches, *self._of_all):
                        watch.put(told)
