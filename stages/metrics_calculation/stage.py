"""The stage: what each track ran segment by segment, totals when the match is over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from application.stage import Rows, StageResult, TimelineStage, WholeMatch
from domain import tables
from domain.configuration import MetricsCalculationOptions
from domain.periods import Period
from stages import periods as match_time
from stages.metrics_calculation import motion
from stages.metrics_calculation.totals import Metric, Motion, of_players, of_teams
from stages.shots import Gaps


class MetricsCalculationState(msgspec.Struct):
    """Rows that later seconds need."""

    waiting: pa.Table = msgspec.field(default_factory=lambda: tables.empty("tracks"))
    since_frame: int = 0


class MetricsCalculationStage(TimelineStage[MetricsCalculationOptions, MetricsCalculationState]):
    """Distances, speeds and sprints of players; distance, shape, passes and possession of teams.

    Totals are of the time in which a player was tracked: `observed_share` says how much of the
    match that is, and nothing is added for the rest. What is outside the periods is not counted,
    nor are close-ups and replays, of which the rest of the match's share, `measured`, is clear.
    """

    name: ClassVar[str] = "metrics_calculation"
    version: ClassVar[int] = 3
    requires: ClassVar[tuple[str, ...]] = ("tracks",)
    concludes_with: ClassVar[tuple[str, ...]] = ("track_motion", "ball")
    optional_at_end: ClassVar[tuple[str, ...]] = (
        "identities", "match_events", "calibration", "periods", "shots",
    )  # fmt: skip
    knows_at_end: ClassVar[tuple[str, ...]] = ("periods",)
    produces: ClassVar[tuple[str, ...]] = ("track_motion", "metrics")
    state_type: ClassVar[type[msgspec.Struct]] = MetricsCalculationState

    def advance(self, rows: Rows, state: MetricsCalculationState, *, final: bool) -> StageResult:
        known = pa.concat_tables([state.waiting, rows["tracks"]]).combine_chunks()
        waiting, done = motion.split(known, final=final)
        found = motion.reduce(known.slice(0, done), state.since_frame, self.options)
        watermark = known["frame"][done].as_py() if done < known.num_rows else rows.end
        state.waiting, state.since_frame = waiting, watermark
        return StageResult({"track_motion": found}, state, watermark)

    def conclude(self, match: WholeMatch, state: MetricsCalculationState) -> StageResult:  # noqa: ARG002
        periods = match_time.read(match, self.facts)
        gaps = Gaps.read(match)
        ball = _Counted.of((gaps.blanked(part, "x") for part in match.parts("ball")), periods)
        found = list(_of_match(match, ball, gaps))
        if match.has("identities"):
            motion_table = gaps.without_replays(match.table("track_motion"))
            # a second counts when its middle does
            middle = motion_table["time_s"].to_numpy() + 0.5
            counted = motion_table.filter(pa.array(match_time.inside(periods, middle)))
            ran = Motion.read(counted, match.table("identities"))
            events = match.table("match_events") if match.has("match_events") else None
            found += [*of_teams(ran, events, ball.lasted_s, gaps), *of_players(ran, ball.lasted_s)]
        return StageResult({"metrics": _table(found, ball.start_s, ball.end_s)})


@dataclass(frozen=True)
class _Counted:
    """The time that counts: by period its first and last frames and moments; and how many frames
    it has, and in how many of them the ball has a place."""

    periods: Mapping[int, "_Span"]
    frames: int
    ball_known: int

    @classmethod
    def of(cls, ball: Iterable[pa.Table], periods: Sequence[Period]) -> "_Counted":
        spans: dict[int, _Span] = {}
        frames = known = 0
        for part in ball:
            times, numbers = _times(part), part["frame"].to_numpy()
            placed = np.asarray(part["x"].is_valid())
            for period in match_time.stretches(periods):
                rows = np.flatnonzero(period.holds(times))
                if not len(rows):
                    continue
                ends = _Span(
                    *(int(numbers[r]) for r in rows[[0, -1]]), *times[rows[[0, -1]]].tolist()
                )
                spans[period.number] = spans.get(period.number, ends).until(ends)
                frames, known = frames + len(rows), known + int(placed[rows].sum())
        return cls(spans, frames, known)

    @property
    def lasted_s(self) -> float:
        return sum(span.last_s - span.first_s for span in self.periods.values())

    @property
    def start_s(self) -> float:
        return min((span.first_s for span in self.periods.values()), default=0.0)

    @property
    def end_s(self) -> float:
        return max((span.last_s for span in self.periods.values()), default=0.0)

    def of_frames(self, part: pa.Table) -> pa.Table:
        """The rows of frames that count."""
        frame = part["frame"].to_numpy()
        chosen = np.zeros(len(frame), bool)
        for span in self.periods.values():
            chosen |= (frame >= span.first_frame) & (frame <= span.last_frame)
        return part.filter(pa.array(chosen))


@dataclass(frozen=True)
class _Span:
    first_frame: int
    last_frame: int
    first_s: float
    last_s: float

    def until(self, later: "_Span") -> "_Span":
        return _Span(self.first_frame, later.last_frame, self.first_s, later.last_s)


def _times(part: pa.Table) -> NDArray[np.float64]:
    return np.asarray(part["time_s"].to_numpy(), dtype=np.float64)


def _of_match(match: WholeMatch, ball: _Counted, gaps: Gaps) -> Iterable[Metric]:
    yield Metric("match", "match", "duration", ball.lasted_s, "s", None, 1.0)
    if match.has("shots"):
        lost_s = sum(gaps.lost_s(span.first_s, span.last_s) for span in ball.periods.values())
        measured = 1 - lost_s / ball.lasted_s if ball.lasted_s > 0 else 0.0
        yield Metric("match", "match", "measured", measured, "share", None, 1.0)
    known = ball.ball_known / max(ball.frames, 1)
    yield Metric("match", "match", "ball_located", known, "share", None, 1.0)
    if match.has("calibration"):
        counts = [_calibrated(ball.of_frames(part)) for part in match.parts("calibration")]
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
