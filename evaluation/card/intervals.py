"""95 % intervals by the bootstrap (Efron, 1979): cases drawn with replacement, a fixed seed."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Case = TypeVar("Case")
Interval = tuple[float, float]

DRAWS = 1000
MIN_CASES = 5
"""Below this many cases an interval would tell more than is known."""
_SEED = 7


def drawn(cases: int, draws: int = DRAWS) -> NDArray[np.int64]:
    """Indexes (draws, cases) of the cases of each sample; the same for the same number of cases."""
    return np.random.default_rng(_SEED).integers(0, cases, (draws, cases))


def interval_of(samples: NDArray[np.float64]) -> Interval | None:
    """The middle 95 % of a statistic's samples (n,); None where a tenth of them is undefined."""
    defined = samples[np.isfinite(samples)]
    if len(defined) < 0.9 * len(samples) or not len(defined):
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def bootstrap(
    cases: Sequence[Case], statistic: Callable[[list[Case]], float], draws: int = DRAWS
) -> Interval | None:
    """The interval of `statistic` over `cases`; None for fewer than five."""
    if len(cases) < MIN_CASES:
        return None
    samples = [statistic([cases[index] for index in row]) for row in drawn(len(cases), draws)]
    return interval_of(np.array(samples))
