"""Makes a configuration ready to run: its input, its frozen plan, its stages and networks."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from application.engine import planned
from application.ports import Observer, Silent
from application.stage import BaseStage, FrameStage, GPUStage, MatchFacts, Model, ModelIdentity
from domain.configuration import ProcessingConfiguration
from domain.errors import InputError, VersionError
from domain.grid import Plan, PlannedStage
from infrastructure import inference
from infrastructure.catalogue import chosen, load, options_of
from infrastructure.frame_source import VideoFrameSource
from infrastructure.inference.machine import Machine
from infrastructure.tracking_data import (
    REPLACED,
    TrackingDataSource,
    TrackingDataStage,
    is_tracking,
)

Source = VideoFrameSource | TrackingDataSource
_NETWORKS_KEPT = 6
_SAID_ELSEWHERE: Any = {
    **dict.fromkeys(("periods", "pitch_length_m", "pitch_width_m"), True),
    **{team: {"kit"} for team in ("home", "away")},
}


def open_input(configuration: ProcessingConfiguration) -> Source:
    """The configured input: video, images, or tracking data."""
    if is_tracking(configuration.video_path):
        return TrackingDataSource(configuration)
    return VideoFrameSource.open(configuration)


def reopen_input(configuration: ProcessingConfiguration, opened: bytes | None) -> Source:
    """The same input in another process, from what `Source.to_bytes` gave."""
    if opened is None:
        return TrackingDataSource(configuration)
    return VideoFrameSource.reopen(configuration, opened)


@dataclass(frozen=True)
class PlannedMatch:
    """A configuration made ready to run: its input, its frozen plan and its stages."""

    configuration: ProcessingConfiguration
    source: Source
    plan: Plan
    stages: Mapping[str, BaseStage]


def plan_match(
    configuration: ProcessingConfiguration, source: Source, observer: Observer, machine: Machine
) -> PlannedMatch:
    """Freeze the plan: the stages' order, versions and options, the models, the segments.

    Args:
        machine: what runs the networks; backends and precisions are chosen for it.
    """
    stages: dict[str, BaseStage] = {}
    frozen: list[PlannedStage] = []
    made: set[str] = set()
    for stage, identity in _stages(configuration, source, observer, machine):
        stages[stage.name] = stage
        facts = key_facts(stage, source.facts, identity)
        at_end = stage.options.end_changing() | told(stage.knows_at_end, source.facts)
        frozen.append(planned(stage, facts, at_end, made))
        made |= set(stage.produces)
    plan = Plan(tuple(frozen), source.segments(configuration.segment_s))
    return PlannedMatch(configuration, source, plan, stages)


def _stages(
    configuration: ProcessingConfiguration, source: Source, observer: Observer, machine: Machine
) -> Iterator[tuple[BaseStage, ModelIdentity | None]]:
    """The stages that the configuration and the kind of input call for; networks are not loaded."""
    classes = dict(chosen(configuration))
    if isinstance(source, TrackingDataSource):
        yield TrackingDataStage(source), None
        classes = {name: kind for name, kind in classes.items() if name not in REPLACED}
    for kind in classes.values():
        identity = _identify(kind, configuration, observer, machine)
        stage = _build(kind, configuration, source.facts, identity, threads=0)
        if isinstance(stage, GPUStage):
            for text in stage.notices():
                observer.notice(text)
        yield stage, identity


def key_facts(
    stage: BaseStage, facts: MatchFacts, identity: ModelIdentity | None
) -> dict[str, Any]:
    """What decides the stage's results beside its inputs; pixels carry their own size."""
    entries: dict[str, Any] = {"options": stage.options.result_changing()}
    if identity:
        entries["model"] = dataclasses.asdict(identity)
    match = told(stage.knows, facts)
    if not isinstance(stage, FrameStage):
        size = {name: getattr(facts, name) for name in ("width", "height", "frame_rate")}
        match = {**size, **told(("pitch",), facts), **match}
    return entries | ({"match": match} if match else {})


def told(names: Sequence[str], facts: MatchFacts) -> dict[str, Any]:
    """The facts that a stage names in `knows` or `knows_at_end`, as plain JSON values."""
    known: dict[str, Any] = {
        "periods": [dataclasses.asdict(period) for period in facts.periods] + [facts.periods_from],
        "pitch": dataclasses.asdict(facts.pitch),
        "kits": [kit.model_dump(mode="json") for kit in facts.kits],
        "details": facts.details.model_dump(mode="json", exclude=_SAID_ELSEWHERE),
    }
    return {name: known[name] for name in names}


def planned_stages(
    plan: Plan, configuration: ProcessingConfiguration, source: Source, threads: int
) -> dict[str, BaseStage]:
    """The stages of a plan that was frozen elsewhere.

    Raises:
        VersionError: a stage has another version here.
    """
    stages: dict[str, BaseStage] = {}
    for frozen in plan.stages:
        if frozen.name == TrackingDataStage.name and isinstance(source, TrackingDataSource):
            stage: BaseStage = TrackingDataStage(source)
        else:
            model = frozen.key_facts.get("model")
            identity = ModelIdentity(**model) if isinstance(model, dict) else None
            stage = _build(load(frozen.name), configuration, source.facts, identity, threads)
        if stage.version != frozen.version:
            raise VersionError(
                f"stage {frozen.name}: the plan froze version {frozen.version}, "
                f"this worker has {stage.version}"
            )
        stages[frozen.name] = stage
    return stages


def batch_size(configuration: ProcessingConfiguration) -> int:
    """Frames that go through the frame stages together."""
    return configuration.stage_configs.player_detection.batch_size or configuration.batch_size


def build_stage(
    name: str, configuration: ProcessingConfiguration, facts: MatchFacts, threads: int = 0
) -> BaseStage:
    """One stage by itself, as the configuration has it; its network is loaded when it is used."""
    kind = load(name)
    identity = _identify(kind, configuration, Silent(), Machine.here())
    return _build(kind, configuration, facts, identity, threads)


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
    return kind(options, facts, _network(model_path(kind, configuration), identity, size, threads))


class LazyModel:
    """A network that is loaded when it is first asked: planning a match loads none."""

    def __init__(
        self, path: Path, identity: ModelIdentity, size: tuple[int, int], threads: int
    ) -> None:
        self._given = (path, identity, size, threads)

    @cached_property
    def _model(self) -> Model:
        return inference.load(*self._given)

    @property
    def names(self) -> Any:
        return self._model.names

    @cached_property
    def is_of_one_size(self) -> bool:
        return inference.is_of_one_size(self._given[0])

    def infer(self, images: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        return self._model.infer(images)

    def at(self, size: tuple[int, int]) -> Model:
        path, identity, _, threads = self._given
        return _network(path, identity, size, threads)


_network = lru_cache(maxsize=_NETWORKS_KEPT)(LazyModel)
"""The networks that this process holds: the next match of the same kind finds them loaded."""


def _identify(
    kind: type[BaseStage],
    configuration: ProcessingConfiguration,
    observer: Observer,
    machine: Machine,
) -> ModelIdentity | None:
    if not issubclass(kind, GPUStage):
        return None
    options: Any = options_of(kind, configuration)
    gpu = configuration.gpu_enabled
    path = model_path(kind, configuration)
    identity = inference.identify(path, options.backend, options.precision, gpu, machine)
    for text in inference.notices(identity, gpu, machine):
        observer.notice(text)
    return identity


def model_path(kind: type[GPUStage], configuration: ProcessingConfiguration) -> Path:
    """The file that the options name, else the operator's, else the shipped one."""
    options: Any = options_of(kind, configuration)
    shipped = models_folder()
    if options.model_name is None:
        own = os.environ.get("YOLO_MODEL_PATH") if kind.name == "player_detection" else None
        return Path(own) if own else shipped / kind.shipped_model()
    if found := network_file(options.model_name):
        return found
    names = ", ".join(sorted(path.name for path in shipped.glob("*.onnx")))
    raise InputError(
        f"{kind.name}.model_name: no file {options.model_name}; "
        f"give a .onnx, .xml, .pt, .torchscript or .engine file, or a shipped one: {names}"
    )


def network_file(name: str) -> Path | None:
    """The file of that name, or the shipped network, `detector` or `detector.onnx`."""
    shipped = models_folder()
    candidates = (Path(name), shipped / name, shipped / f"{name}.onnx")
    return next((path for path in candidates if path.is_file()), None)


def models_folder() -> Path:
    """Where the shipped weights lie: beside the code, in a checkout and in a wheel."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "models"
