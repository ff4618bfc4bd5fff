"""Wires `footanalytics analyze`: one match, one machine, no servers."""

import os
import time
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2

from application import records
from application.admission import Admitter, Planned
from application.engine import Engine
from application.frame_pass import PassRunner
from application.ledger import Ledger
from application.match import OpenMatch, Passes
from application.orchestrator import LEASE_S, Orchestrator
from application.ports import ArtifactStore, Observer, PassExecutor
from application.state import PipelineRecord, StateStore
from domain.configuration import ProcessingConfiguration
from domain.grid import Cell, Plan
from domain.pipeline import Pipeline, PipelineState
from infrastructure import inference
from infrastructure.executors.inline import InlineExecutor
from infrastructure.executors.processes import ProcessExecutor
from infrastructure.finished import begun, fingerprint, finished
from infrastructure.inference.machine import Machine
from infrastructure.local_run import Recorder, RunFolder, RunReport, finish, publish_files
from infrastructure.matches import (
    ForChild,
    keys_of_cells,
    open_match,
)
from infrastructure.planning import (
    PlannedMatch,
    batch_size,
    open_input,
    plan_match,
)
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from infrastructure.tracking_data import TrackingDataSource


def analyze_locally(
    configuration: ProcessingConfiguration,
    out: Path,
    observer: Observer,
    processes: int | None = None,
) -> RunReport:
    """Analyse one match into the folder `out`, in this process and its children.

    Raises:
        FootAnalyticsError: the input, the configuration or the machine does not allow it.
    """
    started = time.monotonic()
    report = RunReport(str(out))
    recorder = Recorder(report, observer)
    folder = RunFolder(out, keep=configuration.checkpoint_enabled)
    folder.refuse_if_busy()
    source = open_input(configuration)
    for note in source.notes:
        recorder.notice(note)
    match = plan_match(configuration, source, recorder, Machine.here())
    with folder.locked() as artifacts:
        begun(out)
        mark = fingerprint(configuration)
        report.processes = processes or _useful_processes(match.plan)
        _run(match, artifacts, folder, recorder, report)
        report = finish(report, started, out)
        finished(out, mark)
        return report


def _run(
    match: PlannedMatch,
    artifacts: FolderArtifactStore,
    folder: RunFolder,
    recorder: Recorder,
    report: RunReport,
) -> None:
    state = SQLiteStateStore(folder.state / "state.sqlite")
    try:
        _cancel_what_was_killed(state)
        opened = _admitted(match, artifacts, state)
        recorder.planned(match.plan)
        executor = _executor(opened, artifacts, recorder, report.processes)
        Orchestrator(opened, state, executor, recorder).run()
        report.files = publish_files(opened.engine, folder.out)
    finally:
        state.close()


def _cancel_what_was_killed(state: StateStore) -> None:
    """An earlier run in this folder that did not end: this one takes over what it had done."""
    for unfinished in (PipelineState.RUNNING, PipelineState.QUEUED):
        for record in state.pipelines(state=unfinished):
            state.move(record.pipeline_id, PipelineState.CANCELLED, (), expected=[unfinished])


def _admitted(match: PlannedMatch, artifacts: ArtifactStore, state: StateStore) -> OpenMatch:
    """Submit the match to the state of its folder, and start it."""
    pipeline = Pipeline.submit(uuid.uuid4().hex, match.configuration)
    text = match.configuration.model_dump_json(exclude_defaults=True)
    record = PipelineRecord(pipeline.pipeline_id, text, submitted_at=time.time())
    state.submit(record, pipeline.pull_events())
    lease = state.claim("cpu", (), "local", LEASE_S)
    assert lease
    planned = Planned(match.plan, match.source.to_bytes(), {})
    Admitter(state, artifacts, Ledger(artifacts), lambda *_: planned).admit(lease)
    admitted = state.pipeline(pipeline.pipeline_id)
    assert admitted
    keys_of = partial(keys_of_cells, state, pipeline.pipeline_id, match.plan)
    engine = Engine(match.plan, match.stages, match.source, artifacts, keys_of)
    size = batch_size(match.configuration)
    passes = PassRunner(match.plan, match.stages, match.source, artifacts, size)
    return OpenMatch(admitted, engine, passes, match.configuration.checkpoint_enabled)


def _executor(
    opened: OpenMatch, artifacts: FolderArtifactStore, observer: Observer, processes: int
) -> PassExecutor:
    if processes == 1 or isinstance(opened.engine.source, TrackingDataSource):
        return InlineExecutor(opened.passes, observer.frames_seen)
    threads = inference.threads_per_process(processes)
    given = ForChild(opened.record, str(artifacts.root), threads)
    return ProcessExecutor(processes, pass_runner, records.encode(given), observer.frames_seen)


def pass_runner(specification: bytes) -> Passes:
    """A child's runner, from the specification that `_executor` wrote."""
    cv2.setNumThreads(1)  # the processes share the cores already
    given = records.decode(specification, ForChild)
    artifacts = FolderArtifactStore(Path(given.artifacts))
    return open_match(given.record, artifacts, _no_keys, given.threads).passes


def _no_keys(_plan: Plan, _cells: Sequence[Cell]) -> Sequence[str]:
    """A pass reads nothing that other cells left."""
    return ()


def _useful_processes(plan: Plan) -> int:
    """One a core, but none without a segment of its own."""
    return min(len(os.sched_getaffinity(0)), len(plan.segments))
