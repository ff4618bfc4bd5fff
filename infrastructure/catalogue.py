"""Which stages there are: our own, in the order in which they run, and those of other packages.

A stage's module is imported when the stage is first asked for: a worker that only sees pixels
does without what the stages on tables need.
"""

import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points

from application.stage import BaseStage
from domain.configuration import STAGES, ProcessingConfiguration, StageOptions
from domain.errors import ConfigurationError

ENTRY_POINT_GROUP = "footanalytics.stages"


def chosen(configuration: ProcessingConfiguration) -> Mapping[str, type[BaseStage]]:
    """The classes of the configured stages, in an order in which they can run.

    Raises:
        ConfigurationError: there is no stage of a name.
    """
    return _runnable({name: load(name) for name in _names(configuration)})


def known() -> tuple[str, ...]:
    """The names of all stages that are installed."""
    return (*STAGES, *_outside())


def load(name: str) -> type[BaseStage]:
    """The class of the stage `name`: ours by its folder, another package's by its entry point."""
    if name in STAGES:
        words = "".join(word.capitalize() for word in name.split("_"))
        module = importlib.import_module(f"stages.{name}.stage")
        return getattr(module, f"{words}Stage")  # type: ignore[no-any-return]
    return _outside()[name].load()  # type: ignore[no-any-return]


def options_of(stage: type[BaseStage], configuration: ProcessingConfiguration) -> StageOptions:
    """The stage's options; those of another package's stage are checked here."""
    given = getattr(configuration.stage_configs, stage.name, {})
    return given if isinstance(given, StageOptions) else stage.options_type.parse(stage.name, given)


def _names(configuration: ProcessingConfiguration) -> Sequence[str]:
    """The configured stages' names, those of other packages just before the export."""
    named = {*configuration.stages, *(configuration.stage_configs.model_extra or {})}
    outside = _outside() if named - set(STAGES) else {}
    if unknown := sorted(named - set(STAGES) - set(outside)):
        legal = ", ".join((*STAGES, *outside))
        raise ConfigurationError(f"stages: unknown stage {', '.join(unknown)}; legal are {legal}")
    order = (*STAGES[:-1], *outside, STAGES[-1])
    return [name for name in order if name in configuration.stages]


def _runnable(stages: Mapping[str, type[BaseStage]]) -> Mapping[str, type[BaseStage]]:
    """The same stages, each as early as given but after those that make what it reads.

    So a stage of another package may stand in for one of ours. Where nothing can go next, because
    stages wait for each other, the given order stays, and the plan says what is missing.
    """
    waiting = dict(stages)
    ordered: dict[str, type[BaseStage]] = {}
    while waiting:
        unmade = {table for stage in waiting.values() for table in stage.produces}
        name = next((name for name in waiting if not _needed(waiting[name]) & unmade), "")
        name = name or next(iter(waiting))
        ordered[name] = waiting.pop(name)
    return ordered


def _needed(stage: type[BaseStage]) -> set[str]:
    """The tables that it reads and does not make itself."""
    read = (stage.requires, stage.optional, stage.concludes_with, stage.optional_at_end)
    return {table for names in read for table in names} - set(stage.produces)


def _outside() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
