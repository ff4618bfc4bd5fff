"""The periods of a match on the time line of its input, and the match clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from domain.errors import ConfigurationError
from domain.match import PeriodOptions, Side

CLOCK_STARTS_S = (0.0, 2700.0, 5400.0, 6300.0, 7200.0)
"""What the match clock shows when each period kicks off: 0, 45, 90, 105 and 120 minutes."""

HALVES = 2


@dataclass(frozen=True)
class Period:
    """The stretch [start_s, end_s) of the input's time in which one period is played.

    `kickoff_s` is None where nobody said it, and then there is no match clock.
    """

    number: int
    start_s: float
    end_s: float
    kickoff_s: float | None = None
    home_attacks: Side | None = None

    def clock_s(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The match clock at moments of this period (n,); NaN where there is none."""
        if self.kickoff_s is None:
            return np.full(len(time_s), np.nan)
        return time_s - self.kickoff_s + CLOCK_STARTS_S[self.number - 1]

    def holds(self, time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which moments (n,) are in this period."""
        return np.asarray((time_s >= self.start_s) & (time_s < self.end_s))


@dataclass(frozen=True)
class InputFile:
    """A file of the input and its place on the time line of all files."""

    path: str
    start_s: float
    end_s: float


def scheduled(
    options: Sequence[PeriodOptions], files: Sequence[InputFile]
) -> tuple[tuple[Period, ...], str]:
    """The periods, and who said so: "configuration", "files" or, without any, "unknown".

    Without configured periods two files are the two halves, each from its first frame on.

    Raises:
        ConfigurationError: a period names no file of the input, or lies outside it.
    """
    if options:
        periods = tuple(
            _placed(number, each, files) for number, each in enumerate(options, start=1)
        )
        for earlier, later in zip(periods, periods[1:], strict=False):
            if later.start_s < earlier.end_s:
                raise _wrong(
                    later.number,
                    f"begins at {later.start_s:g} s of the input, before period {earlier.number} "
                    f"ends at {earlier.end_s:g} s",
                )
        return periods, "configuration"
    if len(files) == HALVES:
        halves = enumerate(files, start=1)
        return tuple(Period(n, f.start_s, f.end_s, f.start_s) for n, f in halves), "files"
    return (), "unknown"


def named_file(name: str, paths: Sequence[str]) -> int | None:
    """Which of the input's `paths` a period means by `name`: the path, or its last part."""
    exact = [index for index, path in enumerate(paths) if PurePath(path) == PurePath(name)]
    alike = [index for index, path in enumerate(paths) if PurePath(path).name == name]
    found = exact or alike
    return found[0] if len(found) == 1 else None


def _placed(number: int, options: PeriodOptions, files: Sequence[InputFile]) -> Period:
    origin_s, limit_s = 0.0, files[-1].end_s
    if options.file is not None:
        index = named_file(options.file, [file.path for file in files])
        if index is None:
            raise _wrong(number, f"no input file {options.file}")
        origin_s, limit_s = files[index].start_s, files[index].end_s
    start_s = origin_s + (options.start_s or 0.0)
    end_s = limit_s if options.end_s is None else min(origin_s + options.end_s, limit_s)
    kickoff_s = start_s if options.kickoff_s is None else origin_s + options.kickoff_s
    start_s = max(start_s, kickoff_s)
    if start_s >= end_s:
        where = "the file" if options.file is not None else "the input"
        length = limit_s - origin_s
        raise _wrong(number, f"begins after {where} has ended: it lasts {length:g} s")
    return Period(number, start_s, end_s, kickoff_s, options.home_attacks)


def _wrong(number: int, text: str) -> ConfigurationError:
    place = ("match", "periods", number - 1)
    return ConfigurationError.of([(place, text)])
