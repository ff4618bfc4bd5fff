"""Faults that a match brings itself, or that meet it from outside: poison, releases, clients."""

import random
import time
from functools import partial

from domain.errors import TransitionError
from domain.grid import Cell
from tests.faults.cluster import Program
from tests.faults.rig import Rig
from tests.faults.scenario import scenario

GROUP = "matches"
POISONED = "slow/2"


@scenario("a cell kills its process each time", GROUP, SLOW_S="0.1", SLOW_FRAMES_S="0.1")
def _poison(rig: Rig) -> None:
    """It is given up, the rest goes as far as it can; without the poison a retry completes."""
    poison = rig.cluster.folder / "poison"
    poison.touch()
    pool = ("--pool", "prefork", "--concurrency", "2")
    rig.cluster.worker("worker0", *pool, environment={"POISON": str(poison)})
    rig.cluster.beat()
    rig.ready(2)
    rig.submit()
    rig.wait_for("failed")
    plan = rig.cluster.plan(rig.pipeline_id)
    dead = [each for each in rig.cluster.jobs(rig.pipeline_id).troubles if each.dead]
    assert [str(plan.jobs[each.job]) for each in dead] == [POISONED]
    assert (dead[0].failures, "vanished" in dead[0].error) == (3, True)
    behind = {cell for cell in plan.cells if cell.stage == "slow" and cell.segment != 0}
    undone = {plan.job_of[cell].number for cell in behind} - {plan.job_of[Cell("slow", 1)].number}
    done = rig.cluster.jobs(rig.pipeline_id).done
    assert {job.number for job in plan.jobs} - done <= undone | rig.exports(plan)
    rig.notes.append(f"{POISONED} given up after {dead[0].failures} losses")
    poison.unlink()
    rig.cluster.service.retry(rig.pipeline_id)
    rig.kills += 3
    rig.finish()


def _another_release(rig: Rig, *, leave: bool) -> None:
    old = rig.cluster.worker("old")
    rig.cluster.beat()
    rig.ready(1)
    rig.submit()
    rig.held("slow/0")
    release = {"SLOW_VERSION": "2", "ORPHAN_S": "2"}
    new = rig.cluster.worker("new", crash=("nowhere", 1), environment=release)
    rig.ready(2)
    if leave:
        old.stop()
        left_at = time.time()
        rig.finish()
        rig.notes.append(f"planned again and done {time.time() - left_at:.0f} s after")
    else:
        rig.finish_first()
        _took_nothing(new)
        rig.finish()


def _took_nothing(worker: Program) -> None:
    assert "failed" not in worker.said()
    assert "goes back" not in worker.said()


@scenario("a worker with another version of a stage joins", GROUP, SLOW_S="1")
def _joins(rig: Rig) -> None:
    """It takes no job of the plan that the old version made."""
    _another_release(rig, leave=False)


@scenario("the last worker with the plan's version leaves", GROUP, SLOW_S="1")
def _leaves(rig: Rig) -> None:
    """The match is planned again for those that are there (60 s, here 2 s, after 30 s life)."""
    _another_release(rig, leave=True)


def _submit_killed(rig: Rig, point: str) -> None:
    """The client's repeat with the same key gives one match, which completes."""
    rig.cluster.worker("worker0")
    rig.cluster.worker("worker1")
    rig.cluster.beat()
    rig.ready(2)
    api = rig.cluster.run("api", "tests.faults.submit", "the-key", crash=(point, 1))
    rig.dies_by_itself([api])
    first = rig.submit(idempotency_key="the-key")
    assert rig.submit(idempotency_key="the-key") == first
    assert [each.pipeline_id for each in rig.cluster.state.pipelines()] == [first]
    rig.finish()


for _point in ("before submission", "submission kept", "submitted"):
    scenario(f"API killed in a submission: {_point}", GROUP, quick=_point == "submission kept")(
        partial(_submit_killed, point=_point)
    )


@scenario("cancelling races with the end", GROUP, SLOW_S="0", SLOW_FRAMES_S="0")
def _cancel(rig: Rig) -> None:
    """Each of 6 matches is either cancelled or completed, and its log says the same."""
    rig.start()
    rig.finish_first()
    ends = []
    for seed in range(6):
        rig.submit()
        rig.wait_for("running", "completed")
        time.sleep(random.Random(seed).uniform(0.0, 1.5))  # noqa: S311
        try:
            rig.cluster.service.cancel(rig.pipeline_id)
            ends.append("cancelled")
        except TransitionError:
            ends.append("completed")
        rig.wait_for(ends[-1])
        rig.check_log()
    rig.notes.append(f"{ends.count('cancelled')} cancelled, {ends.count('completed')} completed")
    rig.finish(ends[-1])


@scenario("two reconcilers at once, without pause", GROUP)
def _reconcilers(rig: Rig) -> None:
    for number in range(2):
        rig.cluster.run(f"reconciler{number}", "tests.faults.eager_reconciler")
    workers = rig.start()
    rig.kill(workers[0])
    rig.finish()
