"""Whose ball it is, frame by frame, as far as the match events tell."""

from bisect import bisect_right
from dataclasses import dataclass

import pyarrow as pa

from stages.export.roster import TEAMS

_ENDS_PLAY = ("ball_out", "goal", "foul")
_BY_THE_BALL = (
    "possession", "pass", "cross", "shot", "save", "tackle", "interception", "dribble", "kick_off",
    "throw_in", "corner", "goal_kick", "free_kick", "penalty",
)  # fmt: skip


@dataclass(frozen=True)
class Play:
    """Touches (first frame, last frame, team) and stops (first frame, end), both sorted."""

    touches: list[tuple[int, int, str]]
    stops: list[tuple[int, int]]

    @classmethod
    def read(cls, events: pa.Table | None) -> "Play":
        columns = ["type", "start_frame", "end_frame", "team"]
        rows = events.select(columns).to_pylist() if events is not None else []
        rows.sort(key=lambda row: (row["start_frame"], row["end_frame"]))
        touching = [row for row in rows if row["type"] in _BY_THE_BALL]
        touches = [
            (row["start_frame"], row["end_frame"], row["team"])
            for row in touching
            if row["team"] in TEAMS
        ]
        starts = [row["start_frame"] for row in touching]
        stops = []
        for row in rows:
            if row["type"] in _ENDS_PLAY:
                later = bisect_right(starts, row["start_frame"])
                end = starts[later] if later < len(starts) else row["end_frame"] + 1
                stops.append((row["start_frame"], end))
        return cls(touches, stops)

    def at(self, frame: int) -> tuple[str | None, str | None, bool]:
        """The team that touched the ball last, the one that has it now, and whether it is in play.

        None where the events do not tell. A ball of which nothing is said counts as in play.
        """
        alive = not any(start <= frame < end for start, end in self._near(self.stops, frame))
        index = bisect_right(self.touches, (frame, 1 << 62, "")) - 1
        if index < 0:
            return None, None, alive
        _, last, team = self.touches[index]
        return team, team if alive and frame <= last else None, alive

    @staticmethod
    def _near(stops: list[tuple[int, int]], frame: int) -> list[tuple[int, int]]:
        index = bisect_right(stops, (frame, 1 << 62))
        return stops[max(index - 1, 0) : index]
