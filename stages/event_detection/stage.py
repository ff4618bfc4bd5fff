"""The stage: contacts segment by segment, events when the match is over."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec
import numpy as np
import pyarrow as pa

from application.stage import Rows, StageResult, TimelineStage, WholeMatch
from domain import tables
from domain.configuration import EventDetectionOptions
from domain.periods import Period
from stages import periods as match_time
from stages.event_detection import contact
from stages.event_detection.course import Course, crossings
from stages.event_detection.possession import Names, spells
from stages.event_detection.rules import Event, Rules
from stages.shots import Gaps


class EventDetectionState(msgspec.Struct):
    """Rows of `contact.approaches` that are not final or that a window still looks back at."""

    rows: np.ndarray = msgspec.field(default_factory=lambda: np.empty((0, 7)))
    done_before: int = 0


class EventDetectionStage(TimelineStage[EventDetectionOptions, EventDetectionState]):
    """Touches as the match goes on; possession, passes, shots and outs from the whole of it.

    Frames without a calibrated ball or player give no touch, so a match that was never
    calibrated has no events. Replays are left out, and nothing is said of a ball that was kicked
    before a close-up or a replay and met after it.
    """

    name: ClassVar[str] = "event_detection"
    version: ClassVar[int] = 3
    requires: ClassVar[tuple[str, ...]] = ("tracks", "ball")
    concludes_with: ClassVar[tuple[str, ...]] = ("identities", "touches", "ball")
    optional_at_end: ClassVar[tuple[str, ...]] = ("periods", "shots")
    knows_at_end: ClassVar[tuple[str, ...]] = ("periods",)
    produces: ClassVar[tuple[str, ...]] = ("touches", "match_events")
    state_type: ClassVar[type[msgspec.Struct]] = EventDetectionState

    def advance(self, rows: Rows, state: EventDetectionState, *, final: bool) -> StageResult:
        radius = self.options.possession_radius_m
        new = contact.approaches(rows["ball"], rows["tracks"], radius)
        known = np.vstack([state.rows, new])
        times = rows["ball"]["time_s"]
        newest_s = times[-1].as_py() if len(times) else -np.inf
        done = np.ones(len(known), bool) if final else contact.ready(known, newest_s)
        # a batch without frames says nothing of time: what was done stays done
        done |= known[:, contact.FRAME] < state.done_before
        found = contact.touches(known, done & (known[:, contact.FRAME] >= state.done_before))
        waiting = known[~done, contact.FRAME]
        watermark = int(waiting.min()) if len(waiting) else rows.end
        after = EventDetectionState(contact.still_needed(known, done), watermark)
        return StageResult({"touches": found}, after, watermark)

    def conclude(self, match: WholeMatch, state: EventDetectionState) -> StageResult:  # noqa: ARG002
        gaps = Gaps.read(match)
        touches = gaps.without_replays(match.table("touches"))
        if match.has("identities"):
            names = Names.read(match.table("identities"))
        else:
            names = Names.of_tracks(touches)
        ball = (gaps.blanked(part, "x", "y", "z", "sigma_m") for part in match.parts("ball"))
        course = Course.read(ball, gaps)
        found = [
            event
            for period in match_time.stretches(match_time.read(match, self.facts))
            for event in self._events(touches, course, names, period)
        ]
        return StageResult({"match_events": _table(found)})

    def _events(
        self, touches: pa.Table, course: Course, names: Names, period: Period
    ) -> list[Event]:
        """The events of one period: nothing before it or after it is looked at."""
        within = touches.filter(pa.array(period.holds(touches["time_s"].to_numpy())))
        course = course.during(period)
        had, outs = spells(within, names), crossings(course, self.facts.pitch)
        rules = Rules(self.options, self.facts.pitch, names, course, had, outs, period.home_attacks)
        return rules.events()


def _table(events: Sequence[Event]) -> pa.Table:
    columns = {
        "event": np.arange(len(events)),
        "type": [event.type for event in events],
        "player": [event.player for event in events],
        "receiver": [event.receiver for event in events],
        "team": [event.team for event in events],
        "outcome": [event.outcome for event in events],
        "confidence": [event.confidence for event in events],
        "evidence": [event.evidence for event in events],
        "evidence_frames": [list(event.frames) for event in events],
        "provisional": [False] * len(events),
    }
    for name in ("start", "end"):
        places = [getattr(event, name) for event in events]
        columns[f"{name}_frame"] = [place.frame for place in places]
        columns[f"{name}_s"] = [place.time_s for place in places]
        columns[f"{name}_x"] = [place.x for place in places]
        columns[f"{name}_y"] = [place.y for place in places]
    return tables.make("match_events", columns)
