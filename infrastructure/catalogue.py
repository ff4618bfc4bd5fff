"""Which stages there are: our own, in the order in which they run, and those of other packages."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from application.stage import BaseStage
from domain.configuration import STAGES, ProcessingConfiguration, StageOptions
from domain.errors import ConfigurationError
from stages.ball_tracking.stage import BallTrackingStage
from stages.event_detection.stage import EventDetectionStage
from stages.export.stage import ExportStage
from stages.formation_analysis.stage import FormationAnalysisStage
from stages.metrics_calculation.stage import MetricsCalculationStage
from stages.pitch_calibration.stage import PitchCalibrationStage
from stages.pitch_observation.stage import PitchObservationStage
from stages.player_detection.stage import PlayerDetectionStage
from stages.player_tracking.stage import PlayerTrackingStage
from stages.team_classification.stage import TeamClassificationStage
from stages.video_decoding.stage import VideoDecodingStage

ENTRY_POINT_GROUP = "footanalytics.stages"
_OWN: tuple[type[BaseStage], ...] = (
    VideoDecodingStage,
    PlayerDetectionStage,
    PitchObservationStage,
    PitchCalibrationStage,
    PlayerTrackingStage,
    BallTrackingStage,
    TeamClassificationStage,
    EventDetectionStage,
    FormationAnalysisStage,
    MetricsCalculationStage,
    ExportStage,
)


def chosen(configuration: ProcessingConfiguration) -> Mapping[str, type[BaseStage]]:
    """The classes of the configured stages, in an order in which they can run.

    Raises:
        ConfigurationError: there is no stage of a name.
    """
    own = {stage.name: stage for stage in _OWN}
    assert tuple(own) == STAGES
    strangers = {
        *(name for name in configuration.stages if name not in own),
        *(configuration.stage_configs.model_extra or {}),
    }
    outside = _outside() if strangers else {}
    if unknown := sorted(strangers - set(outside)):
        known = ", ".join((*own, *outside))
        raise ConfigurationError(f"stages: unknown stage {', '.join(unknown)}; legal are {known}")
    *before, export = own.items()
    ordered = dict([*before, *outside.items(), export])
    return {name: stage for name, stage in ordered.items() if name in configuration.stages}


def options_of(stage: type[BaseStage], configuration: ProcessingConfiguration) -> StageOptions:
    """The stage's options; those of another package's stage are checked here."""
    configs = configuration.stage_configs
    given = getattr(configs, stage.name, {})
    return given if isinstance(given, StageOptions) else stage.options_type.parse(stage.name, given)


def _outside() -> Mapping[str, type[BaseStage]]:
    return {point.name: point.load() for point in entry_points(group=ENTRY_POINT_GROUP)}
