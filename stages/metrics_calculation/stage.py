"""The stage: what each track ran segment by segment, totals when the match is over."""

from collections.abc import Iterable
from typing import ClassVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from application.stage import Rows, StageResult, TimelineStage, WholeMatch
from domain import tables
from domain.configuration import MetricsCalculationOptions
from stages.metrics_calculation import motion
from stages.metrics_calculation.totals import Metric, Motion, of_players, of_teams


class MetricsCalculationState(msgspec.Struct):
    """Rows that later seconds need, and what has been counted so far."""

    waiting: pa.Table = msgspec.field(default_factory=lambda: tables.empty("tracks"))
    since_frame: int = 0
    first_s: float | None = None
    last_s: float | None = None
    frames: int = 0
    ball_known: int = 0


class MetricsCalculationStage(TimelineStage[MetricsCalculationOptions, MetricsCalculationState]):
    """Distances, speeds and sprints of players; distance, shape, passes and possession of teams.

    Totals are of the time in which a player was tracked: `observed_share` says how much of the
    match that is, and nothing is added for the rest.
    """

    name: ClassVar[str] = "metrics_calculation"
    version: ClassVar[int] = 1
    requires: ClassVar[tuple[str, ...]] = ("tracks", "ball")
    concludes_with: ClassVar[tuple[str, ...]] = ("track_motion",)
    optional_at_end: ClassVar[tuple[str, ...]] = ("identities", "match_events", "calibration")
    produces: ClassVar[tuple[str, ...]] = ("track_motion", "metrics")
    state_type: ClassVar[type[msgspec.Struct]] = MetricsCalculationState

    def advance(self, rows: Rows, state: MetricsCalculationState, *, final: bool) -> StageResult:
        known = pa.concat_tables([state.waiting, rows["tracks"]]).combine_chunks()
        waiting, done = motion.split(known, final=final)
        found = motion.reduce(known.slice(0, done), state.since_frame, self.options)
        watermark = known["frame"][done].as_py() if done < known.num_rows else rows.end
        state.waiting, state.since_frame = waiting, watermark
        _count(rows["ball"], state)
        return StageResult({"track_motion": found}, state, watermark)

    def conclude(self, match: WholeMatch, state: MetricsCalculationState) -> StageResult:
        first, last = state.first_s or 0.0, state.last_s or 0.0
        duration = max(last - first, 0.0)
        found = list(_of_match(match, state, duration))
        if match.has("identities"):
            ran = Motion.read(match.table("track_motion"), match.table("identities"))
            events = match.table("match_events") if match.has("match_events") else None
            found += [*of_teams(ran, events, duration), *of_players(ran, duration)]
        return StageResult({"metrics": _table(found, first, last)})


def _count(ball: pa.Table, state: MetricsCalculationState) -> None:
    if not ball.num_rows:
        return
    if state.first_s is None:
        state.first_s = ball["time_s"][0].as_py()
    state.last_s = ball["time_s"][-1].as_py()
    state.frames += ball.num_rows
    state.ball_known += ball.num_rows - ball["x"].null_count


def _of_match(
    match: WholeMatch, state: MetricsCalculationState, duration_s: float
) -> Iterable[Metric]:
    yield Metric("match", "match", "duration", duration_s, "s", None, 1.0)
    frames = max(state.frames, 1)
    known = state.ball_known / frames
    yield Metric("match", "match", "ball_located", known, "share", None, 1.0)
    if match.has("calibration"):
        counts = [_calibrated(part) for part in match.parts("calibration")]
        total = max(sum(rows for _, rows in counts), 1)
        share = sum(calibrated for calibrated, _ in counts) / total
        yield Metric("match", "match", "calibrated", share, "share", None, 1.0)


def _calibrated(part: pa.Table) -> tuple[int, int]:
    return pc.sum(pc.not_equal(part["status"], "none")).as_py() or 0, part.num_rows


def _table(found: list[Metric], start_s: float, end_s: float) -> pa.Table:
    names = ("scope", "subject", "name", "value", "unit", "uncertainty", "observed_share")
    columns = {name: [getattr(metric, name) for metric in found] for name in names}
    # a sum over nothing is not a measured nought
    columns["value"] = [each.value if each.observed_share > 0 else None for each in found]
    columns["start_s"] = [start_s] * len(found)
    columns["end_s"] = [end_s] * len(found)
    return tables.make("metrics", columns)
