"""Every option of the product, checked where it is made and frozen from then on.

A field marked by `Speed` changes how fast a result comes, never the result: it is in no cell's key.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.errors import ConfigurationError, Place
from domain.match import Kit, MatchOptions, at
from domain.periods import named_file
from domain.pitch import PITCH_POINT_COUNT, Pitch

STAGES = (
    "video_decoding",
    "player_detection",
    "pitch_observation",
    "pitch_calibration",
    "player_tracking",
    "ball_tracking",
    "team_classification",
    "event_detection",
    "formation_analysis",
    "metrics_calculation",
    "export",
)


class Speed:
    """Marks an option that may change the time a result takes but never the result."""


class EndOnly:
    """Marks an option that only the stage's END cell depends on."""


class Elsewhere:
    """Marks an option whose place in a key is that of what it is short for."""


Backend = Literal["auto", "openvino", "onnxruntime", "torch", "tensorrt"]
Precision = Literal["auto", "f32", "bf16", "int8"]
Share = Annotated[float, Field(ge=0, le=1)]
BatchSize = Annotated[int, Field(ge=1, le=256), Speed()]


class StageOptions(BaseModel):
    """What one stage can be told. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def result_changing(self) -> dict[str, Any]:
        """The options that belong in every cell's key, as plain JSON values."""
        return self.model_dump(mode="json", exclude=self._marked(Speed, EndOnly, Elsewhere))

    def end_changing(self) -> dict[str, Any]:
        """The options that belong in the END cell's key alone."""
        return self.model_dump(mode="json", include=self._marked(EndOnly))

    def _marked(self, *marks: type) -> set[str]:
        fields = type(self).model_fields.items()
        return {name for name, field in fields if any(isinstance(m, marks) for m in field.metadata)}

    @classmethod
    def parse(cls, stage: str, values: Any) -> Self:
        """Build from plain values given for `stage`.

        Raises:
            ConfigurationError: one line that names each bad option, its value and what is legal.
        """
        with _one_line(("stage_configs", stage)):
            return cls.model_validate(values)


class VideoDecodingOptions(StageOptions):
    target_fps: float | None = Field(
        None, gt=0, le=240, description="keep about this many frames a second"
    )
    target_resolution: tuple[int, int] | None = Field(
        None, description="largest width and height in pixels; the aspect ratio is kept"
    )
    extract_audio: Annotated[bool, EndOnly()] = False

    @model_validator(mode="after")
    def _sizes(self) -> "VideoDecodingOptions":
        if self.target_resolution and not all(
            64 <= side <= 8192 for side in self.target_resolution
        ):
            raise ValueError("target_resolution: legal are 64 to 8192 pixels")
        return self


class ModelOptions(StageOptions):
    """What a stage that runs a network can be told."""

    model_name: str | None = Field(
        None,
        description="a .onnx, .xml (OpenVINO), .pt, .torchscript or .engine (TensorRT) file; "
        "empty means the shipped model",
    )
    backend: Backend = "auto"
    precision: Precision = "auto"


class PlayerDetectionOptions(ModelOptions):
    batch_size: Annotated[int | None, Field(ge=1, le=256), Speed()] = None
    confidence_threshold: Share = Field(
        0.1, description="least for a person; tracking joins the weak ones to known tracks only"
    )
    ball_confidence_threshold: Share = Field(
        0.05, description="least for a ball; ball tracking chooses among the candidates"
    )
    nms_threshold: Share = Field(0.6, description="two boxes that overlap more are one person")
    second_look: bool = Field(
        True,
        description="look again, enlarged, at what may be the ball where none is sure; not with a "
        "model file that takes pictures of one size alone",
    )
    image_size: int = Field(1280, ge=320, le=4096, description="longer side that the network sees")


class PitchObservationOptions(ModelOptions):
    confidence_threshold: Share = 0.35
    every: int = Field(
        5,
        ge=1,
        le=100,
        description="look for the pitch's points in each n-th frame, and wherever motion is lost",
    )
    cut_threshold: float = Field(0.5, gt=0, le=1, description="histogram distance that makes a cut")


class PointPair(StageOptions):
    """A place in the image and the same place on the pitch."""

    pixel: tuple[float, float]
    metre: tuple[float, float]


class PitchCalibrationOptions(StageOptions):
    fixed_points: tuple[PointPair, ...] = Field(
        (), description="four or more: a camera that never moves"
    )
    min_points: int = Field(4, ge=4, le=PITCH_POINT_COUNT)
    ransac_threshold_m: float = Field(1.0, gt=0, le=10)
    max_error_m: float = Field(2.5, gt=0, le=50, description="a worse calibration is no answer")
    max_propagation_s: float = Field(2.0, ge=0, le=60)

    @model_validator(mode="after")
    def _enough_points(self) -> "PitchCalibrationOptions":
        if self.fixed_points and len(self.fixed_points) < 4:
            raise ValueError(
                f"fixed_points: legal are none or at least 4, actual {len(self.fixed_points)}"
            )
        return self


class PlayerTrackingOptions(StageOptions):
    high_confidence: Share = 0.5
    low_confidence: Share = 0.1
    new_track_confidence: Share = 0.6
    match_threshold: Share = 0.8
    max_missing_s: float = Field(1.0, ge=0, le=10)
    min_track_s: float = Field(0.2, ge=0, le=10)


class BallTrackingOptions(StageOptions):
    tracking_method: Literal["kalman", "particle"] = "kalman"
    min_ball_radius: float = Field(0.8, ge=0, le=100, description="pixels in a 1080-line picture")
    max_ball_radius: float = Field(70.0, gt=0, le=200, description="pixels in a 1080-line picture")
    max_missing_frames: int = Field(10, ge=0, le=500)
    particles: int = Field(500, ge=50, le=10000)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _radii(self) -> "BallTrackingOptions":
        if self.min_ball_radius >= self.max_ball_radius:
            raise ValueError(
                f"min_ball_radius: legal is below max_ball_radius ({self.max_ball_radius}), "
                f"actual {self.min_ball_radius}"
            )
        return self


class TeamClassificationOptions(StageOptions):
    min_observations: int = Field(5, ge=1, le=1000)
    home_colour: Annotated[str | None, Elsewhere()] = Field(
        None, pattern=r"^#[0-9a-fA-F]{6}$", description="short for match.home.kit.shirt: give one"
    )
    away_colour: Annotated[str | None, Elsewhere()] = Field(
        None, pattern=r"^#[0-9a-fA-F]{6}$", description="short for match.away.kit.shirt: give one"
    )


class EventDetectionOptions(StageOptions):
    possession_radius_m: float = Field(1.8, gt=0, le=10)
    min_pass_length_m: float = Field(3.0, ge=0, le=100)
    min_shot_speed_mps: float = Field(12.0, gt=0, le=60)


class FormationAnalysisOptions(StageOptions):
    window_s: float = Field(60.0, ge=1, le=5400)
    min_players: int = Field(8, ge=5, le=11)


class MetricsCalculationOptions(StageOptions):
    sprint_speed_mps: float = Field(7.0, gt=0, le=12)
    high_speed_mps: float = Field(5.5, gt=0, le=12)
    max_human_speed_mps: float = Field(11.0, gt=0, le=15)


class ExportOptions(StageOptions):
    formats: tuple[Literal["second_spectrum", "cdf"], ...] = ("second_spectrum", "cdf")
    annotated_video: bool = False
    radar: bool = True
    report: bool = False


class StageConfigs(BaseModel):
    """The options of each stage."""

    model_config = ConfigDict(extra="allow", frozen=True)

    video_decoding: VideoDecodingOptions = VideoDecodingOptions()
    player_detection: PlayerDetectionOptions = PlayerDetectionOptions()
    pitch_observation: PitchObservationOptions = PitchObservationOptions()
    pitch_calibration: PitchCalibrationOptions = PitchCalibrationOptions()
    player_tracking: PlayerTrackingOptions = PlayerTrackingOptions()
    ball_tracking: BallTrackingOptions = BallTrackingOptions()
    team_classification: TeamClassificationOptions = TeamClassificationOptions()
    event_detection: EventDetectionOptions = EventDetectionOptions()
    formation_analysis: FormationAnalysisOptions = FormationAnalysisOptions()
    metrics_calculation: MetricsCalculationOptions = MetricsCalculationOptions()
    export: ExportOptions = ExportOptions()


class PitchOptions(StageOptions):
    """Short for match.pitch_length_m and match.pitch_width_m."""

    length_m: float = Field(105.0, ge=90, le=120)
    width_m: float = Field(68.0, ge=45, le=90)


class ProcessingConfiguration(BaseModel):
    """One match, and all that decides how it is analysed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    video_path: tuple[str, ...]
    model_version: Literal["v1"] = "v1"
    batch_size: Annotated[int, Field(ge=1, le=256), Speed()] = 8
    gpu_enabled: bool = False
    checkpoint_enabled: bool = True
    segment_s: float | None = Field(None, ge=0.2, le=600, description="empty: by the length")
    pitch: PitchOptions = Field(
        PitchOptions(), description="short for match.pitch_length_m and pitch_width_m: give one"
    )
    match: MatchOptions = Field(MatchOptions(), description="docs/match.md")
    stages: Annotated[tuple[str, ...], Field(min_length=1)] = STAGES
    stage_configs: StageConfigs = StageConfigs()

    @model_validator(mode="before")
    @classmethod
    def _one_path_is_a_list_of_one(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and isinstance(values.get("video_path"), str):
            return {**values, "video_path": (values["video_path"],)}
        return values

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        """What has two names is said under one of them, and periods are of the input's files."""
        for side in ("length_m", "width_m"):
            if side in self.pitch.model_fields_set and getattr(self.match, f"pitch_{side}"):
                raise at(("pitch", side), f"match.pitch_{side} says it already; give one of them")
        teams = self.stage_configs.team_classification
        for team in ("home", "away"):
            if getattr(teams, f"{team}_colour") and getattr(self.match, team).kit.shirt:
                short = ("stage_configs", "team_classification", f"{team}_colour")
                raise at(short, f"match.{team}.kit.shirt says it already; give one of them")
        for index, period in enumerate(self.match.periods):
            if period.file is not None and named_file(period.file, self.video_path) is None:
                files = ", ".join(self.video_path)
                place = ("match", "periods", index, "file")
                raise at(place, f"no input file {period.file}, or several; they are {files}")
        return self

    def pitch_played_on(self) -> Pitch:
        """The pitch, by whichever name it is given."""
        return Pitch(
            self.match.pitch_length_m or self.pitch.length_m,
            self.match.pitch_width_m or self.pitch.width_m,
        )

    def kits(self) -> tuple[Kit, Kit]:
        """What home and away wear, by whichever name it is given."""
        short = self.stage_configs.team_classification
        found = []
        for team, colour in (
            (self.match.home, short.home_colour),
            (self.match.away, short.away_colour),
        ):
            shirt = (colour,) if colour else team.kit.shirt
            found.append(team.kit.model_copy(update={"shirt": shirt}))
        return found[0], found[1]

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "ProcessingConfiguration":
        """Build from plain values.

        Raises:
            ConfigurationError: one line that names each bad option, its value and what is legal.
        """
        with _one_line():
            return cls.model_validate(values)


@contextmanager
def _one_line(inside: Place = ()) -> Iterator[None]:
    """Turn pydantic's report into one line that names each bad option."""
    try:
        yield
    except ValidationError as error:
        raise ConfigurationError.of([_explain(item, inside) for item in error.errors()]) from error


def _explain(item: Any, inside: Place) -> tuple[Place, str]:
    """The option's place and what is wrong there."""
    place = (*inside, *item["loc"], *item.get("ctx", {}).get("place", ()))
    if item["type"] == "place":
        return place, item["msg"]
    if item["type"] == "extra_forbidden" and place[0] in STAGES:
        return place, "options of a stage belong under stage_configs"
    if item["type"] == "extra_forbidden":
        return place, f"unknown option (actual value {item['input']!r})"
    if item["type"] == "missing":
        return place, "missing"
    return place, f"{item['msg'].removeprefix('Value error, ')} (actual value {item['input']!r})"
