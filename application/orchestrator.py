"""Takes one match through its grid on one machine: passes in an executor, the rest in here."""

from application import retry
from application.match import OpenMatch
from application.ports import Observer, PassExecutor, PassOutcome
from application.state import Lease, StateStore
from application.task import Task, as_ours, one_line
from domain.errors import FootAnalyticsError, LostCellError, WorkerLostError
from domain.grid import Cell, Queue
from domain.pipeline import PipelineState

LEASE_S = 7 * 86_400.0
"""Nobody else works on this state, so a lease need not be renewed."""


class Orchestrator:
    """Runs the admitted pipeline of `match`, the only one in `state` that runs."""

    def __init__(
        self, match: OpenMatch, state: StateStore, executor: PassExecutor, observer: Observer
    ) -> None:
        self._match = match
        self._state = state
        self._executor = executor
        self._observer = observer
        self._under_way: dict[int, Task] = {}

    def run(self) -> None:
        """Complete every cell.

        Raises:
            FootAnalyticsError: a job failed for good; the pipeline is marked failed.
        """
        try:
            while self._state_now() is PipelineState.RUNNING:
                self._step()
        except FootAnalyticsError as error:
            self._give_up(error)
            raise
        finally:
            self._executor.close()

    def _state_now(self) -> PipelineState | None:
        record = self._state.pipeline(self._match.record.pipeline_id)
        return record.state if record else None

    def _step(self) -> None:
        """Keep the executor busy, do one job here if one is ready, and take in what came back."""
        while len(self._under_way) < self._executor.capacity and (lease := self._claim("gpu")):
            self._begin(lease)
        here = self._claim("cpu")
        if here:
            self._do(Task(self._state, self._match, here))
        for outcome in self._executor.finished(wait=not here and bool(self._under_way)):
            self._take_in(outcome)
        if not here and not self._under_way:
            self._state.expire(retry.MAX_LOSSES, "")  # wakes what was put off

    def _claim(self, queue: Queue) -> Lease | None:
        return self._state.claim(queue, (), "local", LEASE_S)

    def _begin(self, lease: Lease) -> None:
        """Hand a pass to the executor, or take it as it is where all of it is known."""
        task = Task(self._state, self._match, lease)
        task.tell_started()
        if task.missing:
            segment = task.job.cells[0].segment
            self._under_way[segment] = task
            self._executor.submit(segment, [cell.stage for cell in task.missing])
        else:
            task.commit(task.keep({}), self._observer)

    def _do(self, task: Task) -> None:
        task.tell_started()
        try:
            task.commit(task.keep(task.execute()), self._observer)
        except LostCellError as error:
            task.reopen(Cell(error.stage, error.segment))
        except Exception as error:  # the task's edge: a stage's own fault becomes the run's
            reason = as_ours(error, task.job)
            task.fail(reason, None)
            raise reason from error

    def _take_in(self, outcome: PassOutcome) -> None:
        task = self._under_way.pop(outcome.segment)
        if outcome.error is None:
            task.commit(task.keep(task.made_by(outcome)), self._observer)
            return
        again = retry.delay_s(outcome.error, task.lease)
        if isinstance(outcome.error, WorkerLostError) and again is not None:
            task.fail(outcome.error, 0.0)
            return
        task.fail(outcome.error, None)
        raise type(outcome.error)(f"{task.job}: {outcome.error}")

    def _give_up(self, error: FootAnalyticsError) -> None:
        """On one machine the user waits: the first job that fails ends the run."""
        if self._state_now() is PipelineState.RUNNING:
            pipeline = self._match.pipeline()
            pipeline.fail(one_line(error))
            self._state.move(
                pipeline.pipeline_id,
                PipelineState.FAILED,
                pipeline.pull_events(),
                expected=[PipelineState.RUNNING],
                error=one_line(error),
            )
