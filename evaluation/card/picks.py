"""Figures over several matches or clips: which of their many scores, and how they are joined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from evaluation.card.intervals import interval
from evaluation.card.measures import Measure, Table, as_text
from evaluation.scores import Scores


@dataclass(frozen=True)
class Pick:
    """A score of a match that stands on the page: where it lies, and how a reader knows it.

    Attributes:
        path: its key in the scores of a match, with / into a mapping.
        short: the head of its column.
        count: the path of how many cases it is taken over, `case` what they are.
        weight: the path of what matches are weighted by, where that is not `count`.
    """

    path: str
    label: str
    short: str
    count: str
    case: str
    unit: str = ""
    higher_is_better: bool | None = True
    headline: bool = False
    beside: str = ""
    weight: str = ""

    def of(self, scores: Scores) -> float | None:
        """Its value in the scores of a match, None where there is none."""
        found = _at(scores, self.path)
        return None if found is None else float(found)

    def cases_in(self, scores: Scores) -> int:
        return int(_at(scores, self.count) or 0)

    def weight_in(self, scores: Scores) -> int:
        return int(_at(scores, self.weight or self.count) or 0)


def over_all(section: str, picks: Sequence[Pick], scores: Mapping[str, Scores]) -> list[Measure]:
    """Each pick over all matches, weighted by its cases or as it says; one that no match has a case
    of is left out."""
    return [measure for pick in picks for measure in _joined(section, pick, scores)]


def by_match(title: str, picks: Sequence[Pick], scores: Mapping[str, Scores]) -> Table:
    """A row a match; picks that no match has are left out."""
    shown = [pick for pick in picks if any(pick.of(found) is not None for found in scores.values())]
    rows = [
        (name, *(as_text(pick.of(found), pick.unit) for pick in shown))
        for name, found in scores.items()
    ]
    return Table(title, ("match", *(pick.short for pick in shown)), rows)


def _joined(section: str, pick: Pick, scores: Mapping[str, Scores]) -> list[Measure]:
    given = [(pick.of(match), pick.weight_in(match)) for match in scores.values()]
    cases = [(value, weight) for value, weight in given if value is not None and weight]
    total = sum(pick.cases_in(match) for match in scores.values() if pick.of(match) is not None)
    if not cases or not total:
        return []
    return [
        Measure(
            f"{section}.{pick.path.replace('/', '.')}", pick.label, _weighted(cases), total,
            pick.case, pick.unit, pick.higher_is_better, interval(cases, _weighted),
            pick.beside, pick.headline,
        )
    ]  # fmt: skip


def _weighted(cases: Sequence[tuple[float, int]]) -> float:
    return sum(value * weight for value, weight in cases) / sum(weight for _, weight in cases)


def _at(scores: Scores, path: str) -> Any:
    return reduce(_inner, path.split("/"), scores)


def _inner(scores: Any, name: str) -> Any:
    return scores.get(name) if isinstance(scores, Mapping) else None
