"""Passes in spawned processes, each with its own models, so that every core works.

Spawned, not forked: the parent may hold threads. A child writes artifacts and reports their
hashes; only the parent commits.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from application.frame_pass import PassRunner
from application.ports import PassOutcome

_WAIT_S = 0.2
_runner: PassRunner | None = None
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
        self._context = multiprocessing.get_context("spawn")
        self._progress = self._context.SimpleQueue()
        self._running: dict[Future[PassOutcome], tuple[int, tuple[str, ...]]] = {}
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, segment: int, stages: Sequence[str]) -> None:
        if self._pool is None:
            self._pool = self._new_pool()
        names = tuple(stages)
        try:
            future = self._pool.submit(_run, segment, names)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        self._running[future] = (segment, names)

    def finished(self, *, wait: bool) -> Sequence[PassOutcome]:
        while True:
            ended = self._ended(_WAIT_S if wait else 0)
            self._hear()
            if ended or not wait or not self._running:
                return [self._outcome(future) for future in ended]

    def close(self) -> None:
        if self._pool:
            children = list((self._pool._processes or {}).values())
            if self._running:
                for child in children:
                    child.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._running.clear()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._processes,
            mp_context=self._context,
            initializer=_initialize,
            initargs=(*self._start, self._progress, os.getpid()),
        )

    def _ended(self, timeout: float) -> list[Future[PassOutcome]]:
        return list(wait(self._running, timeout=timeout, return_when=FIRST_COMPLETED).done)

    def _outcome(self, future: Future[PassOutcome]) -> PassOutcome:
        segment, names = self._running.pop(future)
        try:
            return future.result()
        except BrokenProcessPool:
            if self._pool:
                self._pool.shutdown(wait=False)
                self._pool = None
            message = "the worker process died (out of memory, or killed)"
            return PassOutcome(segment, names, error=message, lost=True)

    def _hear(self) -> None:
        while not self._progress.empty():
            self._on_frames(*self._progress.get())


def _initialize(
    build: Callable[[bytes], PassRunner], specification: bytes, heard: Any, parent: int
) -> None:
    global _runner, _heard
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(parent)
    _heard = heard
    _runner = build(specification)


def _end_with(parent: int) -> None:
    """Make the kernel end this process when its parent dies, so that nothing writes after it."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _run(segment: int, names: tuple[str, ...]) -> PassOutcome:
    if _runner is None:
        raise RuntimeError("the worker was not initialised")
    return _runner.run(segment, names, lambda count: _heard.put((segment, count)))
