"""The composition root: the one place that knows which adapter stands behind which port.

Only entry points import it: the command line, the service's start and worker processes.
"""

import dataclasses
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import cv2
from pydantic import TypeAdapter

from application.engine import Engine, planned
from application.frame_pass import PassRunner
from application.orchestrator import Orchestrator
from application.ports import Checkpoint, FrameSource, Observer, PassExecutor
from application.stage import BaseStage, FrameStage, GPUStage, MatchFacts, Model, ModelIdentity
from domain.configuration import ProcessingConfiguration
from domain.errors import InputError
from domain.grid import Cell, Plan, PlannedStage
from domain.pipeline import Pipeline
from infrastructure import inference
from infrastructure.catalogue import chosen, load, options_of
from infrastructure.executors.inline import InlineExecutor
from infrastructure.executors.processes import ProcessExecutor
from infrastructure.frame_source import VideoFrameSource
from infrastructure.local_run import Recorder, RunFolder, RunReport, finish, publish_files
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from infrastructure.tracking_data import (
    REPLACED,
    TrackingDataSource,
    TrackingDataStage,
    is_tracking,
)

_PLANS = TypeAdapter(Plan)


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
    match = plan_match(configuration, source, recorder)
    with folder.locked() as artifacts:
        report.processes = processes or _useful_processes(match.plan)
        _run(match, artifacts, folder, recorder, report)
        return finish(report, started, out)


Source = VideoFrameSource | TrackingDataSource


def open_input(configuration: ProcessingConfiguration) -> Source:
    """The configured input: video, images, or tracking data."""
    if is_tracking(configuration.video_path):
        return TrackingDataSource(configuration)
    return VideoFrameSource.open(configuration)


@dataclass(frozen=True)
class Match:
    """A configuration made ready to run: its input, its frozen plan and its stages."""

    configuration: ProcessingConfiguration
    source: Source
    plan: Plan
    stages: Mapping[str, BaseStage]


def plan_match(configuration: ProcessingConfiguration, source: Source, observer: Observer) -> Match:
    """Freeze the plan: the stages' order, versions and options, the models, the segments."""
    stages: dict[str, BaseStage] = {}
    frozen: list[PlannedStage] = []
    made: set[str] = set()
    for stage, identity in _stages(configuration, source, observer):
        stages[stage.name] = stage
        facts = key_facts(stage, source.facts, identity)
        frozen.append(planned(stage, facts, stage.options.end_changing(), made))
        made |= set(stage.produces)
    plan = Plan(tuple(frozen), source.segments(configuration.segment_s))
    return Match(configuration, source, plan, stages)


def _stages(
    configuration: ProcessingConfiguration, source: Source, observer: Observer
) -> Iterator[tuple[BaseStage, ModelIdentity | None]]:
    """The stages that the configuration and the kind of input call for; networks are not loaded."""
    classes = dict(chosen(configuration))
    if isinstance(source, TrackingDataSource):
        yield TrackingDataStage(source), None
        classes = {name: kind for name, kind in classes.items() if name not in REPLACED}
    for kind in classes.values():
        identity = _identify(kind, configuration, observer)
        yield _build(kind, configuration, source.facts, identity, threads=0), identity


def key_facts(
    stage: BaseStage, facts: MatchFacts, identity: ModelIdentity | None
) -> dict[str, Any]:
    """What decides the stage's results beside its inputs. Pixels carry their own facts."""
    entries: dict[str, Any] = {"options": stage.options.result_changing()}
    if identity:
        entries["model"] = dataclasses.asdict(identity)
    if not isinstance(stage, FrameStage):
        entries["match"] = dataclasses.asdict(facts)
    return entries


def pass_runner(specification: bytes) -> PassRunner:
    """A worker process's runner, from the specification that `_executor` wrote."""
    cv2.setNumThreads(1)  # the processes share the cores already
    given = json.loads(specification)
    configuration = ProcessingConfiguration.model_validate_json(given["configuration"])
    plan = _PLANS.validate_json(given["plan"])
    artifacts = FolderArtifactStore(Path(given["artifacts"]))
    source = VideoFrameSource.reopen(configuration, Path(given["index"]))
    return _runner(configuration, plan, source, artifacts, given["threads"])


def _run(
    match: Match,
    artifacts: FolderArtifactStore,
    folder: RunFolder,
    recorder: Recorder,
    report: RunReport,
) -> None:
    state = SQLiteStateStore(folder.state / "state.sqlite")
    try:
        pipeline = Pipeline.submit(uuid.uuid4().hex, match.configuration)
        pipeline.admit(match.plan)
        engine = Engine(match.plan, match.stages, match.source, artifacts)
        recorder.planned(match.plan)
        orchestrator = Orchestrator(
            pipeline,
            engine,
            state,
            _executor(match, artifacts, recorder, report.processes),
            recorder,
            reuse=match.configuration.checkpoint_enabled,
        )
        orchestrator.run()
        report.files = publish_files(engine, folder.out)
    finally:
        state.close()


def _executor(
    match: Match, artifacts: FolderArtifactStore, observer: Observer, processes: int
) -> PassExecutor:
    threads = inference.threads_per_process(processes)
    if isinstance(match.source, TrackingDataSource):
        batch = match.configuration.batch_size
        runner = PassRunner(match.plan, match.stages, match.source, artifacts, batch)
        return InlineExecutor(runner, observer.frames_seen)
    if processes == 1:
        runner = _runner(match.configuration, match.plan, match.source, artifacts, threads)
        return InlineExecutor(runner, observer.frames_seen)
    index = artifacts.root / "index.npz"
    match.source.save_index(index)
    specification = {
        "configuration": match.configuration.model_dump_json(),
        "plan": _PLANS.dump_json(match.plan).decode(),
        "artifacts": str(artifacts.root),
        "index": str(index),
        "threads": threads,
    }
    data = json.dumps(specification).encode()
    return ProcessExecutor(processes, pass_runner, data, observer.frames_seen)


def _runner(
    configuration: ProcessingConfiguration,
    plan: Plan,
    source: FrameSource,
    artifacts: FolderArtifactStore,
    threads: int,
) -> PassRunner:
    stages = {}
    for stage in plan.stages:
        if stage.kind == "source":
            model = stage.key_facts.get("model")
            identity = ModelIdentity(**model) if isinstance(model, dict) else None
            kind = load(stage.name)
            stages[stage.name] = _build(kind, configuration, source.facts, identity, threads)
    batch = configuration.stage_configs.player_detection.batch_size or configuration.batch_size
    return PassRunner(plan, stages, source, artifacts, batch)


def _build(
    kind: type[BaseStage],
    configuration: ProcessingConfiguration,
    facts: MatchFacts,
    identity: ModelIdentity | None,
    threads: int,
) -> BaseStage:
    options = options_of(kind, configuration)
    if not issubclass(kind, GPUStage):
        return kind(options, facts)
    assert identity
    size = kind.input_size(options, facts)
    path = _model_path(kind, configuration)
    return kind(options, facts, LazyModel(partial(inference.load, path, identity, size, threads)))


def build_stage(
    name: str, configuration: ProcessingConfiguration, facts: MatchFacts, threads: int = 0
) -> BaseStage:
    """One stage by itself, as the configuration has it; its network is loaded when it is used."""
    kind = load(name)
    identity = _identify(kind, configuration, Silent())
    return _build(kind, configuration, facts, identity, threads)


class Silent:
    """An observer that does nothing."""

    def planned(self, plan: Plan) -> None: ...

    def notice(self, text: str) -> None: ...

    def frames_seen(self, segment: int, count: int) -> None: ...

    def cell_completed(self, cell: Cell, checkpoint: Checkpoint, *, reused: bool) -> None: ...


class LazyModel:
    """A network that is loaded when it is first asked: planning a match loads none."""

    def __init__(self, load: partial[Model]) -> None:
        self._load = load

    @cached_property
    def _model(self) -> Model:
        return self._load()

    @property
    def names(self) -> Any:
        return self._model.names

    def infer(self, images: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        return self._model.infer(images)


def _identify(
    kind: type[BaseStage], configuration: ProcessingConfiguration, observer: Observer
) -> ModelIdentity | None:
    if not issubclass(kind, GPUStage):
        return None
    options: Any = options_of(kind, configuration)
    gpu = configuration.gpu_enabled
    path = _model_path(kind, configuration)
    identity = inference.identify(path, options.backend, options.precision, gpu)
    for text in inference.notices(identity, gpu):
        observer.notice(text)
    return identity


def _model_path(kind: type[GPUStage], configuration: ProcessingConfiguration) -> Path:
    """The file that the options name, else the shipped one."""
    options: Any = options_of(kind, configuration)
    shipped = models_folder()
    if options.model_name is None:
        return shipped / kind.shipped_model()
    for path in (Path(options.model_name), shipped / options.model_name):
        if path.is_file():
            return path
    names = ", ".join(sorted(path.name for path in shipped.glob("*.onnx")))
    raise InputError(
        f"{kind.name}.model_name: no file {options.model_name}; "
        f"give a .pt, .onnx or .xml file, or a shipped one: {names}"
    )


def models_folder() -> Path:
    """Where the shipped weights lie: beside the code, in a checkout and in a wheel."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "models"


def _useful_processes(plan: Plan) -> int:
    """One a core, but none without a segment of its own."""
    return min(len(os.sched_getaffinity(0)), len(plan.segments))
