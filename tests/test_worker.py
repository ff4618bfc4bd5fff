"""Workers, service, reconciler and collector on real stores, over both state stores."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from application import records, retry
from application.admission import Planned
from application.collector import Collector
from application.state import ADMISSION, Lease, StateStore, WorkerRecord
from domain.configuration import ProcessingConfiguration
from domain.errors import (
    InputError,
    LostCellError,
    ResourceError,
    StageError,
    StateLostError,
    TransitionError,
    UnknownPipelineError,
    WorkerLostError,
)
from domain.pipeline import PipelineState
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.servers import connect
from tests.toy_match import CONFIGURATION, FRAMES, SEGMENTS, TOTAL, ToyCluster


@pytest.fixture(params=["sqlite", "redis"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    store: StateStore
    if request.param == "sqlite":
        store = SQLiteStateStore(tmp_path / "state.sqlite", max_running=2, max_per_owner=1)
    else:
        url = request.getfixturevalue("redis_url")
        store = RedisStateStore(url, max_running=2, max_per_owner=1)
        store.begin(1)
    yield store
    store.close()


@pytest.fixture
def cluster(state: StateStore, tmp_path: Path) -> ToyCluster:
    return ToyCluster(state, FolderArtifactStore(tmp_path / "artifacts"))


def _kinds(cluster: ToyCluster) -> Counter[str]:
    return Counter(str(entry.event.kind) for entry in cluster.state.log(0))


def test_a_match_is_done_and_its_story_is_told_once(cluster: ToyCluster) -> None:
    pipeline_id = cluster.submit()
    cluster.run()
    assert cluster.record(pipeline_id).state is PipelineState.COMPLETED
    assert cluster.result(pipeline_id) == TOTAL
    # 4 passes and 4 walks, and the END cells of look, walk and total
    assert _kinds(cluster) == {
        "PipelineSubmitted": 1,
        "PipelineStarted": 1,
        "StageStarted": 3,
        "CellCompleted": 2 * SEGMENTS + 3,
        "StageCompleted": 3,
        "PipelineCompleted": 1,
    }
    assert [entry.sequence for entry in cluster.state.log(0)] == list(range(1, 21))


def test_every_job_that_becomes_ready_has_an_invitation(cluster: ToyCluster) -> None:
    cluster.submit()
    cluster.run()
    # one for the admission, one for each of the 4 + 4 + 3 jobs
    assert sum(count for _, _, count in cluster.invited) == 1 + 2 * SEGMENTS + 3


def test_two_workers_share_a_match(cluster: ToyCluster) -> None:
    pipeline_id = cluster.submit()
    workers = [cluster.worker(name) for name in ("a", "b")]
    took = [True]
    while any(took):
        took = [worker.take("cpu") or worker.take("gpu") for worker in workers]
    assert cluster.result(pipeline_id) == TOTAL
    assert _kinds(cluster)["CellCompleted"] == 2 * SEGMENTS + 3


def test_the_same_match_again_runs_nothing(cluster: ToyCluster) -> None:
    cluster.submit()
    cluster.run()
    ran: list[str] = []
    cluster.happening = lambda stage, _: ran.append(stage)
    again = cluster.submit()
    cluster.run()
    assert cluster.result(again) == TOTAL
    assert ran == []


def test_a_stage_that_fails_twice_is_given_up_and_the_rest_goes_on(cluster: ToyCluster) -> None:
    def fail_late(stage: str, frame: int) -> None:
        if (stage, frame) == ("walk", 2 * FRAMES):
            raise ValueError("two\nlines")

    cluster.happening = fail_late
    pipeline_id = cluster.submit()
    _until_finished(cluster, pipeline_id)
    jobs = cluster.state.jobs(pipeline_id)
    (trouble,) = jobs.troubles
    plan = cluster.open(pipeline_id).plan
    assert str(plan.jobs[trouble.job]) == "walk/2"
    assert (trouble.failures, trouble.dead) == (2, True)
    assert trouble.error == "walk/2: ValueError: two lines"
    assert cluster.record(pipeline_id).error == trouble.error
    # all 4 passes, look's END, and walk on the first two segments
    assert len(jobs.done) == SEGMENTS + 1 + 2
    assert (jobs.leased, jobs.ready) == ({}, frozenset())
    kept = cluster.ledger.find(pipeline_id)
    assert kept
    assert kept.state is PipelineState.FAILED


def test_retry_goes_on_where_a_failed_match_stopped(cluster: ToyCluster) -> None:
    ran: Counter[tuple[str, int]] = Counter()

    def count_and_fail(stage: str, frame: int) -> None:
        ran[stage, frame] += 1
        if stage == "total" and ran[stage, frame] <= 2:
            raise ValueError("not yet")

    cluster.happening = count_and_fail
    pipeline_id = cluster.submit()
    _until_finished(cluster, pipeline_id)
    assert cluster.record(pipeline_id).state is PipelineState.FAILED
    cluster.service.retry(pipeline_id)
    _until_finished(cluster, pipeline_id)
    assert cluster.result(pipeline_id) == TOTAL
    assert {count for (stage, _), count in ran.items() if stage != "total"} == {1}
    assert _kinds(cluster)["CellCompleted"] == 2 * SEGMENTS + 3


def test_a_broken_input_is_not_tried_again(cluster: ToyCluster) -> None:
    tries: list[int] = []

    def broken(stage: str, frame: int) -> None:
        if stage == "look":
            tries.append(frame)
            raise InputError("toy.mp4: damaged")

    cluster.happening = broken
    pipeline_id = cluster.submit()
    cluster.run()
    assert cluster.record(pipeline_id).state is PipelineState.FAILED
    assert sorted(tries) == [FRAMES * n for n in range(SEGMENTS)]


def test_an_input_that_cannot_be_planned_fails_the_match(cluster: ToyCluster) -> None:
    def refuse(*_: object) -> object:
        raise InputError("toy.mp4: not a video")

    cluster.plan = refuse  # type: ignore[method-assign, assignment]
    pipeline_id = cluster.submit()
    cluster.run()
    record = cluster.record(pipeline_id)
    assert (record.state, record.error) == (PipelineState.FAILED, "toy.mp4: not a video")


def test_a_match_that_does_not_fit_the_disk_is_not_admitted(
    cluster: ToyCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.artifacts, "free_bytes", lambda: 1000)
    pipeline_id = cluster.submit()
    cluster.run()
    (trouble,) = cluster.state.jobs(pipeline_id).troubles
    assert not trouble.dead
    assert "storage: the match will leave about" in trouble.error
    assert cluster.record(pipeline_id).state is PipelineState.QUEUED


def test_what_is_gone_from_storage_is_made_anew(cluster: ToyCluster) -> None:
    undone = 3  # walk has seen that many segments when its inputs vanish

    def vanish(stage: str, frame: int) -> None:
        if (stage, frame) == ("walk", undone * FRAMES) and not vanished:
            vanished.append(True)
            assert isinstance(cluster.artifacts, FolderArtifactStore)
            for artifact, _ in list(cluster.artifacts.artifacts()):
                data = bytes(cluster.artifacts.read(artifact))
                if b"stages" not in data:  # the plan stays
                    cluster.artifacts.remove(artifact)

    vanished: list[bool] = []
    cluster.happening = vanish
    pipeline_id = cluster.submit()
    _until_finished(cluster, pipeline_id)
    assert vanished
    assert cluster.record(pipeline_id).state is PipelineState.COMPLETED
    assert cluster.result(pipeline_id) == TOTAL
    assert _kinds(cluster)["CellCompleted"] == 2 * SEGMENTS + 3


def test_a_worker_that_lost_its_lease_changes_nothing(cluster: ToyCluster) -> None:
    cluster.lease_s = 0.01

    def stall(stage: str, _: int) -> None:
        if stage == "walk" and not stalled:
            stalled.append(True)
            threading.Event().wait(0.05)
            cluster.state.expire(retry.MAX_LOSSES, "lost")

    stalled: list[bool] = []
    pipeline_id = cluster.submit()
    cluster.run()  # everything within its lease, so far
    cluster.happening = stall
    _until_finished(cluster, pipeline_id)
    assert cluster.result(pipeline_id) == TOTAL
    assert _kinds(cluster)["CellCompleted"] == 2 * SEGMENTS + 3


def test_a_worker_that_is_stopped_gives_its_job_back(cluster: ToyCluster) -> None:
    def stop(stage: str, _: int) -> None:
        cluster.stopping = stage == "look"

    cluster.happening = stop
    pipeline_id = cluster.submit()
    worker = cluster.worker()
    assert worker.take("cpu")
    assert worker.take("gpu")
    jobs = cluster.state.jobs(pipeline_id)
    assert (len(jobs.ready), jobs.leased, jobs.troubles) == (SEGMENTS, {}, ())


def test_a_worker_takes_only_what_it_is_able_to_do(cluster: ToyCluster) -> None:
    cluster.needs = {"gpu": ("cuda",)}
    pipeline_id = cluster.submit()
    plain, cuda = cluster.worker("plain"), cluster.worker("cuda", ("toy", "cuda"))
    assert plain.take("cpu")
    assert not plain.take("gpu")
    cluster.run(cuda)
    assert cluster.result(pipeline_id) == TOTAL


def test_cancel_stops_and_retry_resumes(cluster: ToyCluster) -> None:
    pipeline_id = cluster.submit()
    worker = cluster.worker()
    assert worker.take("cpu")
    assert worker.take("gpu")
    cluster.service.cancel(pipeline_id)
    assert not worker.take("gpu")
    assert cluster.service.cancel(pipeline_id).state is PipelineState.CANCELLED
    kept = cluster.ledger.find(pipeline_id)
    assert kept
    assert kept.state is PipelineState.CANCELLED
    cluster.service.retry(pipeline_id)
    cluster.run(worker)
    assert cluster.result(pipeline_id) == TOTAL
    with pytest.raises(TransitionError, match="completed and cannot become cancelled"):
        cluster.service.cancel(pipeline_id)


def test_a_cancelled_jobs_commit_is_refused(cluster: ToyCluster) -> None:
    def cancel(stage: str, _: int) -> None:
        if stage == "walk":
            cluster.service.cancel(pipeline_id)

    cluster.happening = cancel
    pipeline_id = cluster.submit()
    cluster.run()
    assert cluster.record(pipeline_id).state is PipelineState.CANCELLED
    assert len(cluster.state.jobs(pipeline_id).done) == 1  # the pass before the first walk


def test_an_idempotency_key_gives_the_same_pipeline(cluster: ToyCluster) -> None:
    first = cluster.submit(owner="club", idempotency_key="1")
    assert cluster.submit(owner="club", idempotency_key="1") == first
    assert cluster.submit(owner="other", idempotency_key="1") != first
    other = ProcessingConfiguration.parse({"video_path": "another.mp4"})
    with pytest.raises(InputError, match="used for another match"):
        cluster.service.submit(other, owner="club", idempotency_key="1")


def test_a_deleted_pipeline_is_gone(cluster: ToyCluster) -> None:
    pipeline_id = cluster.submit()
    with pytest.raises(TransitionError, match="cancel it first"):
        cluster.service.delete(pipeline_id)
    cluster.run()
    cluster.service.delete(pipeline_id)
    with pytest.raises(UnknownPipelineError):
        cluster.service.find(pipeline_id)
    assert cluster.ledger.results(pipeline_id) is None


def test_a_client_at_its_cap_lets_others_go_first(cluster: ToyCluster) -> None:
    first = [cluster.submit(owner="a") for _ in range(3)]
    other = cluster.submit(owner="b")
    worker = cluster.worker()
    while worker.take("cpu"):  # admissions only: no pass is done, so no cell of a timeline is ready
        pass
    states = [cluster.record(each).state for each in (*first, other)]
    assert [state.value for state in states] == ["running", "queued", "queued", "running"]
    cluster.run(worker)
    assert [cluster.result(each) for each in (*first, other)] == [TOTAL] * 4


def test_the_reconciler_invites_for_jobs_whose_message_was_lost(cluster: ToyCluster) -> None:
    cluster.submit(priority="high")
    cluster.invited.clear()
    cluster.reconciler.tick()
    assert cluster.invited == [("cpu", "high", 1)]


def test_the_collector_keeps_results_and_takes_the_rest(cluster: ToyCluster) -> None:
    pipeline_id = cluster.submit()
    cluster.run()
    keep = Collector(cluster.state, cluster.artifacts, cluster.ledger, cluster, keep_s=3600)
    assert keep.collect(grace_s=0) == 0
    ended = Collector(cluster.state, cluster.artifacts, cluster.ledger, cluster, keep_s=-1)
    before = len(list(cluster.artifacts.artifacts()))
    assert ended.collect(grace_s=0) == before - 1
    assert cluster.result(pipeline_id) == TOTAL
    assert cluster.record(pipeline_id).state is PipelineState.COMPLETED


def test_an_artifact_that_two_matches_share_outlives_the_first(cluster: ToyCluster) -> None:
    first = cluster.submit()
    cluster.run()
    second = cluster.submit()  # same input: the same artifacts
    collector = Collector(cluster.state, cluster.artifacts, cluster.ledger, cluster, keep_s=3600)
    cluster.run()
    cluster.service.delete(first)
    collector.collect(grace_s=0)
    assert cluster.result(second) == TOTAL
    cluster.service.delete(second)
    collector.collect(grace_s=0)
    assert list(cluster.artifacts.artifacts()) == []


def test_a_submission_that_stands_on_storage_only_is_found(cluster: ToyCluster) -> None:
    record = cluster.service.submit(CONFIGURATION)
    cluster.service.cancel(record.pipeline_id)
    cluster.state.remove(record.pipeline_id)
    cluster.ledger.keep(record)  # as a crash between storage and state leaves it
    Collector(cluster.state, cluster.artifacts, cluster.ledger, cluster, keep_s=9).collect()
    cluster.run()
    assert cluster.result(record.pipeline_id) == TOTAL


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (InputError("x"), 1),
        (StageError("x"), 2),
        (WorkerLostError("x"), 3),
        (ResourceError("x"), 100),
    ],
)
def test_each_kind_of_error_has_its_number_of_tries(error: InputError, tries: int) -> None:
    delays = [retry.delay_s(error, Lease("p", 0, 1, n, n)) for n in range(tries)]
    assert delays[-1] is None
    assert all(delay and 0 < delay <= retry.LONGEST_DELAY_S for delay in delays[:-1])


def test_a_state_that_forgot_everything_is_rebuilt_from_storage(
    redis_url: str, tmp_path: Path
) -> None:
    state = RedisStateStore(redis_url)
    cluster = ToyCluster(state, FolderArtifactStore(tmp_path / "artifacts"))
    cluster.reconciler.tick()  # a new Redis is empty, as one is that forgot
    done, cancelled = cluster.submit(), cluster.submit()
    cluster.service.cancel(cancelled)
    cluster.run()
    half, ran = cluster.submit(), []
    worker = cluster.worker()
    assert worker.take("cpu")
    last = state.log(0)[-1].number
    connect(redis_url).flushall()
    with pytest.raises(StateLostError):
        worker.take("gpu")
    cluster.reconciler.tick()
    cluster.happening = lambda stage, _: ran.append(stage)
    cluster.run()
    states = [cluster.record(each).state for each in (done, cancelled, half)]
    assert states == [PipelineState.COMPLETED, PipelineState.CANCELLED, PipelineState.COMPLETED]
    assert cluster.result(half) == TOTAL
    assert ran == []  # the first match did all of it, and its checkpoints are on storage
    entries = state.log(0)
    assert min(entry.number for entry in entries) > last
    told = {(entry.event.pipeline_id, str(entry.event.kind)) for entry in entries}
    assert told >= {
        (done, "PipelineCompleted"),
        (cancelled, "PipelineCancelled"),
        (half, "PipelineSubmitted"),
        (half, "PipelineCompleted"),
    }


def test_one_record_that_cannot_be_read_does_not_stop_the_rebuild(
    redis_url: str, tmp_path: Path
) -> None:
    state = RedisStateStore(redis_url)
    cluster = ToyCluster(state, FolderArtifactStore(tmp_path / "artifacts"))
    cluster.reconciler.tick()
    old, good = cluster.submit(), cluster.submit()
    cluster.run()
    record = cluster.record(old)  # as an upgrade leaves it that removed an option
    unknown = msgspec.structs.replace(record, configuration='{"video_path": ["x"], "gone": 1}')
    cluster.ledger.keep(unknown)
    cluster.artifacts.put_record("pipelines/torn", b"\x93half")
    connect(redis_url).flushall()
    cluster.reconciler.tick()
    states = [cluster.record(each).state for each in (old, good)]
    assert states == [PipelineState.COMPLETED] * 2


def test_what_waits_behind_a_dead_job_ends_with_it(cluster: ToyCluster) -> None:
    """The input of a walk vanishes, and making it again is given up: nothing loops."""

    def vanish(stage: str, frame: int) -> None:
        if stage == "look" and walked:
            raise InputError("toy.mp4: gone")
        if stage == "walk" and frame == FRAMES and not walked:
            walked.append(True)
            first = cluster.open(pipeline_id)
            key = cluster.state.keys(pipeline_id, [0])[0]
            assert first.engine.kept.find(key)
            first.engine.kept.forget(cluster.state.keys(pipeline_id, [1])[0])
            raise LostCellError("gone", "look", 1)

    walked: list[bool] = []
    cluster.happening = vanish
    pipeline_id = cluster.submit()
    worker = cluster.worker()
    assert worker.take("cpu")
    while worker.take("gpu"):
        pass
    _until_finished(cluster, pipeline_id)
    assert cluster.record(pipeline_id).error == "toy.mp4: gone"


def test_a_match_that_is_deleted_while_it_is_planned_stays_deleted(cluster: ToyCluster) -> None:
    def cancel_and_delete(*given: object) -> Planned:
        cluster.service.cancel(pipeline_id)
        cluster.service.delete(pipeline_id)
        return planned(*given)  # type: ignore[arg-type]

    planned = cluster.plan
    cluster.plan = cancel_and_delete  # type: ignore[method-assign]
    pipeline_id = cluster.submit()
    cluster.run()
    assert cluster.ledger.find(pipeline_id) is None
    assert cluster.state.pipeline(pipeline_id) is None


def test_what_is_used_again_is_young_again(cluster: ToyCluster, tmp_path: Path) -> None:
    """A collector that began before a match took an old one's results must not take them."""
    first = cluster.submit()
    cluster.run()
    for path in (tmp_path / "artifacts").rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))
    for name in cluster.artifacts.records("checkpoints"):
        key = name.rpartition("/")[2]
        checkpoint = cluster.open(first).engine.kept.find(key)
        assert checkpoint
        aged = msgspec.structs.replace(checkpoint, made_at=0.0)
        cluster.artifacts.put_record(f"checkpoints/{key[:2]}/{key}", records.encode(aged))
    cluster.service.delete(first)
    second = cluster.submit()
    cluster.run()
    cells = [key for key in cluster.state.keys(second, range(2 * SEGMENTS + 3)) if key]
    kept = [cluster.open(second).engine.kept.find(key) for key in cells]
    assert all(each and each.made_at > 0 for each in kept)
    used = {a.sha256 for each in kept if each for a in each.artifacts()}
    ages = {a.sha256: at for a, at in cluster.artifacts.artifacts()}
    assert all(ages[name] > 0 for name in used)


def test_an_admission_waits_for_workers_before_it_plans_for_what_there_is(
    cluster: ToyCluster,
) -> None:
    cluster.needs = {"gpu": ("cuda",)}
    cluster.patience = 2
    pipeline_id = cluster.submit()
    able = cluster.worker("cuda", ("toy", "cuda"))
    assert able.take("cpu")
    assert able.take("gpu")
    before = cluster.record(pipeline_id).plan
    cluster.service.cancel(pipeline_id)
    cluster.service.retry(pipeline_id)
    cluster.needs = {}
    cluster.state.register(WorkerRecord("cuda", ("gpu", "cpu"), ("toy",)))  # it lost its device
    plain = cluster.worker("plain")
    assert plain.take("cpu")
    (trouble,) = [t for t in cluster.state.jobs(pipeline_id).troubles if t.job == ADMISSION]
    assert "no live worker is able" in trouble.error
    _until_finished(cluster, pipeline_id)
    assert cluster.record(pipeline_id).plan != before


def _until_finished(cluster: ToyCluster, pipeline_id: str) -> None:
    """Let the workers run, and time pass for delayed jobs."""
    for _ in range(200):
        cluster.run()
        if cluster.record(pipeline_id).state not in (PipelineState.QUEUED, PipelineState.RUNNING):
            return
        threading.Event().wait(0.05)
        cluster.state.expire(retry.MAX_LOSSES, "lost")
    raise AssertionError(cluster.state.jobs(pipeline_id))
