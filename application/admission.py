"""Admits a queued pipeline: opens its input, freezes its plan, and makes its first jobs ready."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from application import records
from application.ledger import Ledger
from application.match import PlanDocument, restored
from application.ports import Artifact, ArtifactStore
from application.state import Admission, Lease, PipelineRecord, StateStore
from domain.configuration import ProcessingConfiguration
from domain.errors import ArtifactError, LeaseError, ResourceError
from domain.grid import Plan, Queue

ARTIFACT_BYTES_PER_FRAME = 30_000
"""Storage that a frame costs until its match is collected: 27 kB measured, in 1 s segments."""


@dataclass(frozen=True)
class Planned:
    """A plan with what opens its input, and what each queue's workers must be able to do."""

    plan: Plan
    opened: bytes | None
    needs: Mapping[Queue, Sequence[str]]


Planner = Callable[[ProcessingConfiguration, Collection[Collection[str]]], Planned]
"""Opens the input and freezes stages, versions, models and segments, given what each live worker of
the queue `gpu` is able to do."""


class Admitter:
    """Does the job ADMISSION.

    So many tries as `patience` says wait for workers who can do what an earlier plan froze, or who
    can look at video at all: after a state was lost they are not all known again at once.
    """

    def __init__(
        self,
        state: StateStore,
        artifacts: ArtifactStore,
        ledger: Ledger,
        plan: Planner,
        patience: int = 0,
    ) -> None:
        self._state = state
        self._artifacts = artifacts
        self._ledger = ledger
        self._plan = plan
        self._patience = patience

    def admit(self, lease: Lease) -> Admission:
        """Start the leased pipeline and return what became ready.

        A plan of an earlier attempt is kept while there are workers for it, and what it finished
        stays done; otherwise the match is planned anew.

        Raises:
            FootAnalyticsError: the input cannot be used, or what it will leave does not fit.
        """
        record = self._state.pipeline(lease.pipeline_id)
        if record is None:
            raise LeaseError(f"pipeline {lease.pipeline_id} is gone")
        wait = lease.failures < self._patience
        artifact, document = self._earlier(record, wait) or self._anew(record, wait)
        plan = document.frozen()
        same = artifact == record.plan
        done = self._state.jobs(record.pipeline_id).done if same else frozenset()
        admission = Admission(
            artifact,
            len(plan.jobs),
            len(plan.cells),
            tuple((job.number, plan.queue_of(job)) for job in plan.runnable(done)),
            document.needs,
            keep_done=same,
        )
        pipeline = restored(record)
        pipeline.start()
        self._state.admit(lease, admission, pipeline.pull_events())
        self._ledger.keep_as_it_is(msgspec.structs.replace(record, plan=artifact), self._state)
        return admission

    def _earlier(self, record: PipelineRecord, wait: bool) -> tuple[Artifact, PlanDocument] | None:
        """The plan of an earlier attempt, if it is there and there are workers for it."""
        if record.plan is None:
            return None
        try:
            document = records.decode(bytes(self._artifacts.read(record.plan)), PlanDocument)
            if document.input:
                self._artifacts.read(document.input)
        except ArtifactError:
            return None
        fits = all(servable(needs, queue, self._state) for queue, needs in document.needs.items())
        if wait and not fits:
            raise ResourceError("no live worker is able to do what the match's plan needs: waits")
        return (record.plan, document) if fits else None

    def _anew(self, record: PipelineRecord, wait: bool) -> tuple[Artifact, PlanDocument]:
        configuration = ProcessingConfiguration.model_validate_json(record.configuration)
        able = [worker.able for worker in self._state.workers() if "gpu" in worker.queues]
        if wait and not able:
            raise ResourceError("no worker of the queue gpu is alive: waits for one")
        planned = self._plan(configuration, able)
        self._refuse_what_does_not_fit(planned.plan)
        opened = self._artifacts.put(planned.opened) if planned.opened else None
        document = PlanDocument.of(planned.plan, opened, planned.needs, self._told(record))
        return self._artifacts.put(records.encode(document)), document

    def _told(self, record: PipelineRecord) -> set[str]:
        """The keys of what was done, and logged, under the plan before; no fact is logged twice."""
        if record.plan is None:
            return set()
        try:
            before = records.decode(bytes(self._artifacts.read(record.plan)), PlanDocument)
        except ArtifactError:
            return set()
        numbers = range(len(before.frozen().cells))
        return {*before.told, *self._state.keys(record.pipeline_id, numbers)} - {""}

    def _refuse_what_does_not_fit(self, plan: Plan) -> None:
        free, needed = self._artifacts.free_bytes(), plan.frame_count * ARTIFACT_BYTES_PER_FRAME
        if free is not None and free < needed:
            raise ResourceError(
                f"storage: the match will leave about {needed / 1e6:,.0f} MB and "
                f"{free / 1e6:,.0f} MB are free: free some space, it is tried again"
            )


def servable(needs: Sequence[str], queue: Queue, state: StateStore) -> bool:
    """Whether a live worker of the queue is able to do all of `needs`."""
    return any(
        queue in worker.queues and set(needs) <= set(worker.able) for worker in state.workers()
    )
