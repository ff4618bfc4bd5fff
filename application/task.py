"""One leased job of an open match: what of it is known already, and how it ends."""

import logging
import time
from collections.abc import Mapping
from functools import cached_property

import msgspec

from application.match import OpenMatch
from application.ports import Checkpoint, Observer, PassOutcome
from application.retry import of_the_machine
from application.state import Lease, Progress, StateStore
from domain.errors import FootAnalyticsError, StageError, WorkerLostError
from domain.grid import Cell, Job

_log = logging.getLogger(__name__)


class Task:
    """The job that `lease` is for; whoever makes its missing cells, it is committed here."""

    def __init__(self, state: StateStore, match: OpenMatch, lease: Lease) -> None:
        self._state = state
        self.match = match
        self.lease = lease

    @property
    def job(self) -> Job:
        return self.match.plan.jobs[self.lease.job]

    @property
    def is_pass(self) -> bool:
        return self.match.plan.is_pass(self.job)

    @cached_property
    def keys(self) -> Mapping[Cell, str]:
        """The key of each cell of the job."""
        return {cell: self.match.engine.key(cell) for cell in self.job.cells}

    @cached_property
    def known(self) -> Mapping[Cell, Checkpoint]:
        """What an earlier run left of the job, and is still there."""
        if not self.match.reuse:
            return {}
        found = {cell: self.match.engine.kept.intact(key) for cell, key in self.keys.items()}
        return {cell: checkpoint for cell, checkpoint in found.items() if checkpoint}

    @property
    def missing(self) -> Mapping[Cell, str]:
        """The cells that must be made, and their keys."""
        return {cell: key for cell, key in self.keys.items() if cell not in self.known}

    def tell_started(self) -> None:
        """Log that the job's stages started, if they had not."""
        pipeline = self.match.pipeline()
        pipeline.job_started(self.job)
        self._state.started(pipeline.pipeline_id, pipeline.pull_events())

    def execute(self) -> dict[Cell, Checkpoint]:
        """Make the missing cell of a job that is no pass."""
        return {cell: self.match.engine.execute(cell, key) for cell, key in self.missing.items()}

    def made_by(self, outcome: PassOutcome) -> dict[Cell, Checkpoint]:
        """The checkpoints of the missing cells from what a pass over them wrote."""
        if outcome.error:
            raise outcome.error
        return {
            cell: self.match.engine.source_checkpoint(
                cell, key, outcome.tables.get(cell.stage, {}), outcome.seconds.get(cell.stage, 0.0)
            )
            for cell, key in self.missing.items()
        }

    def keep(self, made: Mapping[Cell, Checkpoint]) -> Mapping[Cell, Checkpoint]:
        """Put the new checkpoints on storage; the first one of a key counts."""
        stamp = {"token": self.lease.token, "made_at": time.time()}
        return {
            cell: self.match.engine.kept.keep(msgspec.structs.replace(checkpoint, **stamp))
            for cell, checkpoint in made.items()
        }

    def commit(self, kept: Mapping[Cell, Checkpoint], observer: Observer) -> Progress:
        """Tell the state that the job is done.

        Raises:
            LeaseError: the lease has ended. What was kept stays, for whoever does the job next.
        """
        engine, plan = self.match.engine, self.match.plan
        pipeline = self.match.pipeline()
        pipeline.job_completed(self.job, self.keys)
        numbered = {plan.cell_numbers[cell]: key for cell, key in self.keys.items()}
        events = [each for each in pipeline.pull_events() if each.key not in self.match.told]
        progress = self._state.commit(self.lease, numbered, plan.followers(self.job), events)
        for cell, checkpoint in (*self.known.items(), *kept.items()):
            engine.remember(cell, checkpoint)
            observer.cell_completed(cell, checkpoint, reused=cell in self.known)
        return progress

    def reopen(self, lost: Cell) -> None:
        """What `lost` left is gone: it is done again, and this job waits for it."""
        job = self.match.plan.job_of[lost]
        self._state.reopen(self.lease, job.number, self.match.plan.queue_of(job))

    def fail(self, error: FootAnalyticsError, retry_in_s: float | None) -> Progress:
        """The job failed: it comes again after a while, or is given up where that is None."""
        text = one_line(error)
        pipeline = self.match.pipeline()
        pipeline.job_failed(self.job, text)
        events = pipeline.pull_events()
        lost = isinstance(error, WorkerLostError)
        return self._state.fail(self.lease, text, retry_in_s, events, lost=lost)


def as_ours(error: Exception, job: Job | None = None) -> FootAnalyticsError:
    """Any error as one of our own; one that nobody foresaw is the fault of the job's stage."""
    if isinstance(error, FootAnalyticsError):
        return error
    if found := of_the_machine(error):
        return found
    _log.error("unforeseen", exc_info=error)
    place = f"{job}: " if job else ""
    return StageError(f"{place}{type(error).__name__}: {error}")


def one_line(error: FootAnalyticsError) -> str:
    return " ".join(str(error).split())
