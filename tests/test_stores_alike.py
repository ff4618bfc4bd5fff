"""Both state stores are given the same random operations and must answer alike."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from application.state import ADMISSION, PRIORITIES, Lease, PipelineRecord, StateStore, WorkerRecord
from domain.errors import FootAnalyticsError
from domain.grid import Cell, Queue
from domain.pipeline import DomainEvent, EventKind, PipelineState
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.sqlite import SQLiteStateStore
from tests.state_stores import ERROR, KEY, Clock, admission_of, small_plan

QUEUES: tuple[Queue, ...] = ("cpu", "gpu")
CAPS = {"max_running": 3, "max_per_owner": 2}
NAMES = [f"p{number}" for number in range(7)]
OPERATIONS = {
    "submit": 3,
    "claim": 16,
    "finish": 16,
    "fail": 2,
    "give_back": 1,
    "renew": 1,
    "reopen": 2,
    "stale": 1,
    "started": 1,
    "expire": 2,
    "later": 2,
    "move": 1,
    "remove": 1,
    "forget": 1,
    "read": 2,
    "lift": 1,
    "register": 1,
}


class Twins:
    """One operation at a time on both stores; the answers are compared without their tokens."""

    def __init__(self, pair: tuple[StateStore, StateStore], clock: Clock, seed: int) -> None:
        self.pair = pair
        self.clock = clock
        self.random = random.Random(seed)  # noqa: S311
        self.leases: list[tuple[Lease, Lease]] = []
        self.plans = {name: small_plan(self.random.randint(1, 3)) for name in NAMES}

    def both(self, method: str, *arguments: Any, leases: Any = None, **named: Any) -> Any:
        """What the first store answers; the second must answer the same."""
        answers = []
        for which, store in enumerate(self.pair):
            own = (leases[which], *arguments) if leases else arguments
            try:
                answers.append(getattr(store, method)(*own, **named))
            except FootAnalyticsError as error:
                answers.append(type(error))
        if method == "claim" and all(answers):
            self.leases.append((answers[0], answers[1]))
            answers = [(each.pipeline_id, each.job, each.failures, each.losses) for each in answers]
        assert answers[0] == answers[1], (method, arguments, named)
        return answers[0]

    def step(self) -> None:
        name = self.random.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]
        getattr(self, f"do_{name}")()
        for queue in QUEUES:
            self.both("ready", queue)
        self.both("pipelines")
        for pipeline_id in self.random.sample(NAMES, 2):
            self.both("jobs", pipeline_id)
            self.both("pipeline", pipeline_id)

    def do_submit(self) -> None:
        record = PipelineRecord(
            self.random.choice(NAMES),
            "{}",
            owner=self.random.choice(["", "club", "scout"]),
            priority=self.random.choice(PRIORITIES),
            traceparent=f"00-{self.random.randrange(9)}",
        )
        self.both("submit", record, _events(record.pipeline_id, EventKind.PIPELINE_SUBMITTED))

    def do_claim(self) -> None:
        able = self.random.choice([("f32",), ("f32", "big"), ("f32", "big")])
        queue = self.random.choice(QUEUES)
        self.both("claim", queue, able, "w", self.random.choice([5.0, 20.0]))

    def do_finish(self) -> None:
        """Admit or commit; a lease that has ended is among them."""
        if not self.leases:
            return
        pair = self.leases.pop(self.random.randrange(len(self.leases)))
        plan, pipeline_id = self.plans[pair[0].pipeline_id], pair[0].pipeline_id
        if pair[0].job == ADMISSION:
            keep = self.random.random() < 0.7
            done = self.pair[0].jobs(pipeline_id).done if keep else frozenset[int]()
            needs = self.random.choice([{}, {"gpu": ("f32",)}, {"cpu": ("f32", "big")}])
            admission = admission_of(plan, done, needs=needs, keep_done=keep)
            self.both("admit", admission, _events(pipeline_id), leases=pair)
            return
        job = plan.jobs[pair[0].job]
        keys = {plan.cell_numbers[cell]: KEY for cell in job.cells}
        events = [DomainEvent(EventKind.CELL_COMPLETED, pipeline_id, c, key=KEY) for c in job.cells]
        followers = plan.followers(job)
        self.both("commit", keys, followers, events, leases=pair)
        if self.random.random() < 0.3:
            self._repeat(keys, followers, events, pair)
        self.both("keys", pipeline_id, range(len(plan.cells)))

    def _repeat(self, *commit: Any) -> None:
        *arguments, pair = commit
        self.both("commit", *arguments, leases=pair)

    def do_fail(self) -> None:
        if self.leases:
            pair = self.leases.pop(self.random.randrange(len(self.leases)))
            delay = self.random.choice([None, 0.0, 0.0, 4.0, 4.0, 4.0])
            events = _events(pair[0].pipeline_id, EventKind.STAGE_FAILED)
            lost = self.random.random() < 0.3
            error = f"it: {self.random.randrange(9)}"
            self.both("fail", error, delay, events, leases=pair, lost=lost)

    def do_give_back(self) -> None:
        if self.leases:
            self.both("give_back", leases=self.leases.pop())

    def do_renew(self) -> None:
        if self.leases:
            self.both("renew", 15.0, leases=self.random.choice(self.leases))

    def do_reopen(self) -> None:
        """One of the jobs that the leased one has waited for is lost."""
        for pair in self.leases:
            plan, job = self.plans[pair[0].pipeline_id], pair[0].job
            waited = [
                other
                for other in plan.jobs
                if job != ADMISSION and job in {f.job.number for f in plan.followers(other)}
            ]
            if waited:
                lost = self.random.choice(waited)
                self.leases.remove(pair)
                self.both("reopen", lost.number, plan.queue_of(lost), leases=pair)
                return

    def do_stale(self) -> None:
        """A lease that was never given."""
        lease = Lease(self.random.choice(NAMES), self.random.randrange(5), 7)
        self.both("commit", {}, (), (), leases=(lease, lease))
        self.both("renew", 5.0, leases=(lease, lease))
        self.both("give_back", leases=(lease, lease))

    def do_started(self) -> None:
        pipeline_id = self.random.choice(NAMES)
        stages = self.random.sample(["detection", "pitch", "tracking"], 2)
        kind = EventKind.STAGE_STARTED
        events = [DomainEvent(kind, pipeline_id, Cell(stage, 0)) for stage in stages]
        self.both("started", pipeline_id, events)

    def do_expire(self) -> None:
        self.both("expire", 3, ERROR)

    def do_later(self) -> None:
        self.clock.now += self.random.choice([0.5, 3.0, 9.0])

    def do_move(self) -> None:
        pipeline_id = self.random.choice(NAMES)
        target, expected = self.random.choice(
            [
                (PipelineState.CANCELLED, [PipelineState.QUEUED, PipelineState.RUNNING]),
                (PipelineState.QUEUED, [PipelineState.FAILED, PipelineState.CANCELLED]),
                (PipelineState.QUEUED, list(PipelineState)),
                (PipelineState.FAILED, [PipelineState.RUNNING]),
            ]
        )
        kind = EventKind.PIPELINE_RETRIED
        error = self.random.choice(["", "too long"])
        attempt = self.random.choice([0, 3])
        self.both(
            *("move", pipeline_id, target, _events(pipeline_id, kind)),
            expected=expected,
            error=error,
            attempt=attempt,
        )

    def do_remove(self) -> None:
        self.both("remove", self.random.choice(NAMES))

    def do_forget(self) -> None:
        self.both("forget_cells", self.random.choice(NAMES))

    def do_read(self) -> None:
        owner, state = (
            self.random.choice([None, "club", ""]),
            self.random.choice([None, *PipelineState]),
        )
        page = {"offset": self.random.randrange(3), "limit": self.random.randrange(1, 4)}
        self.both("pipelines", owner=owner, state=state, **page)

    def do_lift(self) -> None:
        """The relay has read half of what there is; then the numbers are raised."""
        logs = [store.log(0) for store in self.pair]
        for store, log in zip(self.pair, logs, strict=True):
            if log and self.random.random() < 0.5:
                store.read_up_to("relay", log[len(log) // 2].number)
        for store, log in zip(self.pair, logs, strict=True):
            if log:
                store.lift(log[-1].number)
                assert [entry.event for entry in store.log(0)] == [entry.event for entry in log]

    def do_register(self) -> None:
        self.both("register", WorkerRecord(self.random.choice("abc"), ("cpu",), ("f32",)))
        self.both("workers")


def _events(pipeline_id: str, *kinds: EventKind) -> list[DomainEvent]:
    return [DomainEvent(kind, pipeline_id) for kind in kinds or (EventKind.PIPELINE_STARTED,)]


def _story(store: StateStore) -> dict[str, list[Any]]:
    """Each pipeline's own log; leases that expire at one time may do so in any order."""
    story: dict[str, list[Any]] = {}
    for entry in store.log(0, 100_000):
        story.setdefault(entry.event.pipeline_id, []).append(
            (entry.sequence, entry.time, entry.event, entry.traceparent)
        )
    return story


@pytest.fixture
def twins(tmp_path: Path, redis_url: str) -> Iterator[Callable[[int], Twins]]:
    """Makes an empty pair of stores for a seed."""
    with ExitStack() as until:

        def make(seed: int) -> Twins:
            clock = Clock()
            first = SQLiteStateStore(tmp_path / f"{seed}.sqlite", clock, **CAPS)
            second = RedisStateStore(redis_url, f"t{seed}:", clock, **CAPS)
            until.callback(first.close)
            until.callback(second.close)
            second.begin(1)
            return Twins((first, second), clock, seed)

        yield make


def test_both_stores_answer_alike_whatever_is_asked(twins: Callable[[int], Twins]) -> None:
    ends = set()
    for seed in range(5):
        pair = twins(seed)
        for _ in range(600):
            pair.step()
        stories = [_story(store) for store in pair.pair]
        assert stories[0] == stories[1]
        ends |= {event.kind for story in stories[0].values() for _, _, event, _ in story}
    assert {EventKind.PIPELINE_COMPLETED, EventKind.PIPELINE_FAILED} <= ends, "too tame a run"
