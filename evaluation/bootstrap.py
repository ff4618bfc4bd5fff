"""How far a score would move with other cases of the same kind: bootstrap intervals.

The cases are drawn anew with replacement, the score is taken of each draw, and the interval holds
the middle of these scores (the percentile method; Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, chapter 13). A case is what could as well have been another one: a match, an
image, an event; frames of one shot are not, since they resemble each other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS = 1000
LEVEL = 0.95
_MIN_DEFINED = 0.5


@dataclass(frozen=True)
class Interval:
    """Where a score lies with probability `level`, from n cases."""

    low: float
    high: float
    n: int
    level: float


def bootstrap_interval(
    count: int,
    statistic: Callable[[NDArray[np.int64]], float | None],
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
    level: float = LEVEL,
) -> Interval | None:
    """The interval of a score over `count` cases.

    Args:
        statistic: the score of the cases of these numbers (count,), each 0 to count - 1, some
            several times; None where it is undefined.
        seed: equal seeds give equal intervals.

    Returns:
        None for fewer than two cases, or where the score of half of the draws is undefined.

    Raises:
        ValueError: a negative count, no rounds, or a level outside 0 to 1.
    """
    if count < 0 or rounds < 1 or not 0 < level < 1:
        raise ValueError(
            f"bootstrap: expected count >= 0, rounds >= 1 and 0 < level < 1, "
            f"actual {count}, {rounds}, {level}"
        )
    if count < 2:
        return None
    random = np.random.default_rng(seed)
    drawn = (statistic(random.integers(count, size=count)) for _ in range(rounds))
    scores = [score for score in drawn if score is not None and np.isfinite(score)]
    if len(scores) < _MIN_DEFINED * rounds:
        return None
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), count, level)


def mean_interval(values: NDArray[np.float64], *, seed: int = 0) -> Interval | None:
    """The interval of the mean of values (n,), one a case."""
    return share_interval(values, np.ones(len(values)), seed=seed)


def share_interval(
    parts: NDArray[np.float64], wholes: NDArray[np.float64], *, seed: int = 0
) -> Interval | None:
    """The interval of sum(parts) / sum(wholes), (n,) each, a case having a part and a whole.

    An F1 score is such a share: 2 hits of 2 hits + false + missed.
    """

    def statistic(rows: NDArray[np.int64]) -> float | None:
        whole = float(wholes[rows].sum())
        return float(parts[rows].sum()) / whole if whole else None

    return bootstrap_interval(len(wholes), statistic, seed=seed)
