"""One contract for every state store and every artifact store."""

import hashlib
from pathlib import Path

import pytest

from application.ports import Artifact, Checkpoint, PipelineRecord, StateStore
from domain.configuration import ProcessingConfiguration
from domain.errors import ArtifactError, LeaseError, ResourceError
from domain.grid import Cell
from domain.pipeline import DomainEvent, EventKind, Pipeline, PipelineState
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore, publish

CELL = Cell("player_tracking", 3)


class Clock:
    """Time as the test sets it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> StateStore:
    assert request.param == "sqlite"
    store = SQLiteStateStore(tmp_path / "state.sqlite", clock)
    store.save(PipelineRecord("p", "running", "{}"), ())
    return store


def _checkpoint(key: str = "k", token: int = 1) -> Checkpoint:
    return Checkpoint(key, str(CELL), {"tracks": Artifact("0" * 64, 12)}, token=token)


def _events(*kinds: EventKind) -> tuple[DomainEvent, ...]:
    return tuple(DomainEvent(kind, "p", CELL) for kind in kinds)


def _commit(state: StateStore, token: int, checkpoint: Checkpoint | None = None) -> Checkpoint:
    return state.commit(
        "p",
        CELL,
        token,
        checkpoint or _checkpoint(),
        _events(EventKind.CELL_COMPLETED),
        PipelineState.RUNNING,
    )


def test_a_leased_cell_is_not_given_twice_until_the_lease_ends(
    state: StateStore, clock: Clock
) -> None:
    first = state.lease("p", CELL, "a", 10)
    assert first is not None
    assert state.lease("p", CELL, "b", 10) is None
    clock.now += 10
    second = state.lease("p", CELL, "b", 10)
    assert second is not None
    assert second > first


def test_a_renewed_lease_lasts(state: StateStore, clock: Clock) -> None:
    token = state.lease("p", CELL, "a", 10)
    clock.now += 9
    assert token
    assert state.renew("p", CELL, token, 10)
    clock.now += 9
    assert state.lease("p", CELL, "b", 10) is None


def test_a_stalled_workers_late_commit_is_refused_and_changes_nothing(
    state: StateStore, clock: Clock
) -> None:
    stalled = state.lease("p", CELL, "a", 10)
    clock.now += 11
    other = state.lease("p", CELL, "b", 10)
    assert stalled
    assert other
    with pytest.raises(LeaseError, match="passed on"):
        _commit(state, stalled)
    assert not state.renew("p", CELL, stalled, 10)
    assert (state.checkpoint("k"), state.done("p"), state.log(0)) == (None, {}, [])
    _commit(state, other)
    assert state.done("p") == {CELL: "k"}


def test_the_first_commit_of_a_key_wins(state: StateStore) -> None:
    first = state.lease("p", CELL, "a", 10)
    assert first
    _commit(state, first, _checkpoint(token=7))
    again = state.lease("p", CELL, "a", 10)
    assert again
    assert _commit(state, again, _checkpoint(token=8)).token == 7


def test_a_commit_counts_once(state: StateStore) -> None:
    token = state.lease("p", CELL, "a", 10)
    assert token
    _commit(state, token)
    with pytest.raises(LeaseError):
        _commit(state, token)
    assert len(state.log(0)) == 1


def test_a_cell_that_is_given_back_is_free_at_once(state: StateStore) -> None:
    token = state.lease("p", CELL, "a", 10)
    assert token
    state.give_back("p", CELL, token)
    assert state.lease("p", CELL, "b", 10) == token + 1


def test_the_log_numbers_rise_and_a_repeated_fact_is_there_once(state: StateStore) -> None:
    record = PipelineRecord("p", "running", "{}")
    state.save(record, _events(EventKind.STAGE_STARTED, EventKind.STAGE_COMPLETED))
    state.save(record, _events(EventKind.STAGE_STARTED))
    entries = state.log(0)
    assert [entry.kind for entry in entries] == ["StageStarted", "StageCompleted"]
    assert entries[0].number < entries[1].number
    assert state.log(entries[0].number) == entries[1:]


def test_a_pipeline_comes_back_as_it_was_saved(state: StateStore) -> None:
    pipeline = Pipeline.submit("q", ProcessingConfiguration.parse({"video_path": "m.mp4"}))
    saved = PipelineRecord("q", pipeline.state, pipeline.configuration.model_dump_json())
    state.save(saved, pipeline.pull_events())
    back = state.pipeline("q")
    assert back == saved
    assert ProcessingConfiguration.model_validate_json(back.configuration) == pipeline.configuration
    assert state.pipeline("nobody") is None
    assert [each.pipeline_id for each in state.pipelines()] == ["p", "q"]


def test_state_outlives_its_process(tmp_path: Path) -> None:
    first = SQLiteStateStore(tmp_path / "s")
    first.save(PipelineRecord("p", "running", "{}"), ())
    token = first.lease("p", CELL, "a", 10)
    assert token
    _commit(first, token)
    first.close()
    assert SQLiteStateStore(tmp_path / "s").checkpoint("k") == _checkpoint()


def test_another_versions_state_is_refused_by_name(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "s") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(ResourceError, match=r"state schema 99, expected 1"):
        SQLiteStateStore(tmp_path / "s")


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path / "artifacts")


def test_an_artifact_is_named_by_its_bytes(artifacts: FolderArtifactStore) -> None:
    artifact = artifacts.put(b"rows")
    assert artifact == Artifact(hashlib.sha256(b"rows").hexdigest(), 4)
    assert artifacts.put(b"rows") == artifact
    assert bytes(artifacts.read(artifact)) == artifacts.local_path(artifact).read_bytes() == b"rows"


def test_changed_or_missing_bytes_are_noticed(artifacts: FolderArtifactStore) -> None:
    artifact = artifacts.put(b"rows")
    artifacts.local_path(artifact).write_bytes(b"ROWS")
    with pytest.raises(ArtifactError, match="changed"):
        artifacts.read(artifact)
    artifacts.local_path(artifact).unlink()
    assert not artifacts.holds(artifact)
    with pytest.raises(ArtifactError, match="No such file"):
        artifacts.read(artifact)


def test_a_file_is_taken_over(artifacts: FolderArtifactStore) -> None:
    with artifacts.workspace() as folder:
        (folder / "a").write_bytes(b"video")
        (folder / "b").write_bytes(b"video")
        taken = [artifacts.put_file(folder / name) for name in ("a", "b")]
        assert list(folder.iterdir()) == []
    assert taken[0] == taken[1]
    assert bytes(artifacts.read(taken[0])) == b"video"
    assert not folder.exists()


def test_records_are_replaced_whole(artifacts: FolderArtifactStore) -> None:
    assert artifacts.read_record("pipelines/p.json") is None
    artifacts.put_record("pipelines/p.json", b"one")
    artifacts.put_record("pipelines/p.json", b"two")
    assert artifacts.read_record("pipelines/p.json") == b"two"


def test_what_a_killed_process_left_is_cleared(artifacts: FolderArtifactStore) -> None:
    (artifacts.root / "tmp" / "half").write_bytes(b"x")
    artifacts.clear_temporary()
    assert list((artifacts.root / "tmp").iterdir()) == []


def test_a_published_file_is_a_copy(artifacts: FolderArtifactStore, tmp_path: Path) -> None:
    artifact = artifacts.put(b"result")
    target = tmp_path / "out" / "exports" / "result.txt"
    publish(artifacts.local_path(artifact), target)
    target.write_bytes(b"changed by the user")
    assert bytes(artifacts.read(artifact)) == b"result"
    assert [path.name for path in target.parent.iterdir()] == ["result.txt"]
