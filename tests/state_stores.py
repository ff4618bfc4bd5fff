"""What tests of the state stores share: a clock, a small plan, and short ways to say things."""

from collections.abc import Sequence

from application.ports import Artifact
from application.state import ADMISSION, Admission, Lease, PipelineRecord, Priority, StateStore
from domain.grid import END, Cell, Follower, Job, Plan, PlannedStage, Queue, Segment, Span
from domain.pipeline import DomainEvent, EventKind, PipelineState

KEY = "5f" * 32
PLAN = Artifact("a1" * 32, 70)
ERROR = "worker lost"


class Clock:
    """Time as the test sets it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def small_plan(segments: int) -> Plan:
    """Two source stages, two with carried state, one over the whole match."""
    cut = tuple(Segment(n, 10 * n, 10 * n + 10, float(n), n + 1.0) for n in range(segments))
    return Plan(
        (
            PlannedStage("detection", 1, "source", ("boxes",)),
            PlannedStage("pitch", 1, "source", ("lines",)),
            PlannedStage("tracking", 1, "timeline", ("tracks",), ("boxes", "lines")),
            PlannedStage("events", 1, "timeline", ("events",), ("tracks",)),
            PlannedStage("export", 1, "whole", ("files",), ("events",)),
        ),
        cut,
    )


def admission_of(plan: Plan, done: frozenset[int] = frozenset(), **facts: object) -> Admission:
    ready = tuple((job.number, plan.queue_of(job)) for job in plan.runnable(done))
    return Admission(PLAN, len(plan.jobs), len(plan.cells), ready, **facts)  # type: ignore[arg-type]


def events(*kinds: EventKind, pipeline_id: str = "p") -> tuple[DomainEvent, ...]:
    return tuple(DomainEvent(kind, pipeline_id) for kind in kinds)


def stage_started(stage: str, attempt: int = 0) -> DomainEvent:
    return DomainEvent(EventKind.STAGE_STARTED, "p", Cell(stage, 0), attempt)


def completed(job: int) -> tuple[DomainEvent, ...]:
    return (DomainEvent(EventKind.CELL_COMPLETED, "p", Cell("a", job), key=KEY),)


def after(number: int, *spans: Span, queue: Queue = "cpu") -> Follower:
    """The job of this number, which waits for those in `spans`."""
    return Follower(Job(number, (Cell("a", END),)), queue, spans)


def submit(
    state: StateStore, pipeline_id: str = "p", *, owner: str = "", priority: Priority = "normal"
) -> PipelineRecord:
    record = PipelineRecord(pipeline_id, "{}", owner=owner, priority=priority)
    return state.submit(record, ())


def take(state: StateStore, queue: Queue = "gpu", able: Sequence[str] = ()) -> Lease:
    """The next lease, for 10 s."""
    lease = state.claim(queue, able, "me", 10)
    assert lease
    return lease


def start(
    state: StateStore,
    pipeline_id: str = "p",
    *,
    jobs: int = 2,
    ready: Sequence[int] = (0, 1),
    priority: Priority = "normal",
    needs: dict[Queue, tuple[str, ...]] | None = None,
) -> None:
    """Submit and admit a pipeline whose jobs are one cell each, on the queue gpu."""
    submit(state, pipeline_id, priority=priority)
    admit(state, jobs=jobs, ready=ready, needs=needs)


def admit(
    state: StateStore,
    *,
    jobs: int = 2,
    ready: Sequence[int] = (0, 1),
    keep_done: bool = False,
    needs: dict[Queue, tuple[str, ...]] | None = None,
) -> Lease:
    lease = take(state, "cpu")
    assert lease.job == ADMISSION
    first: tuple[tuple[int, Queue], ...] = tuple((job, "gpu") for job in ready)
    state.admit(lease, Admission(PLAN, jobs, jobs, first, needs or {}, keep_done), ())
    return lease


def kinds(state: StateStore) -> list[str]:
    return [entry.event.kind.value for entry in state.log(0)]


def state_of(state: StateStore, pipeline_id: str = "p") -> PipelineState:
    record = state.pipeline(pipeline_id)
    assert record
    return record.state
