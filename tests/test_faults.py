"""The quick part of the fault matrix (all of it: `make faults`), and races on the state itself.

Each scenario's promises are those of docs/reliability.md, held by tests/faults/rig.py.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from application.state import StateStore
from domain.errors import LeaseError, TransitionError
from domain.pipeline import EventKind, PipelineState
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.sqlite import SQLiteStateStore
from tests.faults.matrix import Stage
from tests.faults.scenario import SCENARIOS, Scenario
from tests.state_stores import events, start, state_of, take

QUICK = [each for each in SCENARIOS.values() if each.quick]
ROUNDS = 100
OPEN = (PipelineState.QUEUED, PipelineState.RUNNING)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("faults"))
    with stage.until:
        yield stage


@pytest.mark.slow
@pytest.mark.parametrize("scenario", QUICK, ids=lambda each: each.name.replace(" ", "-"))
def test_nothing_is_lost_when(scenario: Scenario, stage: Stage, tmp_path: Path) -> None:
    with stage.rigged(scenario, tmp_path / "cluster") as rig:
        scenario.play(rig)


@pytest.mark.slow
def test_every_match_of_the_report_has_an_undisturbed_run_to_compare_with(stage: Stage) -> None:
    # an empty reference would make every comparison of results pass
    assert {"slow.json", "tracks.parquet", "summary.json"} <= stage.tracked.keys()


@pytest.fixture(params=["sqlite", "redis"])
def same_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[], SQLiteStateStore | RedisStateStore]:
    """Connects to one store: two threads of a process share it, two processes do not."""
    if request.param == "sqlite":
        shared = SQLiteStateStore(tmp_path / "state.sqlite")
        return lambda: shared
    url = request.getfixturevalue("redis_url")
    return lambda: RedisStateStore(url, "race:")


def test_a_match_is_cancelled_or_completed_and_never_both(
    same_store: Callable[[], SQLiteStateStore | RedisStateStore],
) -> None:
    worker, client = same_store(), same_store()
    if isinstance(worker, RedisStateStore):
        worker.begin(1)
    ends = [_race(worker, client, f"p{number}") for number in range(ROUNDS)]
    worker.close()
    client.close()
    assert set(ends) <= {PipelineState.COMPLETED, PipelineState.CANCELLED}


def _race(worker: StateStore, client: StateStore, pipeline_id: str) -> PipelineState:
    """The last job is committed while the match is cancelled: one of the two is refused."""
    start(worker, pipeline_id, jobs=1, ready=[0])
    lease, ready = take(worker), Barrier(2)

    def commit() -> bool:
        ready.wait()
        try:
            worker.commit(lease, {0: "5f" * 32}, (), ())
        except LeaseError:
            return False
        return True

    def cancel() -> bool:
        ready.wait()
        facts = events(EventKind.PIPELINE_CANCELLED, pipeline_id=pipeline_id)
        try:
            client.move(pipeline_id, PipelineState.CANCELLED, facts, expected=OPEN)
        except TransitionError:
            return False
        return True

    before = len(worker.log(0, 10_000))
    with ThreadPoolExecutor(2) as pool:
        committed, cancelled = (
            each.result() for each in [pool.submit(commit), pool.submit(cancel)]
        )
    assert committed != cancelled
    end = state_of(worker, pipeline_id)
    assert end is (PipelineState.COMPLETED if committed else PipelineState.CANCELLED)
    told = [entry.event.kind.value for entry in worker.log(0, 10_000)[before:]]
    assert told == ["PipelineCompleted" if committed else "PipelineCancelled"]
    return end
