"""Passes in spawned processes, each with its own models, so that every core works.

Spawned, not forked: the parent may hold threads. A child writes artifacts and reports their
hashes; only the parent commits.
"""

import contextlib
import multiprocessing
import os
import signal
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from application.match import Passes
from application.ports import PassOutcome
from domain.errors import FootAnalyticsError, ResourceError, WorkerLostError

WAIT_S = 0.2
_RUNNERS_KEPT = 4
Build = Callable[[bytes], Passes]
_build: Build | None = None
_runners: OrderedDict[bytes, Passes] = OrderedDict()
_heard: Any = None


class ProcessExecutor:
    """The adapter of the port `PassExecutor` for one match on one machine.

    `build` makes a child's runner from `specification`: it is called once in each child, and must
    be importable there.
    """

    def __init__(
        self,
        processes: int,
        build: Build,
        specification: bytes,
        on_frames: Callable[[int, int], None],
    ) -> None:
        self.capacity = processes + 1
        self._processes = processes
        self._build = build
        self._specification = specification
        self._on_frames = on_frames
        self._running: dict[Future[PassOutcome], tuple[int, tuple[str, ...], Pool]] = {}
        self._pool: Pool | None = None

    def submit(self, segment: int, stages: Sequence[str]) -> None:
        if self._pool is None:
            self._pool = Pool(self._processes, self._build)
        names = tuple(stages)
        future = self._pool.submit(self._specification, segment, names)
        self._running[future] = (segment, names, self._pool)

    def finished(self, *, wait: bool) -> Sequence[PassOutcome]:
        while True:
            ended = self._ended(WAIT_S if wait else 0)
            self._hear()
            if not ended and self._pool and self._pool.has_died():
                self._pool.close(at_once=True)
            if ended or not wait or not self._running:
                return [self._outcome(future) for future in ended]

    def close(self) -> None:
        pools = {pool for *_, pool in self._running.values()} | {self._pool}
        for pool in pools - {None}:
            pool.close(at_once=bool(self._running))  # type: ignore[union-attr]
        self._pool = None
        self._running.clear()

    def _ended(self, timeout: float) -> list[Future[PassOutcome]]:
        return list(wait(self._running, timeout=timeout, return_when=FIRST_COMPLETED).done)

    def _outcome(self, future: Future[PassOutcome]) -> PassOutcome:
        segment, names, pool = self._running.pop(future)
        try:
            return future.result()
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
                pool.close(at_once=True)
            return PassOutcome(segment, names, error=died())

    def _hear(self) -> None:
        if self._pool:
            for segment, count in self._pool.heard():
                self._on_frames(segment, count)


class Pool:
    """Processes that live and die together, with a channel of their own for progress.

    A child that is killed while it writes leaves the channel locked, so the next pool has another.
    """

    def __init__(self, processes: int, build: Build) -> None:
        context = multiprocessing.get_context("spawn")
        self._progress = context.SimpleQueue()
        self._pool = ProcessPoolExecutor(
            processes,
            mp_context=context,
            initializer=_initialize,
            initargs=(build, self._progress, os.getpid()),
        )

    def submit(
        self, specification: bytes, segment: int, names: tuple[str, ...]
    ) -> Future[PassOutcome]:
        """Start the pass; the answer tells too when the pool is broken."""
        try:
            return self._pool.submit(_run, specification, segment, names)
        except BrokenProcessPool as error:
            broken: Future[PassOutcome] = Future()
            broken.set_exception(error)
            return broken

    def heard(self) -> Iterator[tuple[int, int]]:
        """Segment and count of the frames that went through since the last call."""
        while not self._progress.empty():
            yield self._progress.get()

    def has_died(self) -> bool:
        """Whether a process is gone.

        The library notices by itself only what it watched when it last woke, and it wakes before
        it starts a process.
        """
        return any(child.exitcode is not None for child in (self._pool._processes or {}).values())

    def close(self, *, at_once: bool) -> None:
        if at_once:
            for child in list((self._pool._processes or {}).values()):
                child.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


def died() -> WorkerLostError:
    return WorkerLostError("the worker process died (out of memory, or killed)")


def _initialize(build: Build, heard: Any, parent: int) -> None:
    global _build, _heard
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(parent)
    _build, _heard = build, heard


def _end_with(parent: int) -> None:
    """Make the kernel end this process when its parent dies, so that nothing writes after it."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _run(specification: bytes, segment: int, names: tuple[str, ...]) -> PassOutcome:
    try:
        runner = _runner_of(specification)
    except FootAnalyticsError as error:
        return PassOutcome(segment, names, error=error)
    except Exception as error:  # reported in one line
        reason = ResourceError(f"the worker cannot start: {error}")
        return PassOutcome(segment, names, error=reason)
    return runner.run(segment, names, lambda count: _heard.put((segment, count)))


def _runner_of(specification: bytes) -> Passes:
    """The last few matches stay open in a child."""
    if specification not in _runners:
        assert _build
        _runners[specification] = _build(specification)
    _runners.move_to_end(specification)
    if len(_runners) > _RUNNERS_KEPT:
        _runners.popitem(last=False)
    return _runners[specification]
