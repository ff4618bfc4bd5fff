"""What users ask of the service: submit a match, cancel it, try it again, delete it."""

import uuid
from collections.abc import Callable

import msgspec

from application.instruments import NONE, Instruments
from application.ledger import Ledger
from application.match import restored
from application.state import PipelineRecord, Priority, StateStore
from application.worker import Invite
from domain.configuration import ProcessingConfiguration
from domain.errors import InputError, TransitionError, UnknownPipelineError
from domain.pipeline import FINISHED, Pipeline, PipelineState, sources_of


class Service:
    """Each change is in the state and on storage before the call returns."""

    def __init__(
        self,
        state: StateStore,
        ledger: Ledger,
        invite: Invite,
        clock: Callable[[], float],
        instruments: Instruments = NONE,
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._invite = invite
        self._clock = clock
        self._instruments = instruments

    def submit(
        self,
        configuration: ProcessingConfiguration,
        *,
        owner: str = "",
        priority: Priority = "normal",
        idempotency_key: str = "",
        traceparent: str = "",
    ) -> PipelineRecord:
        """Queue a match. The same owner's repeat of an idempotency key gives the first one again.

        Raises:
            InputError: the key was used for another configuration.
        """
        pipeline = Pipeline.submit(identity_of(owner, idempotency_key), configuration)
        record = PipelineRecord(
            pipeline.pipeline_id,
            configuration.model_dump_json(exclude_defaults=True),
            owner=owner,
            priority=priority,
            submitted_at=self._clock(),
            traceparent=self._instruments.trace(pipeline.pipeline_id, traceparent),
        )
        first = self._ledger.keep_first(record)
        if first.configuration != record.configuration:
            raise InputError(
                f"idempotency key {idempotency_key}: it was used for another match; take a new one"
            )
        kept = self._state.submit(first, pipeline.pull_events())
        self._invite("cpu", kept.priority, 1)
        if first == record:
            self._instruments.submitted(kept)
        return kept

    def cancel(self, pipeline_id: str) -> PipelineRecord:
        """Stop a pipeline; cancelling one that is cancelled changes nothing.

        Raises:
            UnknownPipelineError: there is none of that id.
            TransitionError: it is finished.
        """
        record = self.find(pipeline_id)
        if record.state is PipelineState.CANCELLED:
            return record
        pipeline = restored(record)
        pipeline.cancel()
        record = self._move(pipeline)
        self._instruments.ended(record)
        return record

    def retry(self, pipeline_id: str) -> PipelineRecord:
        """Queue a failed or cancelled pipeline again; what is done stays done.

        Raises:
            UnknownPipelineError: there is none of that id.
            TransitionError: it is queued, running or completed.
        """
        pipeline = restored(self.find(pipeline_id))
        pipeline.retry()
        record = self._move(pipeline)
        self._invite("cpu", record.priority, 1)
        return record

    def delete(self, pipeline_id: str) -> None:
        """Delete a finished pipeline and its results; the artifacts are collected later.

        Raises:
            UnknownPipelineError: there is none of that id.
            TransitionError: it is queued or running.
        """
        record = self.find(pipeline_id)
        if record.state not in FINISHED:
            raise TransitionError(f"pipeline {pipeline_id} is {record.state}: cancel it first")
        self._ledger.delete(pipeline_id)
        self._state.remove(pipeline_id)

    def find(self, pipeline_id: str) -> PipelineRecord:
        record = self._state.pipeline(pipeline_id)
        if record is None:
            raise UnknownPipelineError(f"there is no pipeline {pipeline_id}")
        return record

    def _move(self, pipeline: Pipeline) -> PipelineRecord:
        """Change state and record; somebody else may have been faster, then it is refused."""
        self._state.move(
            pipeline.pipeline_id,
            pipeline.state,
            pipeline.pull_events(),
            expected=sources_of(pipeline.state),
            attempt=pipeline.attempt,
        )
        record = msgspec.structs.replace(
            self.find(pipeline.pipeline_id), state=pipeline.state, attempt=pipeline.attempt
        )
        self._ledger.keep(record)
        return record


def identity_of(owner: str, idempotency_key: str) -> str:
    """The id of what the owner submits with that key; without a key it is new each time."""
    if not idempotency_key:
        return uuid.uuid4().hex
    return uuid.uuid5(uuid.NAMESPACE_URL, f"footanalytics/{owner}/{idempotency_key}").hex
