"""What the spells and the ball's course amount to: passes, shots, the ball out of play.

Rules in the manner of Vidal-Codina et al. (2022), "Automatic event detection in football using
tracking data": each event names the rule that fired and the frames that it fired on.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

import numpy as np

from domain.configuration import EventDetectionOptions
from domain.match import Side
from domain.pitch import GOAL_AREA_HALF_WIDTH_M, GOAL_HEIGHT_M, GOAL_WIDTH_M, Pitch
from stages.event_detection.course import Course, Crossing
from stages.event_detection.possession import Names, Place, Spell

MAX_FLIGHT_S = 6.0
FLIGHT_S = 0.3
MAX_SHOT_DISTANCE_M = 35.0
# a ball that crosses the goal line farther from the goal than this was not aimed at it
WIDE_M = GOAL_AREA_HALF_WIDTH_M + 3.0
ON_TARGET_MARGIN_M = 1.0
BLOCK_DISTANCE_M = 5.0


@dataclass(frozen=True)
class Event:
    """A row of `match_events`, but for its number."""

    type: str
    start: Place
    end: Place
    player: str | None
    receiver: str | None
    team: str
    outcome: str | None
    confidence: float
    evidence: str
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Play:
    """A spell, what ended the flight of the ball after it, and how well the flight was seen."""

    spell: Spell
    following: Spell | None
    out: Crossing | None
    confidence: float

    @property
    def end(self) -> Place | None:
        if self.out:
            return self.out.place
        return self.following.first if self.following else None

    @property
    def within_team(self) -> bool | None:
        """Whether a team-mate got the ball; None where a team is not known."""
        if self.out:
            return False
        if self.following is None or "unknown" in (self.spell.team, self.following.team):
            return None
        return self.spell.team == self.following.team


@dataclass(frozen=True)
class Rules:
    """The events of a period: `course` and `spells` give them, in order of time.

    `home_attacks` is the side that home attacks in it, None where that is not known.
    """

    options: EventDetectionOptions
    pitch: Pitch
    names: Names
    course: Course
    spells: list[Spell]
    outs: list[Crossing]
    home_attacks: Side | None = None

    def events(self) -> list[Event]:
        """All events in order of their first frame."""
        found = [self._possession(spell) for spell in self.spells]
        for play in self._plays():
            shot = self._shot(play)
            passed = None if shot else self._pass(play)
            found.extend(event for event in (shot, passed) if event)
        found.extend(self._out(out) for out in self.outs)
        order = {"possession": 0, "pass": 1, "shot": 1, "goal": 2, "ball_out": 2}
        return sorted(found, key=lambda event: (event.start.frame, order[event.type]))

    @cached_property
    def _keepers(self) -> list[Spell]:
        """The keepers' spells, of known teams."""
        keepers = self.names.keepers
        return [s for s in self.spells if s.player in keepers and s.team != "unknown"]

    @cached_property
    def _last_contacts(self) -> list[float]:
        return [spell.last.time_s for spell in self.spells]

    def _plays(self) -> Iterator[Play]:
        out_times = [out.place.time_s for out in self.outs]
        for spell, following in zip_longest(self.spells, self.spells[1:]):
            left = bisect_right(out_times, spell.last.time_s)
            until = following.first.time_s if following else np.inf
            out = self.outs[left] if left < bisect_left(out_times, until) else None
            end = out.place.time_s if out else until
            if end - spell.last.time_s > MAX_FLIGHT_S:
                continue
            if self.course.is_broken(spell.last.time_s, end):
                continue
            sure = (
                spell.confidence
                if out or not following
                else min(spell.confidence, following.confidence)
            )
            seen = self.course.seen_share(spell.last.time_s, end)
            yield Play(spell, following, out, sure * seen)

    def _possession(self, spell: Spell) -> Event:
        rule = "contact" if spell.turn_mps > 0 else "ball_stays_near"
        frames = (spell.start.frame, spell.end.frame)
        return Event(
            "possession", spell.start, spell.end, spell.player, None, spell.team, None,
            spell.confidence, rule, frames,
        )  # fmt: skip

    def _pass(self, play: Play) -> Event | None:
        spell, end = play.spell, play.end
        too_short = end is None or spell.last.metres_to(end) < self.options.min_pass_length_m
        same_player = play.following and play.following.player == spell.player and not play.out
        if end is None or too_short or same_player:
            return None
        complete = play.within_team
        receiver = play.following.player if play.following and complete else None
        outcome = None if complete is None else "complete" if complete else "incomplete"
        rule = "out_after_kick" if play.out else "next_player_has_ball"
        frames = (spell.last.frame, end.frame)
        return Event(
            "pass", spell.last, end, spell.player, receiver, spell.team, outcome,
            play.confidence, rule, frames,
        )  # fmt: skip

    def _shot(self, play: Play) -> Event | None:
        """A fast ball toward the goal that no team-mate gets."""
        spell, flight = play.spell, self.course.after(play.spell.last, FLIGHT_S)
        if flight is None or play.end is None or play.within_team:
            return None
        lasted = flight.time_s - spell.last.time_s
        if spell.last.metres_to(flight) / lasted < self.options.min_shot_speed_mps:
            return None
        side = float(np.sign(flight.x - spell.last.x))
        if side != self._attacks(spell) or not self._aimed(play, flight, side):
            return None
        outcome = self._shot_outcome(play)
        frames = (spell.last.frame, flight.frame, play.end.frame)
        return Event(
            "shot", spell.last, play.end, spell.player, None, spell.team, outcome,
            play.confidence, "fast_ball_at_goal", frames,
        )  # fmt: skip

    def _attacks(self, spell: Spell) -> float:
        """+1 or -1, the end that a player's team attacks.

        Where the period's direction is not known it is away from the keepers' spells: the one
        nearest in time decides, either team's. Without one, or without a team, it is the end that
        the player is nearer to.
        """
        if self.home_attacks and spell.team != "unknown":
            right = (self.home_attacks == "right") == (spell.team == "home")
            return 1.0 if right else -1.0
        if not self._keepers or spell.team == "unknown":
            return float(np.sign(spell.last.x))
        near = min(self._keepers, key=lambda keeper: abs(keeper.last.time_s - spell.last.time_s))
        own_end = float(np.sign(near.last.x))
        return -own_end if near.team == spell.team else own_end

    def _aimed(self, play: Play, flight: Place, side: float) -> bool:
        """Whether the ball leaves beside the goal, or its course over the ground meets the goal."""
        start, goal_x = play.spell.last, side * self.pitch.half_length_m
        if np.hypot(goal_x - start.x, start.y) > MAX_SHOT_DISTANCE_M:
            return False
        if play.out:
            return play.out.end_line and abs(play.out.place.y) <= WIDE_M
        reach = (goal_x - start.x) / (flight.x - start.x)
        y = start.y + (flight.y - start.y) * reach
        return abs(y) <= GOAL_WIDTH_M / 2 + ON_TARGET_MARGIN_M

    def _shot_outcome(self, play: Play) -> str | None:
        if play.out:
            return "goal" if _in_goal(play.out) else "off_target"
        following = play.following
        if following is None:
            return "unknown"
        if following.player in self.names.keepers:
            return "saved"
        near = play.spell.last.metres_to(following.first) <= BLOCK_DISTANCE_M
        return "blocked" if near else "unknown"

    def _out(self, out: Crossing) -> Event:
        """The ball over a line; the team is that of the player who had it last."""
        before = bisect_right(self._last_contacts, out.place.time_s) - 1
        last = self.spells[before] if before >= 0 else None
        kind = "goal" if _in_goal(out) else "ball_out"
        known_height = np.isfinite(out.height_m) or kind == "ball_out"
        confidence = (1.0 if known_height else 0.5) / (1 + out.sigma_m)
        return Event(
            kind, out.place, out.place, last.player if last else None, None,
            last.team if last else "unknown", None, confidence,
            "over_goal_line" if out.end_line else "over_touchline", (out.place.frame,),
        )  # fmt: skip


def _in_goal(out: Crossing) -> bool:
    """Between the posts and not known to be over the bar."""
    between = abs(out.place.y) < GOAL_WIDTH_M / 2
    return out.end_line and between and not out.height_m > GOAL_HEIGHT_M
