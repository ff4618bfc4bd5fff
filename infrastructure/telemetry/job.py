"""What is known of a try at a job while it lasts and when it is over."""

import time
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from application.ports import Checkpoint
from application.state import ADMISSION, Lease
from application.task import Task
from domain.errors import FootAnalyticsError, LeaseError, StoppedError, VersionError
from domain.grid import Cell, Queue

Outcome = Literal["done", "again", "dead", "reopened", "given_back", "refused", "unanswered"]
"""Done; failed and tried again; failed for good; waits for something that it reads; left to others;
the lease had ended; the state could not be asked."""


class Made(NamedTuple):
    """A cell that was committed."""

    cell: Cell
    checkpoint: Checkpoint
    reused: bool


@dataclass
class JobUnderWay:
    """A try at the leased job."""

    lease: Lease
    queue: Queue
    worker: str
    started_at: float = field(default_factory=time.time)
    task: Task | None = None
    made: list[Made] = field(default_factory=list)
    outcome: Outcome = "done"
    error: FootAnalyticsError | None = None
    trouble: str = ""
    """Why it is not done; empty where that is nobody's fault."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.task.job.cells if self.task else ()

    @property
    def stage(self) -> str:
        """What it is called where stages are told apart."""
        if self.lease.job == ADMISSION:
            return "admission"
        return "pass" if len(self.cells) > 1 else next((c.stage for c in self.cells), "opening")

    def failed(self, error: FootAnalyticsError, *, again: bool) -> None:
        self.outcome = "again" if again else "dead"
        self.error, self.trouble = error, " ".join(str(error).split())

    def reopened(self, cell: Cell) -> None:
        self.outcome, self.trouble = "reopened", f"what {cell} left is gone"

    def left(self, error: BaseException) -> None:
        """It ended by an exception that the worker answers."""
        if isinstance(error, StoppedError | VersionError):
            self.outcome = "given_back"
        else:
            self.outcome = "refused" if isinstance(error, LeaseError) else "unanswered"
            self.trouble = " ".join(str(error).split()) or type(error).__name__
