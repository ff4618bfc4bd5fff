"""The quick form's committed numbers: written with their noise, and compared with new ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import InputError, ResourceError
from evaluation.card.measures import Card, Measure, as_text

FLOORS = {"": 0.01, "m": 0.03, "m/s": 0.05, "%": 2.0}
"""Noise is never taken for less, by unit: a few borderline boxes on another processor."""

LEAST_SHARE_OF_VALUE = 0.1
"""Nor for less than this part of a value that is no share: long errors move by more."""

FRAGILE = {"simulated": 3.0}
"""By section, how many floors: a track that breaks elsewhere carries many frames with it."""

HOW_NOISE_WAS_FOUND = (
    "value: the mean of the quick form's runs under `precisions`; noise: twice how far they lie "
    "apart, and at least the unit's floor, one case of a share, or a tenth of another value. The "
    "material is the same each time, so what its choice adds (the card's intervals) is not in it."
)


@dataclass(frozen=True)
class Committed:
    """A measure as it was committed: a value beyond `noise` on the wrong side is a drop."""

    value: float
    noise: float
    unit: str
    higher_is_better: bool

    def is_drop(self, value: float) -> bool:
        fall = self.value - value if self.higher_is_better else value - self.value
        # a value that is just `noise` off is no drop, however it was rounded
        return fall > self.noise + 1e-6


@dataclass(frozen=True)
class Verdict:
    """What a check found: how many figures it compared, a line for each drop, what it could not."""

    compared: int
    drops: Sequence[str]
    notes: Sequence[str]


def commit(runs: Sequence[Card], precisions: Sequence[str]) -> dict[str, Any]:
    """The JSON to commit, from the quick form under several precisions.

    Only measures that are scores, and that every run has, are committed; not one whose noise is
    so large that hardly anything could fail it.
    """
    by_key = [{m.key: m for m in run.measures if _is_score(m)} for run in runs]
    common = [key for key in by_key[0] if all(key in other for other in by_key[1:])]
    rows = {key: _committed([run[key] for run in by_key]) for key in common}
    telling = {key: row for key, row in rows.items() if _can_fail(row, by_key[0][key])}
    return {
        "noise": HOW_NOISE_WAS_FOUND,
        "precisions": list(precisions),
        "machine": runs[0].machine,
        "measures": telling,
    }


def read_committed(path: Path) -> dict[str, Committed]:
    """The measures of a file that `commit` made.

    Raises:
        InputError: the file is missing, or is no such file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["measures"]
        return {
            key: Committed(
                row["value"], row["noise"], row["unit"], higher_is_better=row["higher_is_better"]
            )
            for key, row in found.items()
        }
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the numbers of a quick form: write them again") from error


def compare(card: Card, committed: Mapping[str, Committed]) -> Verdict:
    """Hold a card's measures against the committed ones of its sections.

    A committed measure that the card lacks is a drop, unless its whole section is missing.
    """
    found = {measure.key: measure for measure in card.measures}
    taken = {section.name for section in card.sections if not section.missing}
    compared = {key: row for key, row in committed.items() if key.partition(".")[0] in taken}
    drops = [
        line for key, before in compared.items() for line in _drop(key, before, found.get(key))
    ]
    notes = [f"{section.name}: not compared ({section.missing})" for section in card.missing]
    return Verdict(len(compared), drops, notes)


def write_numbers(numbers: dict[str, Any], path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written ({error.strerror})") from error


def _is_score(measure: Measure) -> bool:
    return measure.value is not None and measure.higher_is_better is not None


def _committed(measures: Sequence[Measure]) -> dict[str, Any]:
    values = [measure.value for measure in measures if measure.value is not None]
    first, mean = measures[0], sum(values) / len(values)
    noise = max(2 * (max(values) - min(values)), _least_noise(first, mean))
    return {
        "value": round(mean, 4),
        "noise": round(noise, 4),
        "unit": first.unit,
        "higher_is_better": first.higher_is_better,
        "cases": first.cases,
    }


def _can_fail(row: Mapping[str, Any], measure: Measure) -> bool:
    """A value that should be high cannot fall below 0; an error may rise, but not by any amount."""
    room = float(row["value"])
    if not measure.higher_is_better:
        room = max(room, 10 * _least_noise(measure, room))
    return float(row["noise"]) < room


def _least_noise(measure: Measure, value: float) -> float:
    floor = FLOORS.get(measure.unit, 0.0) * FRAGILE.get(measure.key.partition(".")[0], 1.0)
    if measure.unit:
        return max(floor, LEAST_SHARE_OF_VALUE * abs(value))
    return max(floor, 1 / measure.cases) if measure.cases else floor


def _drop(key: str, before: Committed, now: Measure | None) -> list[str]:
    was = as_text(before.value, before.unit)
    if now is None or now.value is None:
        return [f"{key}: was {was}, is not measured any more"]
    if not before.is_drop(now.value):
        return []
    word = "fell" if before.higher_is_better else "rose"
    noise = as_text(before.noise, before.unit)
    return [f"{key}: {word} from {was} to {as_text(now.value, now.unit)} (noise {noise})"]
