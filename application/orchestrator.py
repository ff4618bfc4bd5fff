"""Takes one match through its grid: decides what is next, until every cell is done.

The state decides, not the messages: a cell whose checkpoint exists is taken as it is, so a run
that was killed goes on where it stopped, and an unchanged cell of an earlier run is not run again.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from pydantic import TypeAdapter

from application.engine import Engine
from application.ports import (
    Checkpoint,
    Observer,
    PassExecutor,
    PassOutcome,
    PipelineRecord,
    StateStore,
)
from domain.errors import FootAnalyticsError, StageError
from domain.grid import END, Cell, Frontier, Plan
from domain.pipeline import Pipeline

_PLANS = TypeAdapter(Plan)
MAX_ATTEMPTS = 3
LEASE_S = 60.0


class Orchestrator:
    """Runs the admitted `pipeline`; the executor takes the passes, this process all the rest."""

    def __init__(
        self,
        pipeline: Pipeline,
        engine: Engine,
        state: StateStore,
        executor: PassExecutor,
        observer: Observer,
        *,
        reuse: bool,
    ) -> None:
        self._pipeline = pipeline
        self._engine = engine
        self._state = state
        self._executor = executor
        self._observer = observer
        self._reuse = reuse
        self._frontier = Frontier(engine.plan)
        self._under_way: dict[int, dict[Cell, int]] = {}
        self._attempts: defaultdict[int, int] = defaultdict(int)
        self._looked_up: set[Cell] = set()
        self._working_on: Cell | None = None

    def run(self) -> None:
        """Complete every cell.

        Raises:
            FootAnalyticsError: a cell failed for good; the pipeline is marked failed.
        """
        self._state.save(record(self._pipeline), self._pipeline.pull_events())
        try:
            while self._frontier.ready:
                self._step()
        except FootAnalyticsError as error:
            self._pipeline.fail(self._working_on, str(error))
            with suppress(FootAnalyticsError):  # the first error is the one to report
                self._state.save(record(self._pipeline), self._pipeline.pull_events())
            raise
        finally:
            self._executor.close()

    def _step(self) -> None:
        """Keep the executor busy, run one cell here if one is ready, and take in what came back."""
        self._take_known()
        self._dispatch()
        here = self._next_here()
        if here:
            self._run_here(here)
        for outcome in self._executor.finished(wait=not here and bool(self._under_way)):
            self._take_in(outcome)

    def _take_known(self) -> None:
        """Commit what earlier runs left; each may make more cells ready, with keys known then."""
        if not self._reuse:
            return
        fresh = [cell for cell in self._frontier.in_order() if cell not in self._looked_up]
        while fresh:
            cell = fresh.pop(0)
            self._looked_up.add(cell)
            known = self._state.checkpoint(self._engine.key(cell))
            if known and self._engine.intact(known):
                fresh += self._commit(cell, self._lease(cell), known, reused=True)
            elif known:
                self._state.forget(known.key)

    def _dispatch(self) -> None:
        by_segment: defaultdict[int, list[Cell]] = defaultdict(list)
        for cell in self._frontier.in_order():
            if self._is_pass(cell) and cell.segment not in self._under_way:
                by_segment[cell.segment].append(cell)
        for segment, cells in by_segment.items():
            if len(self._under_way) >= self._executor.capacity:
                return
            self._under_way[segment] = {cell: self._lease(cell) for cell in cells}
            self._executor.submit(segment, [cell.stage for cell in cells])

    def _is_pass(self, cell: Cell) -> bool:
        return cell.segment != END and self._engine.plan.by_name[cell.stage].kind == "source"

    def _next_here(self) -> Cell | None:
        return next((cell for cell in self._frontier.in_order() if not self._is_pass(cell)), None)

    def _run_here(self, cell: Cell) -> None:
        self._working_on = cell
        token = self._lease(cell)
        try:
            checkpoint = self._engine.execute(cell)
        except FootAnalyticsError:
            raise
        except Exception as error:  # the task's edge: a stage's own fault becomes the run's
            logging.getLogger(__name__).debug("cell failed", exc_info=True)
            raise StageError(f"{cell}: {type(error).__name__}: {error}") from error
        self._commit(cell, token, checkpoint, reused=False)
        self._working_on = None

    def _take_in(self, outcome: PassOutcome) -> None:
        leases = self._under_way.pop(outcome.segment)
        if outcome.error:
            self._retry_or_give_up(outcome, leases)
            return
        for cell, token in leases.items():
            seconds = outcome.seconds.get(cell.stage, 0.0)
            written = outcome.tables.get(cell.stage, {})
            checkpoint = self._engine.source_checkpoint(cell, written, seconds)
            self._commit(cell, token, checkpoint, reused=False)

    def _retry_or_give_up(self, outcome: PassOutcome, leases: dict[Cell, int]) -> None:
        self._attempts[outcome.segment] += 1
        if not outcome.lost or self._attempts[outcome.segment] >= MAX_ATTEMPTS:
            self._working_on = next(iter(leases))
            raise StageError(
                f"segment {outcome.segment} ({', '.join(outcome.stages)}): {outcome.error}"
            )
        for cell, token in leases.items():
            self._state.give_back(self._pipeline.pipeline_id, cell, token)

    def _lease(self, cell: Cell) -> int:
        holder = self._pipeline.pipeline_id
        token = self._state.lease(self._pipeline.pipeline_id, cell, holder, LEASE_S)
        if token is None:
            raise StageError(f"{cell}: another process works on this pipeline")
        self._pipeline.cell_started(cell)
        return token

    def _commit(
        self, cell: Cell, token: int, checkpoint: Checkpoint, *, reused: bool
    ) -> Sequence[Cell]:
        self._pipeline.cell_completed(cell)
        if not reused:
            checkpoint = msgspec.structs.replace(checkpoint, token=token)
        kept = self._state.commit(
            self._pipeline.pipeline_id,
            cell,
            token,
            checkpoint,
            self._pipeline.pull_events(),
            self._pipeline.state,
        )
        self._engine.checkpoints[cell] = kept
        self._observer.cell_completed(cell, kept, reused=reused)
        return self._frontier.complete(cell)


def record(pipeline: Pipeline) -> PipelineRecord:
    """The pipeline as the store keeps it."""
    plan = _PLANS.dump_json(pipeline.plan).decode() if pipeline.plan else ""
    return PipelineRecord(
        pipeline.pipeline_id,
        pipeline.state.value,
        pipeline.configuration.model_dump_json(),
        plan,
        pipeline.attempt,
        pipeline.error,
    )
