"""What the player on the ball does: whom to pass to and how, when to shoot, where to run."""

import math
from dataclasses import dataclass

import numpy as np

from simulation.arrays import Floats
from simulation.ball_flight import landing, loft_speed, roll_speed, roll_times
from simulation.people import KEEPERS, PLAYERS
from simulation.positioning import arrival_times
from simulation.state import MatchState

MAX_GROUND_PASS_M = 34.0
MAX_LOFTED_PASS_M = 58.0
MIN_LOFTED_PASS_M = 18.0
MIN_PASS_M = 4.0
RUN_MPS = 7.0  # how fast a passer expects a run in behind to be
SHOT_RANGE_M = 29.0
LOFT_RAD = math.radians(32.0)
CHIP_RAD = math.radians(24.0)
# Spread of direction and of speed of an unhurried pass; pressure adds to it.
AIM_SPREAD_RAD = math.radians(2.2)
SPEED_SPREAD = 0.07
# Worth of threat won, and of keeping the ball at all, in units of a goal.
AMBITION = 7.0
CHOICE_SPREAD = 0.05
KEEPING = 0.09


@dataclass(frozen=True)
class Kick:
    """A decision to kick: `kind` names the event that it becomes."""

    kind: str
    receiver: int | None
    direction_rad: float
    speed_mps: float
    elevation_rad: float = 0.0


@dataclass(frozen=True)
class _Passes:
    """The possible passes of a moment, one row a team-mate and way (ground or lofted)."""

    receiver: np.ndarray
    place: Floats
    lofted: np.ndarray
    success: Floats
    value: Floats


def choose(state: MatchState, carrier: int) -> Kick | None:
    """A kick, or None to keep the ball for now."""
    shot = consider_shot(state, carrier)
    if shot is not None:
        return shot
    if state.rng.random() < _carry_share(state, carrier):
        return None
    return choose_pass(state, carrier)


def _carry_share(state: MatchState, carrier: int) -> float:
    """How likely the player runs on with the ball: the more grass in front of him, the likelier."""
    if state.pressure(carrier) < 1.8 or state.time_s - state.carried_since_s > 6.0:
        return 0.0
    team = state.team_of(carrier)
    offset = state.own(team, state.position[state.members(1 - team)] - state.position[carrier])
    ahead = offset[(offset[:, 0] > -0.5) & (np.abs(offset[:, 1]) < offset[:, 0] + 2.5)]
    road = float(np.linalg.norm(ahead, axis=1).min()) if len(ahead) else 20.0
    return float(np.clip((road - 3.0) / 10.0, 0.1, 0.75))


def consider_shot(state: MatchState, carrier: int) -> Kick | None:
    """A shot when near enough, more likely nearer to goal and in front of it."""
    team = state.team_of(carrier)
    offset = state.goal(team) - state.ball.xy
    distance = float(np.linalg.norm(offset))
    facing = abs(offset[0]) / max(distance, 0.1)
    if distance > SHOT_RANGE_M or facing < 0.35:
        return None
    desire = (1.0 - distance / (SHOT_RANGE_M + 3)) * facing
    if state.rng.random() > 0.08 + 0.9 * desire:
        return None
    return _shot(state, carrier, offset, distance)


def _shot(state: MatchState, carrier: int, offset: Floats, distance: float) -> Kick:
    aim_y = state.rng.choice([-1.0, 1.0]) * state.rng.uniform(1.4, 3.3) - state.ball.y
    spread = math.radians(7.0 + 4.0 * math.exp(-state.pressure(carrier)))
    direction = math.atan2(aim_y, offset[0]) + state.rng.normal(0.0, spread)
    speed = float(np.clip(state.rng.normal(24.0, 3.0), 16.0, 31.0))
    drop = 4.9 * (distance / speed / 0.9) ** 2
    rise = math.atan2(max(state.rng.normal(1.1, 1.2), 0.0) + drop, distance)
    return Kick("shot", None, direction, speed, rise)


def choose_pass(
    state: MatchState, passer: int, longest_m: float = MAX_LOFTED_PASS_M
) -> Kick | None:
    """The pass drawn from those that promise most, or None where nobody can be reached."""
    options = _pass_options(state, passer, longest_m)
    if len(options.receiver) == 0:
        return None
    weight = np.exp((options.value - options.value.max()) / CHOICE_SPREAD)
    pick = int(state.rng.choice(len(weight), p=weight / weight.sum()))
    if options.value[pick] < -0.5:
        return None
    return aim_pass(
        state, passer, int(options.receiver[pick]), options.place[pick], bool(options.lofted[pick])
    )


def _pass_options(state: MatchState, passer: int, longest_m: float) -> _Passes:
    team = state.team_of(passer)
    mates = np.arange(PLAYERS)[state.members(team)]
    allowed = state.onside(team)[mates] & (mates != passer)
    mates = mates[allowed]
    place = _lead_points(state, mates)
    distance = np.linalg.norm(place - state.ball.xy, axis=1)
    ground = (distance > MIN_PASS_M) & (distance < min(MAX_GROUND_PASS_M, longest_m))
    air = (distance > MIN_LOFTED_PASS_M) & (distance < longest_m) & ~np.isin(mates, KEEPERS)
    receiver = np.concatenate([mates[ground], mates[air]])
    places = np.concatenate([place[ground], place[air]])
    lofted = np.arange(len(receiver)) >= ground.sum()
    success = np.concatenate(
        [_ground_success(state, team, place[ground]), _air_success(state, team, place[air])]
    )
    return _Passes(receiver, places, lofted, success, _value(state, team, places, success))


def _lead_points(state: MatchState, mates: np.ndarray) -> Floats:
    """Where each team-mate will be when the ball arrives, kept on the pitch."""
    if len(mates) == 0:
        return np.zeros((0, 2))
    distance = np.linalg.norm(state.position[mates] - state.ball.xy, axis=1)
    flight_s = np.minimum(distance / 14.0, 1.8)
    running = (state.time_s < state.run_until_s[mates])[:, None]
    sprint = np.array([RUN_MPS * state.attack_sign[state.team_of(int(mates[0]))], 0.0])
    velocity = np.where(running, 0.4 * state.velocity[mates] + 0.6 * sprint, state.velocity[mates])
    lead = state.position[mates] + velocity * flight_s[:, None] * np.where(running, 1.25, 0.9)
    limits = np.array([state.pitch.half_length_m - 1.0, state.pitch.half_width_m - 2.5])
    return np.asarray(np.clip(lead, -limits, limits))


def _ground_success(state: MatchState, team: int, places: Floats) -> Floats:
    """Chance that no opponent is at a point of the way before the ball is."""
    if len(places) == 0:
        return np.zeros(0)
    distance = np.linalg.norm(places - state.ball.xy, axis=1)
    shares = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
    points = state.ball.xy + (places - state.ball.xy)[:, None] * shares[:, None]
    rivals = arrival_times(state, points.reshape(-1, 2))[state.members(1 - team)].min(axis=0)
    times = np.stack([roll_times(roll_speed(d, _arrival_speed(d)), d * shares) for d in distance])
    margin = (rivals.reshape(times.shape) - times).min(axis=1)
    return np.asarray(0.97 / (1.0 + np.exp(-(margin + 0.25) / 0.16)))


def _air_success(state: MatchState, team: int, places: Floats) -> Floats:
    """Chance to win a high ball: who of the two teams is there first when it comes down."""
    if len(places) == 0:
        return np.zeros(0)
    times = arrival_times(state, places)
    margin = times[state.members(1 - team)].min(axis=0) - times[state.members(team)].min(axis=0)
    return np.asarray(0.66 / (1.0 + np.exp(-(margin - 0.15) / 0.35)))


def _value(state: MatchState, team: int, places: Floats, success: Floats) -> Floats:
    """Expected worth of a pass: threat won when it arrives, threat given away when it does not."""
    gain = threat(state.own(team, places)) - threat(state.own(team, state.ball.xy[None]))
    loss = threat(state.own(1 - team, places)) + 0.08
    short = -0.0011 * np.linalg.norm(places - state.ball.xy, axis=1)
    crowd = np.linalg.norm(
        places[:, None] - state.position[state.members(1 - team)][None], axis=2
    ).min(axis=1)
    return np.asarray(
        success * (AMBITION * gain + KEEPING)
        - (1 - success) * loss
        + short
        + 0.004 * np.minimum(crowd, 6)
    )


def threat(own_xy: Floats) -> Floats:
    """Rough chance (n) that a possession at points (n, 2) of an attack towards +x ends in a goal.

    Shaped after published expected-threat grids (Singh, 2018): about 0.01 at the halfway line,
    0.03 at 25 m and 0.3 in front of goal.
    """
    to_goal = np.hypot(52.5 - own_xy[:, 0], 1.2 * own_xy[:, 1])
    return np.asarray(0.3 * np.exp(-to_goal / 14.0) + 0.05 * np.exp(-to_goal / 40.0))


def _arrival_speed(distance_m: float) -> float:
    return 4.6 + 0.13 * distance_m


def aim_pass(state: MatchState, passer: int, receiver: int, place: Floats, lofted: bool) -> Kick:
    """The kick to `place`, with the errors of a human in a hurry."""
    offset = place - state.ball.xy
    distance = max(float(np.linalg.norm(offset)), 1.0)
    hurry = 1.0 + 1.2 * math.exp(-state.pressure(passer) / 1.5)
    direction = math.atan2(offset[1], offset[0]) + state.rng.normal(0.0, AIM_SPREAD_RAD * hurry)
    strength = 1.0 + state.rng.normal(0.0, SPEED_SPREAD * hurry)
    kind = "cross" if lofted and _is_cross(state, passer, place) else "pass"
    if lofted:
        elevation = LOFT_RAD if distance > 30 else CHIP_RAD
        return Kick(
            kind, receiver, direction, loft_speed(0.88 * distance, elevation) * strength, elevation
        )
    speed = roll_speed(distance, _arrival_speed(distance)) * strength
    return Kick(kind, receiver, direction, speed)


def _is_cross(state: MatchState, passer: int, place: Floats) -> bool:
    team = state.team_of(passer)
    start, end = state.own(team, state.ball.xy), state.own(team, place)
    return bool(start[0] > 25 and abs(start[1]) > 18 and end[0] > 36 and abs(end[1]) < 16)


def loft_time(distance_m: float, elevation_rad: float) -> float:
    """Seconds that a lofted kick over `distance_m` is in the air."""
    return landing(loft_speed(distance_m, elevation_rad), elevation_rad, 0.11)[1]


def dribble_target(state: MatchState, carrier: int) -> tuple[Floats, float]:
    """Where to run with the ball and how fast: towards goal, around opponents, inside the lines."""
    team = state.team_of(carrier)
    here = state.position[carrier]
    forward = state.goal(team) - here
    direction = forward / max(float(np.linalg.norm(forward)), 1e-6)
    rivals = state.position[state.members(1 - team)]
    away = here - rivals
    distance = np.maximum(np.linalg.norm(away, axis=1), 0.4)
    near = np.where(distance < 7.0, (7.0 - distance) / 7.0, 0.0)
    direction = direction + 1.5 * (away / distance[:, None] * near[:, None]).sum(axis=0)
    direction = direction + _from_the_lines(state, here)
    direction /= max(float(np.linalg.norm(direction)), 1e-6)
    space = float(distance.min())
    return here + direction * 6.0, float(np.clip(1.6 + 0.5 * space, 2.0, 6.2))


def _from_the_lines(state: MatchState, here: Floats) -> Floats:
    limits = np.array([state.pitch.half_length_m, state.pitch.half_width_m])
    excess = np.maximum(np.abs(here) - (limits - 4.0), 0.0) / 4.0
    return np.asarray(-np.sign(here) * excess * 2.0)
