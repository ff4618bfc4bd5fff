"""The pipelines' state as a port: what is queued, what may run, who holds it, what happened.

The state decides what is next; whatever wakes a worker is only an invitation to ask it. Everything
in it can be rebuilt from the artifact store.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from application.ports import Artifact
from domain.grid import Follower, Queue
from domain.pipeline import DomainEvent, PipelineState

Priority = Literal["urgent", "high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("urgent", "high", "normal", "low")
ADMISSION = -1
"""The job that opens a queued pipeline's input and plans it."""
WORKER_LIFE_S = 30.0
STUCK = "none of its jobs can run any more: retry the pipeline"
"""The error of a pipeline that stopped with no dead job to blame."""


STORY_LENGTH = 1000
"""How many of its last state changes are kept with a pipeline."""
REOPEN_DELAY_S = 1.0
REOPENED = "something that it reads is gone and made anew"


class PipelineRecord(msgspec.Struct, frozen=True):
    """What the store keeps of a pipeline; `configuration` is a JSON text, times are Unix seconds.

    `plan` names the artifact with the frozen plan, from the first admission on. `error` is the
    first that ended a job for good.
    """

    pipeline_id: str
    configuration: str
    state: PipelineState = PipelineState.QUEUED
    owner: str = ""
    priority: Priority = "normal"
    attempt: int = 0
    error: str = ""
    plan: Artifact | None = None
    submitted_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    traceparent: str = ""


class Lease(msgspec.Struct, frozen=True):
    """The right to do one job. `token` is above every token given before, for any job.

    It lasts until its job is done, failed, given back or reopens another, until the pipeline's
    state is changed from outside, or until `expire` finds its time over. `failures` counts the
    tries at this job that failed since it was last done, `losses` those in which the worker
    vanished.
    """

    pipeline_id: str
    job: int
    token: int
    failures: int = 0
    losses: int = 0


class LogEntry(msgspec.Struct, frozen=True):
    """A domain event in the log.

    `number` is global: it rises and is never used twice, though it may leave gaps. `sequence`
    counts the pipeline's own entries from 1 without a gap, and `change` those among them that
    change the state of a stage or of the pipeline, all but CellCompleted: the number of this one
    or, where it is none, of the last before.
    """

    number: int
    sequence: int
    time: float
    event: DomainEvent
    traceparent: str = ""
    change: int = 0


class Change(msgspec.Struct, frozen=True):
    """A state change in a pipeline's story; they are numbered from 1 without a gap."""

    number: int
    time: float
    event: DomainEvent


class Trouble(msgspec.Struct, frozen=True):
    """A job that failed and is not done: how often, losses among them, the last reason, and
    whether it is given up (`dead`) or tried again.
    """

    job: int
    failures: int
    error: str
    dead: bool


class JobStates(msgspec.Struct, frozen=True):
    """Where a pipeline's jobs stand. A job in none of these waits for others."""

    done: frozenset[int] = frozenset()
    ready: frozenset[int] = frozenset()
    leased: dict[int, str] = {}
    """The holder of each leased job."""
    troubles: tuple[Trouble, ...] = ()


class Admission(msgspec.Struct, frozen=True):
    """A frozen plan as the state needs it.

    `ready` are the jobs whose requirements are done, with the queue of each. `needs` says, for
    each queue, what a worker must be able to do to take the pipeline's jobs. With `keep_done` it
    is the plan of the attempt before, and what that finished stays done; else it is forgotten.
    """

    plan: Artifact
    jobs: int
    cells: int
    ready: tuple[tuple[int, Queue], ...]
    needs: dict[Queue, tuple[str, ...]] = {}
    keep_done: bool = False


class Progress(msgspec.Struct, frozen=True):
    """A pipeline after one of its jobs ended: how many became ready, by queue, and its state."""

    ready: dict[Queue, int] = {}
    state: PipelineState = PipelineState.RUNNING


class WorkerRecord(msgspec.Struct, frozen=True):
    """A live worker process: the queues that it serves and what it is able to do."""

    worker: str
    queues: tuple[Queue, ...]
    able: tuple[str, ...]
    seen_at: float = 0.0


class StateStore(Protocol):
    """State and log of all pipelines. Every method is atomic.

    Any method may raise ResourceError when the store cannot be reached or written, and
    StateLostError when it has forgotten everything and must be rebuilt by `begin`.
    """

    def begin(self, generation: int) -> None:
        """Make an empty store usable: tokens and log numbers start above generation << 32."""

    @property
    def generation(self) -> int:
        """The generation that tokens and numbers belong to now."""

    def lift(self, number: int) -> None:
        """Go on to the generation above that of `number`, the entries not yet read too."""

    # -- pipelines

    def submit(self, record: PipelineRecord, events: Sequence[DomainEvent]) -> PipelineRecord:
        """Keep a new pipeline; a queued one then waits for its admission.

        Where the id is known already nothing changes. The record that counts is returned.
        """

    def pipeline(self, pipeline_id: str) -> PipelineRecord | None: ...

    def pipelines(
        self,
        *,
        owner: str | None = None,
        state: PipelineState | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Sequence[PipelineRecord]:
        """The pipelines that fit, the latest submission first."""

    def move(
        self,
        pipeline_id: str,
        state: PipelineState,
        events: Sequence[DomainEvent],
        *,
        expected: Collection[PipelineState],
        error: str = "",
        attempt: int = 0,
    ) -> None:
        """Change the pipeline's state from outside: cancel, fail, or queue it once more.

        All its leases end and nothing is ready. Into `queued` its error and all troubles are
        forgotten and it waits for admission, in the order of its first submission; what is done
        stays done. Without an `error` or an `attempt` the record keeps the one that it has.

        Raises:
            TransitionError: its state is none of the expected ones, or it does not exist.
        """

    def remove(self, pipeline_id: str) -> None:
        """Forget a pipeline; its log entries stay until they are trimmed.

        Raises:
            TransitionError: it is running.
        """

    def forget_cells(self, pipeline_id: str) -> None:
        """Drop what is kept of a finished pipeline's jobs and cells; its record stays.

        Nothing happens unless it is finished.
        """

    # -- jobs

    def claim(
        self, queue: Queue, able: Collection[str], holder: str, seconds: float
    ) -> Lease | None:
        """Take the next job of the queue that this worker is able to do.

        An urgent pipeline comes before a high one and so on; among equals the one with the fewest
        leased jobs, then the one admitted first. Admissions are jobs of the queue `cpu`; of equal
        priority they come first, in the order of submission, as far as the caps allow.
        """

    def admit(self, lease: Lease, admission: Admission, events: Sequence[DomainEvent]) -> None:
        """Start the pipeline whose admission is leased: its state becomes running.

        The same admission once more changes nothing.

        Raises:
            LeaseError: the lease has ended; nothing was changed.
        """

    def started(self, pipeline_id: str, events: Sequence[DomainEvent]) -> None:
        """Log those StageStarted events whose stage has none in this attempt yet.

        Nothing happens unless the pipeline is running.
        """

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold the lease for `seconds` from now; False when it has ended."""

    def give_back(self, lease: Lease) -> None:
        """Let the job go, as if it had never been taken; nothing happens when the lease ended."""

    def fail(
        self,
        lease: Lease,
        error: str,
        retry_in_s: float | None,
        events: Sequence[DomainEvent] = (),
        *,
        lost: bool = False,
    ) -> Progress:
        """A try at the job failed: ready again after a while, or dead where that is None.

        The while is over when `expire` finds it so; with zero the job is ready at once.
        `lost` says that the process which did it died; that is counted by itself, as by `expire`.

        With the job's death `events` are logged. When nothing of the pipeline can run any more its
        state becomes failed, with the first dead job's error, and PipelineFailed is logged. A
        lease that has ended changes nothing.
        """

    def commit(
        self,
        lease: Lease,
        keys: Mapping[int, str],
        followers: Sequence[Follower],
        events: Sequence[DomainEvent],
    ) -> Progress:
        """The job is done: keep the key of each of its cells, by the cell's number in the plan.

        A follower whose spans are all done becomes ready, unless it is done, ready, leased,
        delayed or dead. `events` are logged the first time this job is done. With the last job the
        state becomes completed, and PipelineCompleted is logged; when only dead jobs and those
        behind them are left it becomes failed, as by `fail`. The same commit once more (its answer
        was lost on the way) changes nothing and answers as before, or without the ready jobs.

        Raises:
            LeaseError: the lease has ended; nothing was changed.
        """

    def reopen(self, lease: Lease, lost: int, queue: Queue) -> None:
        """What job `lost` left is gone: it is ready again, if it was done.

        The leased job comes again after REOPEN_DELAY_S, and so on until the lost one is done; that
        counts as no failure. Behind a lost job that is dead it waits as all others do.
        """

    def expire(self, max_losses: int, error: str) -> int:
        """End the leases whose time is over, and wake the jobs whose delay is.

        An expired lease is a loss with `error`; with the `max_losses`-th loss of a job it is dead.
        Losses are counted apart from other failures. Returns how many jobs became ready.
        """

    def ready(self, queue: Queue) -> Mapping[Priority, int]:
        """How many jobs may be claimed now, admissions among them."""

    def keys(self, pipeline_id: str, cells: Sequence[int]) -> Sequence[str]:
        """The keys of the cells with these numbers; empty where a cell was never done.

        A cell that was reopened has its last key until it is done again.
        """

    def jobs(self, pipeline_id: str) -> JobStates: ...

    def report(self, lease: Lease, frames: int) -> None:
        """So many frames of the leased job are through; the last report counts.

        Forgotten with the lease's end, after which it changes nothing.
        """

    def frames_reported(self, pipeline_id: str) -> Mapping[int, int]:
        """What was last reported of each leased job, by the job's number."""

    def alone(self, name: str, seconds: float, holder: str = "") -> bool:
        """True for one caller in each stretch of `seconds`: who does what one is enough for.

        A named `holder` may ask again, and has it for `seconds` from then.
        """

    # -- workers

    def register(self, worker: WorkerRecord) -> None:
        """Say that the worker lives; it counts as gone WORKER_LIFE_S after the last time."""

    def workers(self) -> Sequence[WorkerRecord]: ...

    # -- log

    @property
    def last_number(self) -> int:
        """Entries that are still to come have higher numbers."""

    def story(self, pipeline_id: str, after: int = 0) -> Sequence[Change]:
        """The pipeline's changes with numbers above `after`, in order.

        The last STORY_LENGTH are kept as long as its record, however the log is trimmed.
        """

    def log(self, after: int, limit: int = 1000) -> Sequence[LogEntry]:
        """Entries with numbers above `after`, in order."""

    def read_up_to(self, reader: str, number: int) -> None:
        """Keep how far a reader of the log has come; it never goes back."""

    def readers(self) -> Mapping[str, int]: ...

    def trim(self, number: int) -> None:
        """Forget the entries up to `number`."""

    def close(self) -> None: ...
