"""When the halves are played."""

from dataclasses import dataclass
from typing import Literal

from domain.periods import Period

RETURN_S = 30.0  # how long before the second half people come back, or half the break


@dataclass(frozen=True)
class Schedule:
    """`seconds` of video; the first half ends at `half_time_s` (never when None), the second one
    begins `break_s` later, or as soon afterwards as everybody is in place.
    """

    seconds: float
    half_time_s: float | None = None
    break_s: float = 60.0

    def first_period(self, home_sign: int) -> Period:
        end_s = self.seconds if self.half_time_s is None else self.half_time_s
        return Period(1, 0.0, float(min(end_s, self.seconds)), 0.0, side_of(home_sign))

    def back_s(self) -> float:
        """When people come back and the ends are changed."""
        assert self.half_time_s is not None
        return self.half_time_s + self.break_s - min(RETURN_S, self.break_s / 2)


def side_of(sign: int) -> Literal["left", "right"]:
    """The side that a team attacks, as the main camera sees it."""
    return "right" if sign > 0 else "left"
