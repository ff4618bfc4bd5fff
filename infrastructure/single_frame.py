"""Stages outside a match: one image at a time, or tracking without video. For scores and checks."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from application import timeline
from application.stage import Frame, FrameStage, Image, MatchFacts, Rows, TimelineStage
from domain import tables
from domain.configuration import ProcessingConfiguration
from domain.pitch import Pitch
from infrastructure.planning import build_stage


class SingleFrameAnalysis:
    """The configured detector and calibration, for images that belong to no video."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._configuration = ProcessingConfiguration.parse(values)
        self._stages: dict[tuple[str, int, int], Any] = {}

    def detections(self, image: Image) -> pa.Table:
        """The table detections of `image` (height, width, 3) BGR, as frame 0."""
        return self._seen("player_detection", image)["detections"]

    def calibration(self, image: Image) -> pa.Table:
        """The table calibration of `image`, as frame 0."""
        observed = self._seen("pitch_observation", image)["pitch_observations"]
        calibration: TimelineStage = self._stage("pitch_calibration", image)
        columns = {"frame": [0], "time_s": [0.0], "segment": [0], "decoded": [True]}
        rows = {
            "video_frames": tables.make("video_frames", columns),
            "pitch_observations": observed,
        }
        result = calibration.advance(
            Rows(0, timeline.AT_END, rows), calibration.start(), final=True
        )
        return result.tables["calibration"]

    def _seen(self, name: str, image: Image) -> Mapping[str, pa.Table]:
        stage: FrameStage = self._stage(name, image)
        stage_pass = stage.begin()
        stage_pass.take([Frame(0, 0.0, image)])
        return stage_pass.tables()

    def _stage(self, name: str, image: Image) -> Any:
        key = (name, image.shape[0], image.shape[1])
        if key not in self._stages:
            facts = MatchFacts(image.shape[1], image.shape[0], 25.0)
            self._stages[key] = build_stage(name, self._configuration, facts)
        return self._stages[key]


def events_in_tracking(
    values: Mapping[str, Any],
    tracks: pa.Table,
    ball: pa.Table,
    identities: pa.Table,
    frame_rate: float,
) -> pa.Table:
    """The table match_events of tracking data, by the configured event detection."""
    configuration = ProcessingConfiguration.parse(values)
    facts = MatchFacts(1920, 1080, frame_rate, Pitch())
    stage: Any = build_stage("event_detection", configuration, facts)
    deliveries = {
        "tracks": timeline.Delivery(tracks, timeline.AT_END),
        "ball": timeline.Delivery(ball, timeline.AT_END),
    }
    result, _ = timeline.step(stage, timeline.begin(stage), deliveries, final=True)
    match = _TablesOfMatch({**result.tables, "identities": identities, **_given(tracks, ball)})
    return stage.conclude(match, result.state).tables["match_events"]


def _given(tracks: pa.Table, ball: pa.Table) -> dict[str, pa.Table]:
    return {"tracks": tracks, "ball": ball}


class _TablesOfMatch:
    """Whole tables that are at hand already."""

    def __init__(self, given: Mapping[str, pa.Table]) -> None:
        self._given = given

    def table(self, name: str) -> pa.Table:
        return self._given.get(name, tables.empty(name))

    def parts(self, name: str) -> Any:
        yield self.table(name)

    def has(self, name: str) -> bool:
        return name in self._given
