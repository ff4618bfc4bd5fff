"""Does jobs: takes what the state says is next, does it under a lease, commits or reports."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from application import retry
from application.admission import Admitter
from application.hold import Hold, Renewer
from application.instruments import NONE, Instruments
from application.ledger import Ledger
from application.match import Matches, OpenMatch
from application.ports import Checkpoint
from application.progress import FrameReports
from application.state import ADMISSION, Lease, Priority, Progress, StateStore
from application.task import Task, as_ours, one_line
from domain.errors import (
    ArtifactError,
    FootAnalyticsError,
    LeaseError,
    LostCellError,
    ResourceError,
    StateLostError,
    StoppedError,
    VersionError,
)
from domain.grid import Cell, Queue
from domain.pipeline import FINISHED, PipelineState

_log = logging.getLogger(__name__)
_PAUSE_S = 0.5
Invite = Callable[[Queue, Priority, int], None]
"""Tells workers of the queue that so many jobs wait for them."""


@dataclass(frozen=True)
class Ability:
    """Who this worker is, what it is able to do, and how long its leases are."""

    holder: str
    able: Collection[str]
    lease_s: float = 30.0


class Worker:
    """One process's hands: one job at a time."""

    def __init__(
        self,
        state: StateStore,
        ledger: Ledger,
        matches: Matches,
        admitter: Admitter,
        ability: Ability,
        renewer: Renewer,
        invite: Invite,
        instruments: Instruments = NONE,
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._matches = matches
        self._admitter = admitter
        self._ability = ability
        self._renewer = renewer
        self._invite = invite
        self._instruments = instruments
        self._told: set[tuple[object, ...]] = set()

    def take(self, queue: Queue) -> bool:
        """Do one job of the queue; False when there is none for this worker."""
        ability = self._ability
        lease = self._state.claim(queue, ability.able, ability.holder, ability.lease_s)
        if lease is None:
            return False
        with self._renewer.holding(lease) as hold:
            try:
                with self._instruments.job(lease, queue):
                    self._do(hold)
            except (StoppedError, VersionError) as error:
                _log.info("%s goes back: %s", _name(lease), error)
                self._state.give_back(lease)
            except LeaseError as error:
                _log.warning("%s: %s", _name(lease), error)
        return True

    def _do(self, hold: Hold) -> None:
        if hold.lease.job == ADMISSION:
            self._admit(hold.lease)
        else:
            self._work(hold)

    def _admit(self, lease: Lease) -> None:
        try:
            admission = self._admitter.admit(lease)
        except (LeaseError, StateLostError, VersionError):
            raise
        except Exception as error:  # the task's edge
            reason = as_ours(error)
            delay = retry.delay_s(reason, lease)
            self._report(lease, reason, delay)
            self._ended(lease, self._state.fail(lease, one_line(reason), delay))
        else:
            queues = [queue for _, queue in admission.ready]
            self._tell(lease, {queue: queues.count(queue) for queue in set(queues)})

    def _work(self, hold: Hold) -> None:
        match = self._opened(hold.lease)
        if match is None:
            return
        task = Task(self._state, match, hold.lease)
        self._instruments.opened(task)
        try:
            self._tell_started(task)
            kept = task.keep(self._make(task, hold))
            progress = self._commit(task, kept, hold)
        except (LeaseError, StateLostError, VersionError, StoppedError):
            raise
        except LostCellError as error:
            _log.warning("%s: %s", _name(hold.lease), error)
            lost = Cell(error.stage, error.segment)
            self._instruments.reopened(lost)
            task.reopen(lost)
            self._tell(hold.lease, {"gpu": 1, "cpu": 1})
        except Exception as error:  # the task's edge: a stage's own fault becomes the job's
            reason = as_ours(error, task.job)
            delay = retry.delay_s(reason, hold.lease)
            self._report(hold.lease, reason, delay)
            self._ended(hold.lease, task.fail(reason, delay))
        else:
            self._tell(hold.lease, progress.ready)
            self._ended(hold.lease, progress)

    def _opened(self, lease: Lease) -> OpenMatch | None:
        """The job's match; where its plan or input cannot be read the try has failed."""
        try:
            return self._matches.open(lease.pipeline_id)
        except (LeaseError, StateLostError, VersionError):
            raise
        except Exception as error:  # the task's edge
            reason = as_ours(error)
            if isinstance(reason, ArtifactError):  # it may come back: the disk, the network
                reason = ResourceError(str(reason))
            delay = retry.delay_s(reason, lease)
            self._report(lease, reason, delay)
            self._ended(lease, self._state.fail(lease, one_line(reason), delay))
            return None

    def _make(self, task: Task, hold: Hold) -> Mapping[Cell, Checkpoint]:
        """What the job is to leave, as far as it is not known."""
        if not task.missing:
            return {}
        if not task.is_pass:
            return task.execute()
        segment = task.job.cells[0].segment

        reports = FrameReports(self._state, hold.lease)

        def on_frames(count: int) -> None:
            hold.check()
            self._instruments.frames_seen(segment, count)
            reports.add(count)

        names = [cell.stage for cell in task.missing]
        return task.made_by(task.match.passes.run(segment, names, on_frames))

    def _commit(self, task: Task, kept: Mapping[Cell, Checkpoint], hold: Hold) -> Progress:
        """Commit, and wait for a state store that is away as long as the lease may last."""
        while True:
            hold.check()
            try:
                return task.commit(kept, self._instruments)
            except StateLostError:
                raise
            except ResourceError as error:
                _log.warning("%s: commit waits: %s", _name(hold.lease), error)
                time.sleep(_PAUSE_S)

    def _tell_started(self, task: Task) -> None:
        """Log that the job's stages started, unless this worker did so before.

        A state that was rebuilt has forgotten it, and gives tokens of another generation.
        """
        record, generation = task.match.record, task.lease.token >> 32
        told_of = (record.pipeline_id, record.attempt, record.plan, generation)
        marks = {(*told_of, cell.stage) for cell in task.job.cells}
        if not marks <= self._told:
            task.tell_started()
            self._told |= marks

    def _tell(self, lease: Lease, ready: Mapping[Queue, int]) -> None:
        """Invite workers to what became ready."""
        if ready and (record := self._state.pipeline(lease.pipeline_id)):
            for queue, count in ready.items():
                self._invite(queue, record.priority, count)

    def _ended(self, lease: Lease, progress: Progress) -> None:
        if progress.state in FINISHED:
            settle(lease.pipeline_id, self._state, self._ledger, self._matches, self._instruments)

    def _report(self, lease: Lease, error: FootAnalyticsError, delay: float | None) -> None:
        self._instruments.failed(error, again=delay is not None)
        again = "given up" if delay is None else f"again in {delay:.1f} s"
        _log.warning("%s failed, %s: %s", _name(lease), again, one_line(error))


def settle(
    pipeline_id: str,
    state: StateStore,
    ledger: Ledger,
    matches: Matches,
    instruments: Instruments = NONE,
) -> None:
    """Write down on storage how a finished pipeline ended, and what it left.

    Where that cannot be done now it is logged; the collector comes back to it.
    """
    record = state.pipeline(pipeline_id)
    if record is None or record.state not in FINISHED:
        return
    try:
        if record.state is PipelineState.COMPLETED:
            ledger.keep_results(pipeline_id, matches.open(pipeline_id).engine.files())
        ledger.keep_as_it_is(record, state)
    except StateLostError:
        raise
    except FootAnalyticsError as error:
        _log.warning("pipeline %s: its end is not written down: %s", pipeline_id, error)
    else:
        instruments.ended(record)


def _name(lease: Lease) -> str:
    return f"pipeline {lease.pipeline_id} job {lease.job} (token {lease.token})"
