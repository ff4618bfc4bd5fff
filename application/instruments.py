"""What listens to the work from outside: traces, metrics, the fields of log lines.

The work tells what happens and knows nothing of what becomes of it. Nothing that is told may raise,
and nothing changes a result.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, Protocol

from application import trace_context
from application.ports import Observer, Silent
from application.state import Lease, PipelineRecord
from domain.errors import FootAnalyticsError
from domain.grid import Cell, Queue

if TYPE_CHECKING:
    from application.task import Task

Renewal = Literal["renewed", "ended", "unanswered"]


class Instruments(Observer, Protocol):
    """Hears of matches and jobs. What a thread tells inside of `job` belongs to that job."""

    def trace(self, pipeline_id: str, caller: str) -> str:
        """The trace context that a new match gets; `caller` may name the one it came from."""

    def submitted(self, record: PipelineRecord) -> None: ...

    def ended(self, record: PipelineRecord) -> None:
        """The match completed, failed or was cancelled."""

    def job(self, lease: Lease, queue: Queue) -> AbstractContextManager[None]:
        """A try at the leased job, which lasts as long as the body."""

    def opened(self, task: "Task") -> None:
        """The job's match is open."""

    def failed(self, error: FootAnalyticsError, *, again: bool) -> None: ...

    def reopened(self, cell: Cell) -> None:
        """What the job reads of `cell` is gone; the job waits until it is made anew."""

    def renewal(self, outcome: Renewal) -> None:
        """The lease of the job under way was to be renewed."""


class NoInstruments(Silent):
    """Nobody listens."""

    def trace(self, pipeline_id: str, caller: str) -> str:
        return str(trace_context.begin(pipeline_id, caller or trace_context.CALLER.get()))

    def submitted(self, record: PipelineRecord) -> None: ...

    def ended(self, record: PipelineRecord) -> None: ...

    def job(self, lease: Lease, queue: Queue) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def opened(self, task: "Task") -> None: ...

    def failed(self, error: FootAnalyticsError, *, again: bool) -> None: ...

    def reopened(self, cell: Cell) -> None: ...

    def renewal(self, outcome: Renewal) -> None: ...


NONE = NoInstruments()
