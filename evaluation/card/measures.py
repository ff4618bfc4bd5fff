"""What the accuracy card is made of: measures with their cases, in sections with pictures."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evaluation.scores import Scores

_KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
_FILE = re.compile(r"[a-z0-9_-]+\.(png|jpg)")


@dataclass(frozen=True)
class Measure:
    """One figure of the card.

    Attributes:
        key: `section.measure.part`; what a check names.
        label: for a reader.
        value: None where it could not be measured.
        cases: how many things `value` is taken over, and `case` what they are.
        unit: "" for a share from 0 to 1.
        higher_is_better: None for a figure that is no score.
        interval: the 95 % interval over the cases, None where they are too few to tell.
        beside: what to hold the figure against: the labels' own limit, a goal, a peer.
        headline: whether it stands in the summary.

    Raises:
        ValueError: the key is malformed, the value is not finite, or the interval is reversed.
    """

    key: str
    label: str
    value: float | None
    cases: int
    case: str
    unit: str = ""
    higher_is_better: bool | None = True
    interval: tuple[float, float] | None = None
    beside: str = ""
    headline: bool = False

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"measure: expected a key as section.name, actual {self.key!r}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"measure {self.key}: expected a finite value, actual {self.value}")
        if self.interval and not self.interval[0] <= self.interval[1]:
            raise ValueError(f"measure {self.key}: interval {self.interval} is reversed")

    def as_json(self) -> dict[str, Any]:
        found = dict(vars(self))
        found["interval"] = list(self.interval) if self.interval else None
        return found


@dataclass(frozen=True)
class Table:
    """A breakdown for a reader: a header and rows of text."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"table {self.title}: expected {len(self.header)} cells in each row")


@dataclass(frozen=True)
class Picture:
    """An encoded picture, PNG or JPEG by its name's ending.

    `private` ones show real footage: they are never written where the page lies.
    """

    name: str
    caption: str
    data: bytes = field(repr=False)
    private: bool = False

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.name):
            raise ValueError(f"picture: expected a plain name as a-b.png, actual {self.name!r}")


@dataclass(frozen=True)
class Section:
    """One kind of truth and what was scored on it.

    Attributes:
        name: first part of its measures' keys.
        taken: how the figures are taken and what they leave open, in sentences.
        scores: every number, by the name of the set that it was taken on.
        missing: why there is nothing, for a section whose material is not at hand.
        wall_s: how long it took.
    """

    name: str
    title: str
    taken: str = ""
    measures: Sequence[Measure] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    scores: Mapping[str, Scores] = field(default_factory=dict)
    missing: str = ""
    wall_s: float = 0.0

    def __post_init__(self) -> None:
        strangers = [m.key for m in self.measures if not m.key.startswith(f"{self.name}.")]
        if strangers:
            raise ValueError(f"section {self.name}: keys of another section: {strangers}")

    def took(self, wall_s: float) -> "Section":
        return replace(self, wall_s=wall_s)


@dataclass(frozen=True)
class Card:
    """All sections, and on what machine they were taken."""

    sections: Sequence[Section]
    machine: str

    @property
    def wall_s(self) -> float:
        return sum(section.wall_s for section in self.sections)

    @property
    def measures(self) -> Iterator[Measure]:
        for section in self.sections:
            yield from section.measures

    @property
    def missing(self) -> Sequence[Section]:
        return [section for section in self.sections if section.missing]

    def as_json(self) -> dict[str, Any]:
        """Every number; what a page says of them is left out."""
        return {
            "machine": self.machine,
            "wall_s": round(self.wall_s, 1),
            "measures": [measure.as_json() for measure in self.measures],
            "scores": {section.name: dict(section.scores) for section in self.sections},
            "missing": {section.name: section.missing for section in self.missing},
        }


def as_text(value: float | None, unit: str = "") -> str:
    """A figure as the page prints it: three decimals for a share, two for metres, - for none."""
    if value is None:
        return "–"  # noqa: RUF001
    if unit == "":
        return f"{value:.3f}"
    return f"{value:.1f} %" if unit == "%" else f"{value:.2f} {unit}"
