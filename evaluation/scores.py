"""The numbers that a score is made of: plain floats, and None where a score is undefined."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Scores = dict[str, Any]
"""A JSON-able report: int, float, None, or a mapping of names to these. Never NaN or infinity."""


def finite(value: float | np.floating[Any]) -> float | None:
    """`value` as a plain float, None when it is NaN or infinite."""
    return float(value) if np.isfinite(value) else None


def share(part: float, whole: float) -> float | None:
    """`part` of `whole`, None when there is nothing to have a share of."""
    return finite(part / whole) if whole else None


def percentile(values: ArrayLike, percent: float) -> float | None:
    """The percentile of all values together (linear interpolation), None when there are none."""
    array = np.asarray(values, dtype=np.float64)
    return finite(np.percentile(array, percent)) if array.size else None


def root_mean_square(values: ArrayLike) -> float | None:
    """The root of the mean square, None when there are no values."""
    array = np.asarray(values, dtype=np.float64)
    return finite(np.sqrt(np.mean(array**2))) if array.size else None


@dataclass(frozen=True)
class Counts:
    """How often truth and answer agree: hits, answers that are wrong, truths that were missed."""

    hits: int
    false: int
    missed: int

    def __post_init__(self) -> None:
        if min(self.hits, self.false, self.missed) < 0:
            raise ValueError(f"counts: expected none below 0, actual {self}")

    @property
    def precision(self) -> float | None:
        return share(self.hits, self.hits + self.false)

    @property
    def recall(self) -> float | None:
        return share(self.hits, self.hits + self.missed)

    @property
    def f1(self) -> float | None:
        """2 hits / (2 hits + false + missed); None when neither side has anything."""
        return share(2 * self.hits, 2 * self.hits + self.false + self.missed)

    def rates(self) -> Scores:
        """`precision`, `recall` and `f1`."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


def no_rates() -> Scores:
    """`precision`, `recall` and `f1` where there is nothing to score."""
    return dict.fromkeys(("precision", "recall", "f1"))


def named(prefix: str, scores: Mapping[str, Any], suffix: str = "") -> Scores:
    """The same scores under longer names."""
    return {f"{prefix}{name}{suffix}": value for name, value in scores.items()}
