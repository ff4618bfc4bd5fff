"""Passes in spawned processes, each with its own models, so that every core works.

Spawned, not forked: the parent may hold threads. A child writes artifacts and reports their
hashes; only the parent commits.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from application.frame_pass import PassRunner
from application.ports import PassOutcome
from domain.errors import ResourceError, WorkerLostError

_WAIT_S = 0.2
_runner: PassRunner | None = None
_failure = ""
_heard: Any = None


class ProcessExecutor:
    """The adapter of the port `PassExecutor` for one machine.

    `build` makes a child's runner from `specification`: it is called once in each child, and must
    be importable there.
    """

    def __init__(
        self,
        processes: int,
        build: Callable[[bytes], PassRunner],
        specification: bytes,
        on_frames: Callable[[int, int], None],
    ) -> None:
        self.capacity = processes + 1
        self._processes = processes
        self._start = (build, specification)
        self._on_frames = on_frames
        self._running: dict[Future[PassOutcome], tuple[int, tuple[str, ...], _Pool]] = {}
        self._pool: _Pool | None = None

    def submit(self, segment: int, stages: Sequence[str]) -> None:
        if self._pool is None:
            self._pool = _Pool(self._processes, self._start)
        names = tuple(stages)
        self._running[self._pool.submit(segment, names)] = (segment, names, self._pool)

    def finished(self, *, wait: bool) -> Sequence[PassOutcome]:
        while True:
            ended = self._ended(_WAIT_S if wait else 0)
            self._hear()
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
            died = WorkerLostError("the worker process died (out of memory, or killed)")
            return PassOutcome(segment, names, error=died)

    def _hear(self) -> None:
        if self._pool:
            for segment, count in self._pool.heard():
                self._on_frames(segment, count)


class _Pool:
    """Processes that live and die together, with a channel of their own for progress.

    A child that is killed while it writes leaves the channel locked, so the next pool has another.
    """

    def __init__(self, processes: int, start: tuple[Callable[[bytes], PassRunner], bytes]) -> None:
        context = multiprocessing.get_context("spawn")
        self._progress = context.SimpleQueue()
        self._pool = ProcessPoolExecutor(
            processes,
            mp_context=context,
            initializer=_initialize,
            initargs=(*start, self._progress, os.getpid()),
        )

    def submit(self, segment: int, names: tuple[str, ...]) -> Future[PassOutcome]:
        try:
            return self._pool.submit(_run, segment, names)
        except BrokenProcessPool as error:
            broken: Future[PassOutcome] = Future()
            broken.set_exception(error)
            return broken

    def heard(self) -> Iterator[tuple[int, int]]:
        """Segment and count of the frames that went through since the last call."""
        while not self._progress.empty():
            yield self._progress.get()

    def close(self, *, at_once: bool) -> None:
        if at_once:
            for child in list((self._pool._processes or {}).values()):
                child.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _initialize(
    build: Callable[[bytes], PassRunner], specification: bytes, heard: Any, parent: int
) -> None:
    global _runner, _failure, _heard
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(parent)
    _heard = heard
    try:
        _runner = build(specification)
    except Exception as error:  # reported by the first pass, in one line
        _failure = f"the worker cannot start: {error}"


def _end_with(parent: int) -> None:
    """Make the kernel end this process when its parent dies, so that nothing writes after it."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _run(segment: int, names: tuple[str, ...]) -> PassOutcome:
    if _runner is None:
        return PassOutcome(segment, names, error=ResourceError(_failure))
    return _runner.run(segment, names, lambda count: _heard.put((segment, count)))
