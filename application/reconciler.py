"""Puts right what messages, clocks and dying processes leave: the state decides, this reminds."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from application import records
from application.admission import servable
from application.ledger import Ledger
from application.match import Matches, PlanDocument, restored
from application.ports import ArtifactStore
from application.retry import MAX_LOSSES
from application.state import PipelineRecord, Priority, StateStore
from application.worker import Invite, settle
from domain.errors import ArtifactError, StateLostError, TransitionError
from domain.grid import Queue
from domain.pipeline import FINISHED, DomainEvent, PipelineState

_log = logging.getLogger(__name__)
QUEUES: tuple[Queue, ...] = ("gpu", "cpu")
PERIOD_S = 2.0
_ORPHAN_S = 60.0
_LOST = "the worker vanished while it did this (killed, crashed, or cut off)"

Waiting = Callable[[Queue], Mapping[Priority, int]]
"""How many invitations of each priority wait in the broker for workers of the queue."""


class Reconciler:
    """One process at a time calls `tick`, every PERIOD_S."""

    def __init__(
        self,
        state: StateStore,
        artifacts: ArtifactStore,
        ledger: Ledger,
        matches: Matches,
        invite: Invite,
        waiting: Waiting,
        match_limit_s: float,
    ) -> None:
        self._state = state
        self._artifacts = artifacts
        self._ledger = ledger
        self._matches = matches
        self._invite = invite
        self._waiting = waiting
        self._match_limit_s = match_limit_s
        self._running: set[str] = set()
        self._orphaned_since: dict[str, float] = {}

    def tick(self) -> None:
        """Do what is due, unless another process did it just now."""
        try:
            if self._state.alone("reconcile", PERIOD_S):
                self._reconcile()
        except StateLostError:
            self.rebuild()

    def rebuild(self) -> None:
        """Fill an empty state from storage: every pipeline that did not end is queued again.

        What was done is found by its keys, so nothing is done twice.
        """
        generation = self._ledger.next_generation()
        self._state.begin(generation)
        count = 0
        for record in self._ledger.all():
            ended = record.state in FINISHED
            state = record.state if ended else PipelineState.QUEUED
            self._state.submit(msgspec.structs.replace(record, state=state), ())
            count += 1
        _log.warning("state rebuilt from storage: %d pipelines, generation %d", count, generation)

    def _reconcile(self) -> None:
        woken = self._state.expire(MAX_LOSSES, _LOST)
        if woken:
            _log.warning("%d jobs are ready again", woken)
        for queue in QUEUES:
            self._invite_the_missing(queue)
        running = self._state.pipelines(state=PipelineState.RUNNING, limit=1000)
        for record in running:
            self._end_if_overdue(record)
            self._plan_again_if_orphaned(record)
        self._settle_the_ended({record.pipeline_id for record in running})

    def _invite_the_missing(self, queue: Queue) -> None:
        """Messages can be lost: as many invitations must wait as jobs are ready."""
        ready = self._state.ready(queue)
        waiting = self._waiting(queue) if any(ready.values()) else {}
        for priority, count in ready.items():
            missing = count - waiting.get(priority, 0)
            if missing > 0:
                self._invite(queue, priority, missing)

    def _settle_the_ended(self, running: set[str]) -> None:
        """A match that ended by its last lease's expiry has no worker to write that down."""
        for pipeline_id in self._running - running:
            settle(pipeline_id, self._state, self._ledger, self._matches)
        self._running = running

    def _end_if_overdue(self, record: PipelineRecord) -> None:
        if time.time() - record.started_at < self._match_limit_s:
            return
        pipeline = restored(record)
        pipeline.fail(f"took longer than {self._match_limit_s:.0f} s: see its slowest stages")
        events = pipeline.pull_events()
        self._move(record, PipelineState.FAILED, events, error=events[-1].message)

    def _plan_again_if_orphaned(self, record: PipelineRecord) -> None:
        """No live worker can do what the plan froze: it is planned again, for those there are."""
        now = time.monotonic()
        if record.plan is None or self._served(record):
            self._orphaned_since.pop(record.pipeline_id, None)
        elif now - self._orphaned_since.setdefault(record.pipeline_id, now) > _ORPHAN_S:
            _log.warning("pipeline %s: no worker for its plan; planned again", record.pipeline_id)
            self._move(record, PipelineState.QUEUED, ())

    def _served(self, record: PipelineRecord) -> bool:
        assert record.plan
        try:
            document = records.decode(bytes(self._artifacts.read(record.plan)), PlanDocument)
        except ArtifactError:
            return True
        return all(servable(needs, queue, self._state) for queue, needs in document.needs.items())

    def _move(
        self,
        record: PipelineRecord,
        state: PipelineState,
        events: Sequence[DomainEvent],
        error: str = "",
    ) -> None:
        with contextlib.suppress(TransitionError):  # it ended by itself in the meantime
            self._state.move(
                record.pipeline_id,
                state,
                events,
                expected=[PipelineState.RUNNING],
                error=error,
                attempt=record.attempt,
            )
