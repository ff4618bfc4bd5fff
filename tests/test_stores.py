"""One contract for every state store: pipelines, admission, who is next, how a pipeline ends."""

from collections.abc import Callable

import msgspec
import pytest

from application.ports import Artifact
from application.state import (
    ADMISSION,
    STUCK,
    Admission,
    PipelineRecord,
    StateStore,
    Trouble,
    WorkerRecord,
)
from domain.errors import LeaseError, TransitionError
from domain.pipeline import EventKind, PipelineState
from tests.state_stores import (
    ERROR,
    KEY,
    PLAN,
    Clock,
    admit,
    after,
    completed,
    events,
    kinds,
    start,
    state_of,
    submit,
    take,
)

pytest_plugins = ["tests.state_fixtures"]
MakeStore = Callable[..., StateStore]
_ADMISSION = Admission(PLAN, 2, 2, ((0, "gpu"),))


# -- pipelines


def test_a_pipeline_comes_back_as_it_was_submitted(state: StateStore) -> None:
    record = PipelineRecord(
        *("p", '{"a":1}', PipelineState.CANCELLED, "club", "high", 2, "stopped: it"),
        *(Artifact("0b" * 32, 7), 1.0625, 2.5, 3.5, "00-t"),
    )
    assert state.submit(record, ()) == record
    assert state.pipeline("p") == record
    assert state.pipeline("nobody") is None


def test_a_pipeline_that_is_known_stays_as_it_is(state: StateStore) -> None:
    first = submit(state, "p", owner="club")
    again = state.submit(PipelineRecord("p", "{}", owner="thief"), events(EventKind.STAGE_STARTED))
    assert again == first == state.pipeline("p")
    assert state.log(0) == []


def test_the_store_says_when_a_pipeline_was_submitted_started_and_finished(
    state: StateStore, clock: Clock
) -> None:
    submit(state)
    clock.now += 1
    admit(state, jobs=1, ready=[0])
    clock.now += 1
    state.commit(take(state), {0: KEY}, (), ())
    record = state.pipeline("p")
    assert record
    assert (record.submitted_at, record.started_at, record.finished_at) == (1000, 1001, 1002)
    assert (record.plan, record.state) == (PLAN, PipelineState.COMPLETED)


def test_the_latest_submissions_come_first_page_by_page(state: StateStore) -> None:
    for number in range(5):
        submit(state, f"p{number}", owner="club" if number % 2 else "scout")
    state.move("p1", PipelineState.CANCELLED, (), expected=[PipelineState.QUEUED])
    state.move("p2", PipelineState.CANCELLED, (), expected=[PipelineState.QUEUED])

    def ids(**filters: object) -> list[str]:
        return [each.pipeline_id for each in state.pipelines(**filters)]  # type: ignore[arg-type]

    assert ids(limit=2) == ["p4", "p3"]
    assert ids(limit=2, offset=4) == ["p0"]
    assert ids(owner="club") == ["p3", "p1"]
    assert ids(state=PipelineState.CANCELLED) == ["p2", "p1"]
    assert ids(state=PipelineState.CANCELLED, offset=1) == ["p1"]
    assert ids(owner="scout", state=PipelineState.QUEUED) == ["p4", "p0"]
    assert ids(owner="scout", state=PipelineState.QUEUED, offset=1, limit=1) == ["p0"]
    assert ids(owner="nobody") == []


def test_a_move_from_an_unexpected_state_is_refused(state: StateStore) -> None:
    submit(state)
    with pytest.raises(TransitionError, match="p is queued and cannot become cancelled"):
        state.move("p", PipelineState.CANCELLED, (), expected=[PipelineState.RUNNING])
    with pytest.raises(TransitionError, match="q is unknown"):
        state.move("q", PipelineState.CANCELLED, (), expected=list(PipelineState))
    assert state_of(state) == PipelineState.QUEUED


def test_a_cancelled_pipeline_has_no_lease_and_nothing_ready(state: StateStore) -> None:
    start(state, jobs=3, ready=[0, 1, 2])
    lease, delayed = take(state), take(state)
    state.fail(delayed, "it", 5.0)
    cancelled = events(EventKind.PIPELINE_CANCELLED)
    state.move("p", PipelineState.CANCELLED, cancelled, expected=[PipelineState.RUNNING])
    jobs = state.jobs("p")
    assert (jobs.ready, jobs.leased) == (frozenset(), {})
    assert not state.renew(lease, 10)
    with pytest.raises(LeaseError):
        state.commit(lease, {0: KEY}, (), completed(0))
    assert state.claim("gpu", (), "me", 10) is None
    assert kinds(state) == ["PipelineCancelled"]


def test_a_delay_that_ends_after_the_cancelling_wakes_nothing(
    state: StateStore, clock: Clock
) -> None:
    start(state)
    state.fail(take(state), "it", 5.0)
    state.move("p", PipelineState.CANCELLED, (), expected=[PipelineState.RUNNING])
    clock.now += 6
    assert state.expire(3, ERROR) == 0
    assert state.jobs("p").ready == frozenset()


def test_a_cancelled_admission_cannot_start_the_pipeline(state: StateStore) -> None:
    submit(state)
    lease = take(state, "cpu")
    state.move("p", PipelineState.CANCELLED, (), expected=[PipelineState.QUEUED])
    assert not state.renew(lease, 10)
    assert state.claim("cpu", (), "me", 10) is None


def test_a_retry_forgets_troubles_and_keeps_what_is_done(state: StateStore) -> None:
    start(state)
    state.commit(take(state), {0: KEY}, (), completed(0))
    state.fail(take(state), "it broke", None)
    failed = state.pipeline("p")
    assert failed
    assert (failed.state, failed.error) == (PipelineState.FAILED, "it broke")
    state.move("p", PipelineState.QUEUED, (), expected=[PipelineState.FAILED], attempt=1)
    queued = state.pipeline("p")
    assert queued
    assert (queued.error, queued.attempt, queued.started_at, queued.finished_at) == ("", 1, 0, 0)
    assert state.jobs("p").troubles == ()
    admit(state, ready=[1], keep_done=True)
    assert state.jobs("p").done == {0}
    assert state.commit(take(state), {1: KEY}, (), ()).state == PipelineState.COMPLETED
    assert state.keys("p", [0, 1]) == [KEY, KEY]


def test_another_plan_begins_with_nothing_done(state: StateStore) -> None:
    start(state)
    state.commit(take(state), {0: KEY}, (), completed(0))
    state.move("p", PipelineState.QUEUED, (), expected=[PipelineState.RUNNING])
    admit(state, keep_done=False)
    assert state.jobs("p").done == frozenset()
    assert state.keys("p", [0]) == [""]
    state.commit(take(state), {0: KEY}, (), completed(0))
    assert kinds(state).count("CellCompleted") == 2  # job 0 is another one now


def test_a_removed_pipeline_is_forgotten_but_not_its_log(state: StateStore) -> None:
    start(state, jobs=1, ready=[0])
    with pytest.raises(TransitionError, match="running"):
        state.remove("p")
    state.commit(take(state), {0: KEY}, (), completed(0))
    state.remove("p")
    state.remove("nobody")
    assert state.pipeline("p") is None
    assert state.pipelines() == []
    assert state.keys("p", [0]) == [""]
    assert kinds(state) == ["CellCompleted", "PipelineCompleted"]
    submit(state)
    assert state.jobs("p").done == frozenset()


def test_a_removed_waiting_pipeline_is_not_admitted(state: StateStore) -> None:
    submit(state)
    state.remove("p")
    assert state.claim("cpu", (), "me", 10) is None


def test_only_a_finished_pipelines_cells_are_forgotten(state: StateStore) -> None:
    start(state, jobs=1, ready=[0])
    lease = take(state)
    state.forget_cells("p")
    state.commit(lease, {0: KEY}, (), ())
    assert state.keys("p", [0]) == [KEY]
    state.forget_cells("p")
    assert state.keys("p", [0]) == [""]
    assert state.jobs("p").done == frozenset()
    assert state_of(state) == PipelineState.COMPLETED


# -- who is next


def test_the_more_urgent_pipeline_comes_first_its_admission_too(make_state: MakeStore) -> None:
    state = make_state(max_running=9)
    start(state, "normal")
    start(state, "low", priority="low")
    start(state, "urgent", priority="urgent")
    assert [take(state).pipeline_id for _ in range(6)] == [
        *("urgent", "urgent", "normal", "normal", "low", "low")
    ]
    submit(state, "waiting", priority="high")
    assert take(state, "cpu").pipeline_id == "waiting"


def test_pipelines_of_one_priority_share_the_workers(state: StateStore) -> None:
    start(state, "one", jobs=4, ready=range(4))
    start(state, "two", jobs=4, ready=range(4))
    taken = [take(state) for _ in range(4)]
    assert [(each.pipeline_id, each.job) for each in taken] == [
        *(("one", 0), ("two", 0), ("one", 1), ("two", 1))
    ]
    state.commit(taken[3], {1: KEY}, (), ())  # two has fewer under way now
    assert take(state).pipeline_id == "two"


def test_admissions_come_before_jobs_of_their_priority_in_the_order_of_submission(
    state: StateStore,
) -> None:
    start(state, "running", jobs=2, ready=[0])
    state.commit(take(state), {0: KEY}, [after(1, (0, 1))], ())
    submit(state, "first")
    submit(state, "second")
    submit(state, "low", priority="low")
    order = [(lease.pipeline_id, lease.job) for lease in (take(state, "cpu") for _ in range(4))]
    assert order == [("first", -1), ("second", -1), ("running", 1), ("low", -1)]


def test_the_cap_of_all_holds_admissions_back_but_not_urgent_ones(make_state: MakeStore) -> None:
    state = make_state(max_running=1)
    start(state, "running")
    submit(state, "waiting")
    assert state.claim("cpu", (), "me", 10) is None
    submit(state, "urgent", priority="urgent")
    assert take(state, "cpu").pipeline_id == "urgent"
    state.move("running", PipelineState.CANCELLED, (), expected=[PipelineState.RUNNING])
    assert state.claim("cpu", (), "me", 10) is None  # the urgent one counts for the others
    state.move("urgent", PipelineState.CANCELLED, (), expected=[PipelineState.QUEUED])
    assert take(state, "cpu").pipeline_id == "waiting"


def test_the_cap_of_an_owner_holds_only_the_owner_back_urgent_or_not(
    make_state: MakeStore,
) -> None:
    state = make_state(max_per_owner=1)
    for pipeline_id in ("a", "b"):
        submit(state, pipeline_id, owner="club", priority="urgent")
    submit(state, "c", owner="scout")
    assert [take(state, "cpu").pipeline_id for _ in range(2)] == ["a", "c"]
    assert state.claim("cpu", (), "me", 10) is None
    assert state.ready("cpu")["urgent"] == 0


def test_an_admission_that_is_given_back_leaves_its_place_to_others(make_state: MakeStore) -> None:
    state = make_state(max_running=1)
    submit(state, "low", priority="low")
    lease = take(state, "cpu")
    submit(state, "normal")
    assert state.claim("cpu", (), "me", 10) is None
    state.give_back(lease)
    assert take(state, "cpu").pipeline_id == "normal"


def test_what_may_be_claimed_is_counted_by_priority(make_state: MakeStore) -> None:
    state = make_state(max_running=3, max_per_owner=2)
    start(state, "p", jobs=3, ready=[0, 1, 2])
    take(state)
    for number in range(4):
        submit(state, f"club{number}", owner="club")
    submit(state, "urgent", owner="club", priority="urgent")
    assert state.ready("gpu") == {"urgent": 0, "high": 0, "normal": 2, "low": 0}
    # of the owner's five two fit: the urgent one, and a normal one into the last of three slots
    assert state.ready("cpu") == {"urgent": 1, "high": 0, "normal": 1, "low": 0}


def test_a_job_goes_only_to_a_worker_that_is_able_to_do_it(state: StateStore) -> None:
    start(state, "cuda", jobs=3, ready=[0], needs={"gpu": ("cuda", "f16"), "cpu": ()})
    start(state, "plain")
    assert take(state, able=["f16"]).pipeline_id == "plain"
    assert take(state, able=["f16", "cuda", "more"]).pipeline_id == "cuda"


def test_a_worker_finds_its_job_behind_many_that_it_cannot_do(make_state: MakeStore) -> None:
    state = make_state(max_running=99, max_per_owner=99)
    for number in range(30):
        start(state, f"cuda{number}", needs={"gpu": ("cuda",)})
    start(state, "plain")
    assert take(state).pipeline_id == "plain"


def test_a_worker_counts_until_it_was_silent_for_30_s(state: StateStore, clock: Clock) -> None:
    state.register(WorkerRecord("b", ("gpu",), ("cuda", "f16")))
    clock.now += 20
    state.register(WorkerRecord("a", ("cpu", "gpu"), ()))
    assert [(each.worker, each.seen_at) for each in state.workers()] == [("a", 1020), ("b", 1000)]
    assert state.workers()[1].able == ("cuda", "f16")
    clock.now += 10
    assert [each.worker for each in state.workers()] == ["a"]
    state.register(WorkerRecord("b", ("cpu",), ()))
    assert state.workers()[1] == WorkerRecord("b", ("cpu",), (), 1030)


# -- the end of a pipeline


def test_a_pipeline_goes_on_as_far_as_it_can_and_then_fails(state: StateStore) -> None:
    start(state, jobs=4, ready=[0, 1])
    first, second = take(state), take(state)
    last = after(3, (0, 3))
    died = state.fail(first, "no frame", None, events(EventKind.STAGE_FAILED))
    assert died.state == PipelineState.RUNNING
    assert state.commit(second, {1: KEY}, [after(2, (1, 1)), last], ()).ready == {"cpu": 1}
    ended = state.commit(take(state, "cpu"), {2: KEY}, [last], ())
    assert ended.state == PipelineState.FAILED
    record = state.pipeline("p")
    assert record
    assert record.error == "no frame"
    assert state.jobs("p").troubles == (Trouble(0, 1, "no frame", dead=True),)
    entries = state.log(0)
    assert [entry.event.kind for entry in entries] == ["StageFailed", "PipelineFailed"]
    assert entries[1].event.message == "no frame"


def test_the_first_dead_job_gives_the_pipelines_error(state: StateStore) -> None:
    start(state)
    first, second = take(state), take(state)
    state.fail(second, "second job, first death", None)
    assert state.fail(first, "later", None).state == PipelineState.FAILED
    record = state.pipeline("p")
    assert record
    assert record.error == "second job, first death"


def test_a_pipeline_without_a_job_to_run_does_not_hang(state: StateStore) -> None:
    start(state, jobs=2, ready=[0])
    assert state.commit(take(state), {0: KEY}, (), ()).state == PipelineState.FAILED
    record = state.pipeline("p")
    assert record
    assert record.error == STUCK


def test_an_admission_that_dies_fails_the_pipeline(state: StateStore) -> None:
    submit(state)
    progress = state.fail(take(state, "cpu"), "no such video", None)
    assert progress.state == PipelineState.FAILED
    assert state.jobs("p").troubles == (Trouble(ADMISSION, 1, "no such video", dead=True),)
    assert state.log(0)[0].event.message == "no such video"


def test_a_plan_that_is_done_already_completes_with_its_admission(state: StateStore) -> None:
    start(state, jobs=1, ready=[0])
    state.commit(take(state), {0: KEY}, (), ())
    state.move("p", PipelineState.QUEUED, (), expected=[PipelineState.COMPLETED])
    admit(state, jobs=1, ready=[], keep_done=True)
    assert state_of(state) == PipelineState.COMPLETED


def test_an_admission_once_more_changes_nothing(state: StateStore) -> None:
    submit(state)
    lease = admit(state)
    take(state)
    before = state.jobs("p")
    state.admit(lease, msgspec.structs.replace(_ADMISSION, jobs=9), events(EventKind.STAGE_FAILED))
    assert state.jobs("p") == before
    assert state.log(0) == []
    stale = msgspec.structs.replace(lease, token=lease.token - 1)
    with pytest.raises(LeaseError, match="has ended"):
        state.admit(stale, _ADMISSION, ())
