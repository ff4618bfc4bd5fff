"""The director of a broadcast: which camera is on air when, and which moment of play it shows.

Cuts come as in matches on television: the main camera for about 70 % of the time, away from it
when the ball is dead or something is over, back for the play. What the director hides goes on.
"""

from dataclasses import dataclass, replace

import numpy as np

from simulation.people import KEEPERS, PLAYERS, REFEREE
from simulation.play import PlayRecord
from simulation.state import TICK_S, Action

# Cameras whose view is not wide, in the words of domain.tables.VIEWS.
VIEW_OF = {"touchline": "close", "close": "close", "crowd": "other"}
REPLAYED = ("shot", "foul")

MAIN_S = (8.0, 18.0)
UNHURRIED_S = 40.0  # a video shorter than this is cut faster, so that it has cuts at all
SHORTEST_S = 1.0
CLOSE_S, CROWD_S, WIDE_S = (2.0, 4.5), (1.8, 3.2), (3.5, 7.0)
REPLAY_CAMERAS = {"line": 0.35, "behind_goal": 0.2, "touchline": 0.25, "close": 0.2}
REPLAY_PACE = (0.4, 0.6)
REPLAY_BEFORE_S, REPLAY_AFTER_S, REPLAY_LONGEST_S = 1.8, 0.9, 3.2  # of play
REPLAY_FITS_S = 2.5  # of video, at least
STALE_S = 25.0  # older moments are not shown again
DISSOLVE_SHARE = 0.15


@dataclass(frozen=True)
class Cue:
    """`camera` is on air from `start_s` to `end_s` of the video and shows the play from `play_s`
    at `pace` (1 is live); `subject` is who a close-up follows, `opening` how it comes on air.
    """

    camera: str
    start_s: float
    end_s: float
    play_s: float
    pace: float = 1.0
    subject: int | None = None
    opening: str = "cut"  # cut, dissolve, wipe
    replay: bool = False

    @property
    def view(self) -> str:
        return VIEW_OF.get(self.camera, "wide")


def direct(record: PlayRecord, seconds: float, rng: np.random.Generator) -> list[Cue]:
    """Cues that fill `seconds` of video without a gap, beginning with the main camera."""
    return _Director(record, seconds, rng).direct()


class _Director:
    def __init__(self, record: PlayRecord, seconds: float, rng: np.random.Generator) -> None:
        self._record, self._seconds, self._rng = record, seconds, rng
        self._hurry = min(1.0, seconds / UNHURRIED_S)
        self._moments = [action for action in record.actions if action.kind in REPLAYED]
        self._replayed_s = 0.0  # what ended by then is not replayed any more
        self._replays = 0
        self._cues: list[Cue] = []

    def direct(self) -> list[Cue]:
        now = self._on_air("main", 0.0, self._main_s(0.0))
        while self._seconds - now >= 2 * SHORTEST_S:
            back = self._away(now)
            opening = "wipe" if self._cues[-1].replay else self._soft_cut()
            now = self._on_air("main", back, self._main_s(back), opening=opening)
        self._cues[-1] = replace(self._cues[-1], end_s=self._seconds)
        return self._cues

    def _on_air(
        self,
        camera: str,
        start_s: float,
        length_s: float,
        subject: int | None = None,
        opening: str = "cut",
    ) -> float:
        """Put a live camera on air; the time at which it goes off."""
        end_s = min(start_s + max(length_s, SHORTEST_S), self._seconds)
        self._cues.append(Cue(camera, start_s, end_s, start_s, 1.0, subject, opening))
        return end_s

    def _main_s(self, now: float) -> float:
        """How long the main camera stays: until a moment is over or the ball is dead."""
        drawn = self._rng.uniform(*MAIN_S) * self._hurry
        overs = [a.end_s + self._rng.uniform(0.8, 1.6) - now for a in self._moments]
        dead = np.flatnonzero(self._record.team == -1) * TICK_S + 0.8 - now
        for stop in (*overs, *dead[(dead > 0.6 * drawn)][:1]):
            if 0.4 * drawn < stop < 1.4 * drawn:
                return float(stop)
        return self._when_calm(now + drawn) - now

    def _when_calm(self, now: float) -> float:
        """`now`, or later when a shot comes that nobody would cut away from."""
        for action in self._moments:
            if action.kind == "shot" and now - 1.0 < action.start_s < now + WIDE_S[1]:
                now = action.end_s + 1.0
        return now

    def _away(self, now: float) -> float:
        """Leave the main camera at `now`; the time of the cut back to it."""
        moment = self._moment(now)
        left_s = self._seconds - SHORTEST_S - now
        if moment is not None and left_s >= REPLAY_FITS_S:
            return self._moment_again(now, moment)
        kind = str(self._rng.choice(["close", "wide", "crowd"], p=[0.6, 0.25, 0.15]))
        lengths = {"close": CLOSE_S, "wide": WIDE_S, "crowd": CROWD_S}[kind]
        length_s = min(self._rng.uniform(*lengths) * max(self._hurry, 0.4), left_s)
        camera, subject = kind, None
        if kind == "close":
            subject = self._subject(now)
        if kind == "wide":
            camera = str(self._rng.choice(["line", "line", "behind_goal"]))
        return self._on_air(camera, now, length_s, subject, self._soft_cut())

    def _moment(self, now: float) -> Action | None:
        """What is worth a replay at `now`; a long video without any gets one all the same."""
        over = [a for a in self._moments if self._replayed_s < a.end_s <= now - 0.5]
        fresh = [a for a in over if now - a.end_s < STALE_S]
        if fresh:
            return fresh[-1]
        if self._replays or self._seconds < UNHURRIED_S or now < 0.4 * self._seconds:
            return None
        passes = [a for a in self._record.actions if a.kind != "possession" and a.end_s <= now]
        return passes[-1] if passes else None

    def _moment_again(self, now: float, moment: Action) -> float:
        """A close-up of who did it, then the replay from one or two places."""
        left_s = self._seconds - SHORTEST_S - now
        if left_s > 9.0 and self._rng.random() < 0.7:
            length_s = self._rng.uniform(*CLOSE_S)
            now = self._on_air("close", now, length_s, moment.player)
        self._replays += 1
        self._replayed_s = moment.end_s
        first_s = max(moment.start_s - REPLAY_BEFORE_S, 0.0)
        last_s = min(moment.end_s + REPLAY_AFTER_S, first_s + REPLAY_LONGEST_S, now)
        angles = 2 if moment.outcome == "goal" or self._rng.random() < 0.4 else 1
        cameras = self._rng.choice(
            list(REPLAY_CAMERAS), angles, False, list(REPLAY_CAMERAS.values())
        )
        for camera in map(str, cameras):
            now = self._replay(camera, now, first_s, last_s, moment)
        return now

    def _replay(
        self, camera: str, now: float, first_s: float, last_s: float, moment: Action
    ) -> float:
        pace = self._rng.uniform(*REPLAY_PACE)
        left_s = self._seconds - SHORTEST_S - now
        length_s = min((last_s - first_s) / pace, left_s)
        if length_s < SHORTEST_S:  # a second place when time is up; the first always fits
            return now
        opening = "cut" if self._cues[-1].replay else "wipe"
        play_s = last_s - length_s * pace  # what does not fit is cut off at the front
        self._cues.append(
            Cue(camera, now, now + length_s, play_s, pace, moment.player, opening, replay=True)
        )
        return now + length_s

    def _subject(self, now: float) -> int:
        """Who is shown close: mostly who had the ball last, else a keeper, the referee, anybody."""
        carriers = self._record.carrier[: round(now / TICK_S) + 1]
        had_it = carriers[carriers >= 0]
        anybody = int(self._rng.integers(PLAYERS))
        chosen = self._rng.random()
        if chosen < 0.65:
            return int(had_it[-1]) if len(had_it) else anybody
        if chosen < 0.78:
            return int(self._rng.choice(KEEPERS))
        return REFEREE if chosen < 0.85 else anybody

    def _soft_cut(self) -> str:
        return "dissolve" if self._rng.random() < DISSOLVE_SHARE else "cut"
