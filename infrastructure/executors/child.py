"""A worker thread's own process for passes: what crashes there takes nothing else with it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool

from application.ports import PassOutcome
from infrastructure.executors.processes import WAIT_S, Build, Pool, died


class Child:
    """One spawned process, started with the first pass and again after it died.

    It must be used from one thread, which has to live as long as the process.
    """

    def __init__(self, build: Build) -> None:
        self._build = build
        self._pool: Pool | None = None

    def run(
        self,
        specification: bytes,
        segment: int,
        names: Sequence[str],
        on_frames: Callable[[int], None],
    ) -> PassOutcome:
        """A pass of the match that `specification` names.

        `on_frames` is called now and then, with 0 where nothing new was heard; when it raises, the
        process is ended and the error goes on.
        """
        pool = self._pool = self._pool or Pool(1, self._build)
        future = pool.submit(specification, segment, tuple(names))
        try:
            self._watch(pool, future, on_frames)
            return future.result()
        except BrokenProcessPool:
            self.close()
            return PassOutcome(segment, tuple(names), error=died())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._pool:
            self._pool.close(at_once=True)
        self._pool = None

    def _watch(
        self, pool: Pool, future: Future[PassOutcome], on_frames: Callable[[int], None]
    ) -> None:
        while not future.done():
            wait([future], timeout=WAIT_S)
            if pool.has_died():
                pool.close(at_once=True)
            on_frames(sum(count for _, count in pool.heard()))


class PassesInChild:
    """The passes of one match, run in a `Child`: stands where a `PassRunner` stands."""

    def __init__(self, child: Child, specification: bytes) -> None:
        self._child = child
        self._specification = specification

    def run(
        self, segment: int, names: Sequence[str], on_frames: Callable[[int], None]
    ) -> PassOutcome:
        return self._child.run(self._specification, segment, names, on_frames)
