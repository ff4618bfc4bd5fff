"""Formations: for how much of the time is a team's formation named right?"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from evaluation.scores import Scores, share

_OPPOSITE = {"home": "away", "away": "home"}


@dataclass(frozen=True)
class Window:
    """A team's formation over a stretch of time; label None where it cannot be told."""

    team: str
    start_s: float
    end_s: float
    phase: str
    label: str | None
    confidence: float

    def covers(self, time_s: float) -> bool:
        return self.start_s <= time_s < self.end_s

    def answers(self, other: "Window") -> bool:
        """Whether the two speak of the same team in the same phase of play ("all" fits any)."""
        phases = (self.phase, other.phase)
        return self.team == other.team and (self.phase == other.phase or "all" in phases)

    def clipped(self, start_s: float, end_s: float) -> "Window":
        """The part between two times; without duration where they do not meet."""
        low, high = np.clip([self.start_s, self.end_s], start_s, end_s)
        return replace(self, start_s=float(low), end_s=float(high))


def windows_of(table: pa.Table, *, swapped: bool = False) -> list[Window]:
    """The rows of a formations table; a label keeps its digits only ("4-2-3-1" is "4231").

    Args:
        swapped: home and away change names.
    """
    return [
        Window(
            team=_OPPOSITE.get(row["team"], row["team"]) if swapped else row["team"],
            start_s=row["start_s"],
            end_s=row["end_s"],
            phase=row["phase"],
            label=_digits(row["label"]),
            confidence=row["confidence"],
        )
        for row in table.to_pylist()
    ]


def score_formations(truth: list[Window], result: list[Window]) -> Scores:
    """Over the time for which truth names a formation: the shares named right, and named at all.

    Where windows of the result overlap, the one of the same phase speaks, then the surest.
    """
    total = answered = right = 0.0
    for wanted in (window for window in truth if window.label is not None):
        answers = [window for window in result if window.answers(wanted)]
        for start, end in _spans(wanted, answers):
            label = _answer_at((start + end) / 2, wanted, answers)
            total += end - start
            answered += (end - start) * (label is not None)
            right += (end - start) * (label == wanted.label)
    return {
        "formation_accuracy": share(right, total),
        "formation_accuracy_answered": share(right, answered),
        "formation_answered_share": share(answered, total),
        "formation_seconds": total,
    }


def _digits(label: str | None) -> str | None:
    return "".join(filter(str.isdigit, label or "")) or None


def _spans(wanted: Window, answers: list[Window]) -> list[tuple[float, float]]:
    """`wanted` cut where an answer begins or ends."""
    edges = [edge for window in answers for edge in (window.start_s, window.end_s)]
    inside = np.unique(
        np.clip([wanted.start_s, wanted.end_s, *edges], wanted.start_s, wanted.end_s)
    )
    return [(float(a), float(b)) for a, b in zip(inside[:-1], inside[1:], strict=True)]


def _answer_at(time_s: float, wanted: Window, answers: list[Window]) -> str | None:
    here = [window for window in answers if window.covers(time_s)]
    if not here:
        return None
    return max(here, key=lambda w: (w.phase == wanted.phase, w.confidence, w.start_s)).label
