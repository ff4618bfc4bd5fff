"""The state of the match while it is played, and what can be asked of it."""

from dataclasses import dataclass, field

import numpy as np

from domain.periods import Period
from domain.pitch import Pitch
from simulation.arrays import Bools, Floats, Ints
from simulation.ball_flight import Ball
from simulation.people import KEEPERS, PEOPLE, PLAYERS, SQUAD, Person, top_speeds

TICK_S = 0.02  # the play's own clock: 50 steps a second, whatever the video's frame rate
TEAMS = ("home", "away")
FAR_PAST_S = -100.0


@dataclass
class Action:
    """Something that happened, in the words of domain.tables.EVENT_TYPES. Indices are people."""

    kind: str
    team: int
    start_s: float
    start_xy: tuple[float, float]
    end_s: float
    end_xy: tuple[float, float]
    player: int | None = None
    receiver: int | None = None
    outcome: str | None = None


@dataclass
class Flight:
    """A kicked ball that nobody has yet: who kicked it, to whom and as what."""

    kind: str
    kicker: int
    intended: int | None
    start_s: float
    start_xy: tuple[float, float]
    tried_s: dict[int, float] = field(default_factory=dict)
    touched_by: int | None = None
    offside: bool = False  # the intended receiver was beyond the line when it was kicked


@dataclass
class Restart:
    """A dead ball that `team` brings back into play at `spot`."""

    kind: str
    team: int
    spot: tuple[float, float]
    taker: int
    called_s: float
    ready_s: float
    placed: bool = False
    kick_s: float = np.inf


@dataclass
class MatchState:
    """Everything that changes while the match is played; arrays hold a row for each person."""

    people: list[Person]
    pitch: Pitch
    attack_sign: tuple[int, int]
    rng: np.random.Generator
    position: Floats
    velocity: Floats
    target: Floats
    pace: Floats
    heading: Floats
    top_speed: Floats
    wander: Floats
    lean: Floats
    gesture: Ints
    slowed_until_s: Floats
    run_until_s: Floats
    ball: Ball = field(default_factory=Ball)
    perceived_ball: Floats = field(default_factory=lambda: np.zeros(2))
    phase: Floats = field(default_factory=lambda: np.array([0.5, 0.5]))
    tick: int = 0
    carrier: int | None = None
    carried_since_s: float = 0.0
    carried_from: tuple[float, float] = (0.0, 0.0)
    in_hands: bool = False
    decide_s: float = 0.0
    flight: Flight | None = None
    restart: Restart | None = None
    restart_kind: str | None = None  # what the ball in flight was brought back by
    possession: int = 0
    half: int = 1
    resting: bool = False
    first_kick_off: int = 0
    periods: list[Period] = field(default_factory=list)
    last_touch: int = 0
    flagged: tuple[float, float] | None = None
    saving: tuple[float, float, float] | None = None
    actions: list[Action] = field(default_factory=list)
    placements_s: list[float] = field(default_factory=list)
    path: Floats = field(default_factory=lambda: np.zeros((1, 4)))
    path_s: float = FAR_PAST_S

    @property
    def time_s(self) -> float:
        return self.tick * TICK_S

    @property
    def in_play(self) -> bool:
        return self.restart is None and not self.resting

    def team_of(self, index: int) -> int:
        return 0 if index < SQUAD else 1

    def members(self, team: int) -> slice:
        return slice(team * SQUAD, (team + 1) * SQUAD)

    def outfield(self, team: int) -> Ints:
        return np.arange(team * SQUAD + 1, (team + 1) * SQUAD)

    def own(self, team: int, xy: Floats) -> Floats:
        """Points (..., 2) as `team` sees them when it attacks towards +x; its own inverse."""
        return xy * self.attack_sign[team]

    def goal(self, team: int) -> Floats:
        """Centre of the goal that `team` attacks."""
        return np.array([self.attack_sign[team] * self.pitch.half_length_m, 0.0])

    def distance_to_ball(self) -> Floats:
        return np.asarray(np.linalg.norm(self.position[:PLAYERS] - self.ball.xy, axis=1))

    def nearest_to(self, xy: Floats, team: int, keeper: bool = False) -> int:
        """The player of `team` nearest to a point."""
        first = team * SQUAD + (0 if keeper else 1)
        distance = np.linalg.norm(self.position[first : (team + 1) * SQUAD] - xy, axis=1)
        return first + int(distance.argmin())

    def pressure(self, index: int) -> float:
        """Distance in metres from a player to the nearest opponent."""
        rivals = self.position[self.members(1 - self.team_of(index))]
        return float(np.linalg.norm(rivals - self.position[index], axis=1).min())

    def offside_line(self, team: int) -> float:
        """x, in the frame of attacking `team`, beyond which its players are offside."""
        rivals = np.sort(self.own(team, self.position[self.members(1 - team)])[:, 0])
        return float(max(rivals[-2], self.own(team, self.ball.xy)[0], 0.0))

    def onside(self, team: int, error_m: float = 0.0) -> Bools:
        """For each of the 22, whether a pass to him may be played by `team`, as judged by who
        takes the line to be `error_m` farther on than it is.
        """
        line = self.offside_line(team) + error_m
        return np.asarray(self.own(team, self.position[:PLAYERS])[:, 0] <= line)

    def is_keeper(self, index: int) -> bool:
        return index in KEEPERS

    def point(self, index: int) -> tuple[float, float]:
        return float(self.position[index, 0]), float(self.position[index, 1])

    def ball_point(self) -> tuple[float, float]:
        return self.ball.x, self.ball.y

    def ball_path(self) -> Floats:
        """Rows t, x, y, z of the untouched ball from `path_s` on, renewed ten times a second."""
        if self.time_s - self.path_s > 0.099:
            self.path, self.path_s = self.ball.path(4.0, 0.1), self.time_s
        return self.path


def new_state(people: list[Person], rng: np.random.Generator) -> MatchState:
    """Everybody near the centre line, nobody with the ball; the kick-off places them."""
    zeros = np.zeros((PEOPLE, 2))
    sign = int(rng.choice([-1, 1]))
    return MatchState(
        people=people,
        pitch=Pitch(),
        attack_sign=(sign, -sign),
        rng=rng,
        position=zeros.copy(),
        velocity=zeros.copy(),
        target=zeros.copy(),
        pace=np.full(PEOPLE, 2.0),
        heading=np.zeros(PEOPLE),
        top_speed=top_speeds(people),
        wander=zeros.copy(),
        lean=np.zeros(PEOPLE),
        gesture=np.zeros(PEOPLE, np.int64),
        slowed_until_s=np.full(PEOPLE, FAR_PAST_S),
        run_until_s=np.full(PEOPLE, FAR_PAST_S),
        possession=int(rng.integers(2)),
    )
