"""The matches that a worker process has open, and how a queued one is planned for a cluster."""

import dataclasses
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from functools import partial

import msgspec

from application import records
from application.admission import Planned
from application.engine import Engine
from application.frame_pass import PassRunner
from application.match import OpenMatch, PlanDocument
from application.ports import ArtifactStore, Observer, Silent
from application.stage import BaseStage
from application.state import PipelineRecord, StateStore
from domain.configuration import ProcessingConfiguration
from domain.errors import LeaseError
from domain.grid import Cell, Plan, Queue
from infrastructure.catalogue import known, load
from infrastructure.executors.child import Child, PassesInChild
from infrastructure.inference.machine import Machine, runs
from infrastructure.planning import (
    batch_size,
    open_input,
    plan_match,
    planned_stages,
    reopen_input,
)
from infrastructure.storage.folder import FolderArtifactStore
from infrastructure.tracking_data import TrackingDataStage

_KEPT_OPEN = 8
_log = logging.getLogger(__name__)


class MatchCache:
    """The adapter of the port `Matches`; the last few matches stay open.

    With a `child` passes run there, each on `threads` threads, else in this process.
    """

    def __init__(
        self,
        state: StateStore,
        artifacts: ArtifactStore,
        threads: int,
        child: Child | None = None,
    ) -> None:
        self._state = state
        self._artifacts = artifacts
        self._threads = threads
        self._child = child
        self._open: OrderedDict[str, OpenMatch] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, pipeline_id: str) -> OpenMatch:
        with self._lock:  # a worker's heart settles matches while it works
            return self._find(pipeline_id)

    def _find(self, pipeline_id: str) -> OpenMatch:
        record = self._state.pipeline(pipeline_id)
        if record is None or record.plan is None:
            raise LeaseError(f"pipeline {pipeline_id} is gone")
        match = self._open.get(pipeline_id)
        if match is None or (match.record.plan, match.record.attempt) != (
            record.plan,
            record.attempt,
        ):
            match = self._open[pipeline_id] = self._opened(record)
        self._open.move_to_end(pipeline_id)
        if len(self._open) > _KEPT_OPEN:
            self._open.popitem(last=False)
        return match

    def _opened(self, record: PipelineRecord) -> OpenMatch:
        keys_of = partial(keys_of_cells, self._state, record.pipeline_id)
        match = open_match(record, self._artifacts, keys_of, self._threads)
        if self._child is None or not isinstance(self._artifacts, FolderArtifactStore):
            return match
        given = ForChild(record, str(self._artifacts.root.absolute()), self._threads)
        passes = PassesInChild(self._child, records.encode(given))
        return dataclasses.replace(match, passes=passes)


class ForChild(msgspec.Struct):
    """What a process is told that runs the passes of a match."""

    record: PipelineRecord
    artifacts: str
    threads: int


def open_match(
    record: PipelineRecord,
    artifacts: ArtifactStore,
    keys_of: Callable[[Plan, Sequence[Cell]], Sequence[str]],
    threads: int,
) -> OpenMatch:
    """An admitted match from its record and what lies on storage.

    Raises:
        VersionError: its plan froze other versions of stages than there are here.
    """
    assert record.plan
    document = records.decode(bytes(artifacts.read(record.plan)), PlanDocument)
    opened = bytes(artifacts.read(document.input)) if document.input else None
    configuration = ProcessingConfiguration.model_validate_json(record.configuration)
    source = reopen_input(configuration, opened)
    plan = document.frozen()
    stages = planned_stages(plan, configuration, source, threads)
    engine = Engine(plan, stages, source, artifacts, partial(keys_of, plan))
    passes = PassRunner(plan, stages, source, artifacts, batch_size(configuration))
    return OpenMatch(record, engine, passes, configuration.checkpoint_enabled, told=document.told)


def keys_of_cells(
    state: StateStore, pipeline_id: str, plan: Plan, cells: Sequence[Cell]
) -> Sequence[str]:
    """The keys of those cells, as the state has them."""
    return state.keys(pipeline_id, [plan.cell_numbers[cell] for cell in cells])


class Logged(Silent):
    """An observer for planning where nobody watches: what the operator should know is logged."""

    def notice(self, text: str) -> None:
        _log.warning("%s", text)


def plan_for_cluster(
    observer: Observer,
    configuration: ProcessingConfiguration,
    able: Collection[Collection[str]],
) -> Planned:
    """The port `Planner`: chooses by what the workers have, not by what this one has."""
    source = open_input(configuration)
    machine = Machine.of(able) if able else Machine.here()
    match = plan_match(configuration, source, observer, machine)
    needs: dict[Queue, tuple[str, ...]] = {
        "gpu": _needs(match.plan, source=True),
        "cpu": _needs(match.plan, source=False),
    }
    return Planned(match.plan, source.to_bytes(), needs)


def _needs(plan: Plan, *, source: bool) -> tuple[str, ...]:
    """What a worker must be able to do to take the passes, or all the other jobs."""
    needs = [
        version_of(stage.name, stage.version)
        for stage in plan.stages
        if not source or stage.kind == "source"
    ]
    models = [stage.key_facts.get("model") for stage in plan.stages] if source else []
    needs += [
        runs(model["backend"], model["precision"]) for model in models if isinstance(model, dict)
    ]
    return tuple(sorted(set(needs)))


def version_of(stage: str, version: int) -> str:
    """The word for a version of a stage, to compare what a plan needs and what a worker has."""
    return f"stage:{stage}:{version}"


def own_versions() -> tuple[str, ...]:
    """The stages that this process has, in their versions."""
    kinds: list[type[BaseStage]] = [*(load(name) for name in known()), TrackingDataStage]
    return tuple(version_of(kind.name, kind.version) for kind in kinds)
