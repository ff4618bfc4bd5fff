"""One contract for every state store: leases, commits and failures."""

import random

import pytest

from application.state import (
    ADMISSION,
    REOPEN_DELAY_S,
    REOPENED,
    Admission,
    JobStates,
    Lease,
    Progress,
    StateStore,
    Trouble,
)
from domain.errors import LeaseError
from domain.pipeline import EventKind, PipelineState
from tests.state_stores import (
    ERROR,
    KEY,
    PLAN,
    Clock,
    admission_of,
    admit,
    after,
    completed,
    events,
    kinds,
    small_plan,
    start,
    state_of,
    submit,
    take,
)

pytest_plugins = ["tests.state_fixtures"]


# -- leases


def test_a_leased_job_is_not_given_twice_and_each_token_is_above_the_last(
    state: StateStore, clock: Clock
) -> None:
    start(state)
    first, second = take(state), take(state)
    assert (first.job, second.job) == (0, 1)
    assert second.token > first.token > state.generation << 32
    assert state.claim("gpu", (), "other", 10) is None
    assert state.jobs("p").leased == {0: "me", 1: "me"}
    clock.now += 11
    assert state.claim("gpu", (), "other", 10) is None  # only `expire` ends a lease
    assert state.renew(first, 10)


def test_a_stalled_workers_late_commit_is_refused_and_changes_nothing(
    state: StateStore, clock: Clock
) -> None:
    start(state, jobs=1, ready=[0])
    stalled = take(state)
    clock.now += 10
    assert state.expire(3, ERROR) == 1
    other = take(state)
    assert (other.job, other.losses, other.failures) == (0, 1, 0)
    assert other.token > stalled.token
    with pytest.raises(LeaseError, match=f"lease {stalled.token} has ended"):
        state.commit(stalled, {0: "00" * 31 + "11"}, (), completed(0))
    assert not state.renew(stalled, 10)
    state.give_back(stalled)
    state.fail(stalled, "late", None)
    state.reopen(stalled, 0, "gpu")
    assert (state.keys("p", [0]), state.log(0)) == ([""], [])
    assert state.jobs("p").leased == {0: "me"}
    state.commit(other, {0: KEY}, (), ())
    assert state.keys("p", [0]) == [KEY]


def test_a_renewed_lease_lasts(state: StateStore, clock: Clock) -> None:
    start(state)
    lease = take(state)
    clock.now += 9
    assert state.renew(lease, 10)
    clock.now += 9
    assert state.expire(3, ERROR) == 0
    clock.now += 1
    assert state.expire(3, ERROR) == 1
    assert not state.renew(lease, 10)


def test_a_job_that_is_given_back_is_as_if_never_taken(state: StateStore) -> None:
    start(state)
    lease = take(state)
    before = state.jobs("p")
    state.give_back(lease)
    assert state.jobs("p").ready == before.ready | {lease.job}
    again = take(state)
    assert (again.job, again.failures, again.losses) == (lease.job, 0, 0)


def test_a_queue_gets_its_own_jobs_and_the_first_of_them(state: StateStore) -> None:
    submit(state)
    admission = Admission(PLAN, 4, 4, ((3, "gpu"), (2, "cpu"), (1, "gpu")))
    state.admit(take(state, "cpu"), admission, ())
    assert (take(state).job, take(state).job, take(state, "cpu").job) == (1, 3, 2)


# -- commits


def test_a_follower_is_ready_when_all_its_spans_are_done(state: StateStore) -> None:
    """As an END cell, which waits for all passes, here 70, and for one more job."""
    start(state, jobs=72, ready=range(71))
    last = after(71, (0, 70), (70, 1))
    order = list(range(71))
    random.Random(1).shuffle(order)  # noqa: S311
    leases = [take(state) for _ in range(71)]
    answers = [state.commit(leases[n], {n: KEY}, [last], ()) for n in order]
    assert answers[:-1] == [Progress()] * 70
    assert answers[-1] == Progress({"cpu": 1})
    assert state.jobs("p").ready == {71}


def test_a_follower_that_is_ready_leased_delayed_dead_or_done_does_not_become_ready(
    state: StateStore,
) -> None:
    start(state, jobs=7, ready=range(6))
    followers = [after(n, (0, 1), queue="gpu") for n in range(1, 6)]
    first, leased, delayed, dead, done = (take(state) for _ in range(5))
    state.fail(delayed, "it", 5.0)
    state.fail(dead, "it", None)
    state.commit(done, {4: KEY}, (), ())
    assert state.commit(first, {0: KEY}, followers, ()) == Progress()
    jobs = state.jobs("p")
    assert jobs == JobStates(frozenset({0, 4}), frozenset({5}), {leased.job: "me"}, jobs.troubles)


def test_a_commit_once_more_changes_nothing_and_is_no_error(state: StateStore) -> None:
    """Its answer was lost on the way; the last one may even have completed the pipeline."""
    start(state)
    first, second = take(state), take(state)
    for lease, expected in ((first, PipelineState.RUNNING), (second, PipelineState.COMPLETED)):
        for _ in range(2):
            progress = state.commit(lease, {lease.job: KEY}, (), completed(lease.job))
            assert progress.state == expected
    assert kinds(state) == ["CellCompleted", "CellCompleted", "PipelineCompleted"]
    assert state.commit(first, {0: KEY}, (), ()).state == PipelineState.COMPLETED
    stale = Lease("p", 0, first.token - 1)
    with pytest.raises(LeaseError):
        state.commit(stale, {0: KEY}, (), ())


def test_a_commit_after_a_retry_with_another_plan_is_no_repetition(state: StateStore) -> None:
    start(state)
    lease = take(state)
    state.commit(lease, {0: KEY}, (), ())
    state.move("p", PipelineState.QUEUED, (), expected=[PipelineState.RUNNING])
    admit(state, keep_done=False)
    with pytest.raises(LeaseError):
        state.commit(lease, {0: KEY}, (), ())


def test_the_keys_of_a_jobs_cells_are_kept_by_number(state: StateStore) -> None:
    submit(state)
    state.admit(take(state, "cpu"), Admission(PLAN, 2, 5, ((0, "gpu"),)), ())
    keys = {number: f"{number:064x}" for number in (1, 2, 4)}
    state.commit(take(state), keys, [after(1, (0, 1))], ())
    assert state.keys("p", [4, 3, 2, 1, 0]) == [keys[4], "", keys[2], keys[1], ""]
    assert state.keys("nobody", [0]) == [""]


def test_a_lost_result_is_made_again_and_told_once(state: StateStore, clock: Clock) -> None:
    start(state, jobs=2, ready=[0])
    followers = [after(1, (0, 1))]
    state.commit(take(state), {0: KEY}, followers, completed(0))
    reader = take(state, "cpu")
    state.reopen(reader, 0, "gpu")
    jobs = state.jobs("p")
    waits = (Trouble(1, 0, REOPENED, dead=False),)
    assert jobs == JobStates(ready=frozenset({0}), troubles=waits)
    assert not state.renew(reader, 10)
    assert state.commit(take(state), {0: KEY}, followers, completed(0)).ready == {}
    assert state.claim("cpu", (), "me", 10) is None
    clock.now += REOPEN_DELAY_S
    assert state.expire(3, ERROR) == 1
    state.commit(take(state, "cpu"), {1: KEY}, (), ())
    assert kinds(state) == ["CellCompleted", "PipelineCompleted"]


def test_two_that_miss_the_same_result_have_it_made_once(state: StateStore, clock: Clock) -> None:
    start(state, jobs=3, ready=[0])
    followers = [after(1, (0, 1)), after(2, (0, 1))]
    state.commit(take(state), {0: KEY}, followers, ())
    readers = [take(state, "cpu"), take(state, "cpu")]
    state.reopen(readers[0], 0, "gpu")
    maker = take(state)
    state.reopen(readers[1], 0, "gpu")
    assert state.claim("gpu", (), "me", 10) is None
    state.commit(maker, {0: KEY}, followers, ())
    clock.now += REOPEN_DELAY_S
    assert state.expire(3, ERROR) == 2


def test_behind_a_dead_job_nothing_goes_round_in_circles(state: StateStore, clock: Clock) -> None:
    start(state, jobs=2, ready=[0])
    state.commit(take(state), {0: KEY}, [after(1, (0, 1))], ())
    state.reopen(take(state, "cpu"), 0, "gpu")
    state.fail(take(state), "gone", None)
    clock.now += REOPEN_DELAY_S
    assert state.expire(3, ERROR) == 1
    assert state_of(state) == PipelineState.RUNNING
    state.reopen(take(state, "cpu"), 0, "gpu")
    assert state_of(state) == PipelineState.FAILED


# -- failures


def test_a_failed_job_comes_back_after_its_delay(state: StateStore, clock: Clock) -> None:
    start(state, jobs=2, ready=[0])
    assert state.fail(take(state), "disk: full", 5.0) == Progress()
    assert state.claim("gpu", (), "me", 10) is None
    assert state.jobs("p").troubles == (Trouble(0, 1, "disk: full", dead=False),)
    clock.now += 4
    assert state.expire(3, ERROR) == 0
    clock.now += 1
    assert state.expire(3, ERROR) == 1
    lease = take(state)
    assert (lease.job, lease.failures, lease.losses) == (0, 1, 0)
    assert state.fail(lease, "again", 0.0).ready == {"gpu": 1}
    assert take(state).failures == 2


def test_a_commit_ends_the_trouble(state: StateStore) -> None:
    start(state, jobs=2, ready=[0])
    state.fail(take(state), "it", 0.0)
    state.commit(take(state), {0: KEY}, [after(1, (0, 1))], ())
    assert state.jobs("p").troubles == ()
    state.reopen(take(state, "cpu"), 0, "gpu")
    assert take(state).failures == 0


def test_losses_are_counted_apart_and_kill_the_job(state: StateStore, clock: Clock) -> None:
    """A poison job loses its worker each time; the rest of the pipeline goes on."""
    start(state)
    state.fail(take(state), "it", 0.0)
    state.fail(take(state), "child died", 0.0, lost=True)
    lease = take(state)
    assert (lease.job, lease.failures, lease.losses) == (0, 1, 1)
    clock.now += 10
    assert state.expire(2, ERROR) == 0
    assert state.jobs("p").troubles == (Trouble(0, 3, ERROR, dead=True),)
    assert state_of(state) == PipelineState.RUNNING
    assert state.commit(take(state), {1: KEY}, (), ()).state == PipelineState.FAILED
    assert state.log(0)[-1].event.message == ERROR


def test_an_expired_admission_is_taken_again(state: StateStore, clock: Clock) -> None:
    submit(state)
    take(state, "cpu")
    clock.now += 10
    assert state.expire(3, ERROR) == 1
    lease = take(state, "cpu")
    assert (lease.job, lease.losses) == (ADMISSION, 1)
    state.fail(lease, "storage away", 5.0)
    assert state.ready("cpu")["normal"] == 0
    clock.now += 5
    assert state.expire(3, ERROR) == 1
    assert take(state, "cpu").failures == 1


def test_the_death_of_a_job_is_logged_a_try_is_not(state: StateStore) -> None:
    start(state)
    state.fail(take(state), "it", 0.0, events(EventKind.STAGE_FAILED))
    assert kinds(state) == []
    state.fail(take(state), "it", None, events(EventKind.STAGE_FAILED))
    assert kinds(state) == ["StageFailed"]


def test_one_caller_is_alone_in_a_stretch(state: StateStore, clock: Clock) -> None:
    assert state.alone("reconcile", 10)
    assert not state.alone("reconcile", 10)
    assert state.alone("collect", 10)
    clock.now += 10
    assert state.alone("reconcile", 10)


# -- a whole match


def test_whatever_the_order_every_job_is_done_once_after_what_it_waits_for(
    state: StateStore,
) -> None:
    plan = small_plan(6)
    submit(state)
    state.admit(take(state, "cpu"), admission_of(plan), ())
    chance, done = random.Random(3), list[int]()  # noqa: S311
    while state_of(state) == PipelineState.RUNNING:
        held = [state.claim(queue, (), "me", 10) for queue in ("gpu", "gpu", "cpu", "cpu")]
        leases = [lease for lease in held if lease]
        assert leases
        for lease in chance.sample(leases, len(leases)):
            job = plan.jobs[lease.job]
            needed = {plan.job_of[n].number for c in job.cells for n in plan.requirements(c)}
            assert needed - {job.number} <= set(done)
            keys = {plan.cell_numbers[cell]: KEY for cell in job.cells}
            state.commit(lease, keys, plan.followers(job), ())
            done.append(lease.job)
    assert sorted(done) == list(range(len(plan.jobs)))
    assert state.keys("p", range(len(plan.cells))) == [KEY] * len(plan.cells)


def test_threads_share_a_store(state: StateStore) -> None:
    from concurrent.futures import ThreadPoolExecutor

    start(state, jobs=40, ready=range(40))

    def work(_: int) -> int:
        lease = take(state)
        state.commit(lease, {lease.job: KEY}, (), completed(lease.job))
        return lease.job

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(work, range(40))) == list(range(40))
    assert state_of(state) == PipelineState.COMPLETED
    assert kinds(state).count("PipelineCompleted") == 1
