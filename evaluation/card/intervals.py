"""Intervals as the card prints them: the bootstrap's, where there are cases enough."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from evaluation.bootstrap import ROUNDS, bootstrap_interval

Case = TypeVar("Case")
Bounds = tuple[float, float]

MIN_CASES = 5
"""Below this many cases an interval would tell more than is known."""


def interval(
    cases: Sequence[Case],
    statistic: Callable[[list[Case]], float | None],
    rounds: int = ROUNDS,
) -> Bounds | None:
    """The 95 % interval of `statistic` over `cases`; None for fewer than five."""
    if len(cases) < MIN_CASES:
        return None
    found = bootstrap_interval(
        len(cases), lambda rows: statistic([cases[row] for row in rows]), rounds=rounds
    )
    return None if found is None else (found.low, found.high)
