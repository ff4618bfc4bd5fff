"""Passes in other processes: what a crash, and a worker that cannot start, look like."""

import os
import time
from collections.abc import Callable, Sequence

import pytest

from application.ports import PassOutcome
from domain.errors import LeaseError, ResourceError, WorkerLostError
from infrastructure.executors.child import Child
from infrastructure.executors.processes import ProcessExecutor


class Obedient:
    """Stands where a worker's runner stands and does as the stage's name says."""

    def run(
        self, segment: int, names: Sequence[str], on_frames: Callable[[int], None]
    ) -> PassOutcome:
        if "die" in names:
            os._exit(9)
        if "sleep" in names:
            time.sleep(30)
        on_frames(7)
        return PassOutcome(segment, tuple(names), seconds={"work": 1.0})


def build(specification: bytes) -> Obedient:
    if specification == b"broken":
        raise ValueError("no such model")
    return Obedient()


def _executor(heard: list[tuple[int, int]], specification: bytes = b"") -> ProcessExecutor:
    def on_frames(segment: int, count: int) -> None:
        heard.append((segment, count))

    return ProcessExecutor(2, build, specification, on_frames)  # type: ignore[arg-type]


def _all(executor: ProcessExecutor, count: int) -> dict[int, PassOutcome]:
    outcomes: dict[int, PassOutcome] = {}
    while len(outcomes) < count:
        outcomes |= {outcome.segment: outcome for outcome in executor.finished(wait=True)}
    return outcomes


def test_passes_come_back_with_what_was_heard_of_them() -> None:
    heard: list[tuple[int, int]] = []
    executor = _executor(heard)
    for segment in range(4):
        executor.submit(segment, ["work"])
    assert all(not outcome.error for outcome in _all(executor, 4).values())
    executor.close()
    assert sum(count for _, count in heard) <= 28


def test_a_worker_that_dies_loses_its_passes_and_others_go_on() -> None:
    executor = _executor([])
    executor.submit(0, ["die"])
    assert isinstance(_all(executor, 1)[0].error, WorkerLostError)
    executor.submit(1, ["work"])
    assert _all(executor, 1)[1].error is None
    executor.close()


def test_a_late_word_of_a_dead_pool_does_not_end_the_next_one() -> None:
    executor = _executor([])
    executor.submit(0, ["die"])
    executor.submit(1, ["sleep"])
    first = executor.finished(wait=True)
    executor.submit(2, ["work"])
    outcomes = {outcome.segment: outcome for outcome in first} | _all(executor, 3 - len(first))
    assert isinstance(outcomes[0].error, WorkerLostError)
    assert isinstance(outcomes[1].error, WorkerLostError)
    assert not outcomes[2].error
    executor.close()


def test_a_worker_that_cannot_start_says_why() -> None:
    executor = _executor([], b"broken")
    executor.submit(0, ["work"])
    error = _all(executor, 1)[0].error
    assert isinstance(error, ResourceError)
    assert str(error) == "the worker cannot start: no such model"
    executor.close()


def test_closing_ends_what_is_under_way() -> None:
    executor = _executor([])
    executor.submit(0, ["sleep"])
    time.sleep(0.5)
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 20


def test_a_childs_pass_is_watched_and_ended_by_what_its_watcher_raises() -> None:
    child = Child(build)  # type: ignore[arg-type]

    def stop(_: int) -> None:
        raise LeaseError("lost")

    with pytest.raises(LeaseError):
        child.run(b"", 0, ["sleep"], stop)
    heard: list[int] = []
    assert child.run(b"", 1, ["work"], heard.append).error is None
    assert sum(heard) in (0, 7)  # what is still on its way when the pass ends is not waited for
    child.close()


def test_a_child_that_dies_is_started_again() -> None:
    child = Child(build)  # type: ignore[arg-type]
    assert isinstance(child.run(b"", 0, ["die"], lambda _: None).error, WorkerLostError)
    assert child.run(b"", 0, ["work"], lambda _: None).error is None
    assert "no such model" in str(child.run(b"broken", 0, ["work"], lambda _: None).error)
    child.close()
