"""Puts right what messages, clocks and dying processes leave: the state decides, this reminds."""

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from application import records
from application.admission import servable
from application.instruments import NONE, Instruments
from application.ledger import Ledger
from application.match import Matches, PlanDocument, restored
from application.ports import ArtifactStore
from application.retry import MAX_LOSSES
from application.state import PipelineRecord, Priority, StateStore
from application.worker import Invite, settle
from domain.errors import (
    ArtifactError,
    StateLostError,
    TransitionError,
)
from domain.grid import Queue
from domain.pipeline import FINISHED, DomainEvent, PipelineState

_log = logging.getLogger(__name__)
QUEUES: tuple[Queue, ...] = ("gpu", "cpu")
PERIOD_S = 2.0
_ORPHAN_S = 60.0
_SETTLE_S = 5.0
_LATEST = 100
"""Of the pipelines that ended, so many are looked at; the collector sees the others."""
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
        instruments: Instruments = NONE,
    ) -> None:
        self._me = uuid.uuid4().hex
        self._ticked_at = 0.0
        self._state = state
        self._artifacts = artifacts
        self._ledger = ledger
        self._matches = matches
        self._invite = invite
        self._waiting = waiting
        self._match_limit_s = match_limit_s
        self._instruments = instruments
        self._completed = -1
        self._settled: set[tuple[str, int, PipelineState]] = set()
        self._orphaned_since: dict[str, float] = {}

    def tick(self) -> None:
        """Do what is due, unless another process does it.

        Whoever did it goes on doing it while it lives, so that what it remembers counts.
        """
        try:
            if self._state.alone("reconcile", 2 * PERIOD_S, self._me):
                self._forget_what_is_old()
                self._reconcile()
        except StateLostError:
            self.rebuild()

    def _forget_what_is_old(self) -> None:
        """After a pause in which others reconciled."""
        if time.monotonic() - self._ticked_at > 5 * PERIOD_S:
            self._orphaned_since.clear()
        self._ticked_at = time.monotonic()

    def rebuild(self) -> None:
        """Fill an empty state from storage: every pipeline that did not end is queued again.

        What was done is found by its keys, so nothing is done twice.
        """
        self._state.begin(self._ledger.next_generation())
        self._complete()

    def _complete(self) -> None:
        """Once in each generation: what storage knows and the state does not.

        A restarted store may have forgotten its last second, and whoever rebuilt it may have died.
        """
        generation = self._state.generation
        if generation == self._completed:
            return
        if generation > self._ledger.completed():
            records_of_all = list(self._ledger.all())
            for record in records_of_all:
                self._repair(record)
            self._ledger.keep_completed(generation)
            _log.warning(
                "state completed from storage: %d pipelines, generation %d",
                len(records_of_all),
                generation,
            )
        self._completed = generation

    def _repair(self, record: PipelineRecord) -> None:
        ended = record.state in FINISHED
        kept = submit_again(self._state, record)
        cancelled = record.state is PipelineState.CANCELLED and kept.state not in FINISHED
        retried = record.attempt > kept.attempt and not ended
        if cancelled or retried:
            state = record.state if ended else PipelineState.QUEUED
            pipeline = restored(record)
            pipeline.tell_again()
            _, *since = pipeline.pull_events()
            self._move(record, state, since, expected=[kept.state])

    def _reconcile(self) -> None:
        """First what needs no storage: one process that cannot read it must not hold up all."""
        woken = self._state.expire(MAX_LOSSES, _LOST)
        if woken:
            _log.warning("%d jobs are ready again", woken)
        for queue in QUEUES:
            self._invite_the_missing(queue)
        self._complete()
        for record in self._state.pipelines(state=PipelineState.RUNNING, limit=1000):
            self._end_if_overdue(record)
            self._plan_again_if_orphaned(record)
        if self._state.alone("settle", _SETTLE_S):
            self._settle_the_ended()

    def _invite_the_missing(self, queue: Queue) -> None:
        """Messages can be lost: as many invitations must wait as jobs are ready."""
        ready = self._state.ready(queue)
        waiting = self._waiting(queue) if any(ready.values()) else {}
        for priority, count in ready.items():
            missing = count - waiting.get(priority, 0)
            if missing > 0:
                self._invite(queue, priority, missing)

    def _settle_the_ended(self) -> None:
        """Whoever ended a match may have died before it wrote that down."""
        ended = [
            record
            for state in sorted(FINISHED)
            for record in self._state.pipelines(state=state, limit=_LATEST)
        ]
        seen = {(record.pipeline_id, record.attempt, record.state) for record in ended}
        for record in ended:
            if (record.pipeline_id, record.attempt, record.state) not in self._settled:
                self._settle(record)
        self._settled = seen

    def _settle(self, record: PipelineRecord) -> None:
        kept = self._ledger.find(record.pipeline_id)
        if kept is None or kept.state == record.state:
            return
        settle(record.pipeline_id, self._state, self._ledger, self._matches, self._instruments)

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
            again = msgspec.structs.replace(record, attempt=record.attempt + 1)
            self._move(again, PipelineState.QUEUED, ())

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
        expected: Collection[PipelineState] = (PipelineState.RUNNING,),
    ) -> None:
        with contextlib.suppress(TransitionError):  # it ended by itself in the meantime
            self._state.move(
                record.pipeline_id,
                state,
                events,
                expected=expected,
                error=error,
                attempt=record.attempt,
            )


def submit_again(state: StateStore, record: PipelineRecord) -> PipelineRecord:
    """Put a pipeline that stands on storage into a state that does not know it.

    One that had not ended is queued. What the log lost is told again, with the same event ids.
    """
    pipeline = restored(record)
    pipeline.tell_again()
    now = record.state if record.state in FINISHED else PipelineState.QUEUED
    return state.submit(msgspec.structs.replace(record, state=now), pipeline.pull_events())
