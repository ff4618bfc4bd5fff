"""The periods as stages see them: the table `periods`, or what was told before the first frame."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import MatchFacts, WholeMatch
from domain import tables
from domain.periods import Period

Array = NDArray[np.float64]
WHOLE = Period(1, -np.inf, np.inf)
"""All of the input, where nobody can tell its periods."""


def read(match: WholeMatch, facts: MatchFacts) -> tuple[Period, ...]:
    """The periods in order; none where they are not known."""
    if not match.has("periods"):
        return facts.periods
    rows = match.table("periods").to_pylist()
    names = ("start_s", "end_s", "kickoff_s", "home_attacks")
    return tuple(Period(row["period"], *(row[name] for name in names)) for row in rows)


def stretches(periods: Sequence[Period]) -> Sequence[Period]:
    """The stretches of the input that count: its periods, else all of it."""
    return periods or (WHOLE,)


def inside(periods: Sequence[Period], time_s: Array) -> NDArray[np.bool_]:
    """Which moments (n,) count."""
    return np.asarray(numbers(periods, time_s) > 0) if periods else np.ones(len(time_s), bool)


def numbers(periods: Sequence[Period], time_s: Array) -> NDArray[np.int64]:
    """The period of each moment (n,); 0 outside all of them."""
    found = np.zeros(len(time_s), np.int64)
    for period in periods:
        found[period.holds(time_s)] = period.number
    return found


def columns(periods: Sequence[Period], time_s: Array) -> dict[str, np.ma.MaskedArray]:
    """The columns `period` and `match_clock_s` of frames at the times (n,), masked if unknown."""
    number, clock = numbers(periods, time_s), np.full(len(time_s), np.nan)
    for period in periods:
        here = number == period.number
        clock[here] = period.clock_s(time_s[here])
    return {
        "period": np.ma.masked_equal(number, 0),
        "match_clock_s": np.ma.masked_invalid(clock),
    }


def table(periods: Sequence[Period], source: str, estimated: Sequence[int] = ()) -> pa.Table:
    """The table `periods`; of the numbers `estimated` the direction is not from outside."""
    names = ("start_s", "end_s", "kickoff_s", "home_attacks")
    rows: dict[str, list[object]] = {
        name: [getattr(each, name) for each in periods] for name in names
    }
    told = [None if each.home_attacks is None else source for each in periods]
    rows["direction_source"] = [
        "positions" if each.number in estimated else by
        for each, by in zip(periods, told, strict=True)
    ]
    rows["period"] = [each.number for each in periods]
    rows["source"] = [source] * len(periods)
    return tables.make("periods", rows)
