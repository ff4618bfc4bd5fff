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
HEADER_RANGE_M = 13.0
LOFT_RAD = math.radians(32.0)
CHIP_RAD = math.radians(24.0)
# Spread of direction and of speed of an unhurried pass; pressure adds to it.
AIM_SPREAD_RAD = math.radians(2.2)
SPEED_SPREAD = 0.07
HARDEST_PASS_MPS = 32.0
LOFT_SPREAD = 2.0  # high balls scatter more
LINE_ERROR_M = 0.5  # how well passers see the offside line
STRAIGHT_UP_M = 26.0
# Worth of threat won, and of keeping the ball at all, in units of a goal.
CROSS_FROM_X_M, CROSS_FROM_Y_M, CROSS_CHANCE = 25.0, 15.0, 0.75
CLEAR_BEHIND_FROM_X_M = -38.0
CLEAR_UP_TO_X_M, CLEAR_PRESSURE_M, CLEAR_CHANCE = -28.0, 2.5, 0.65
AMBITION = 8.5
CHOICE_SPREAD = 0.05
KEEPING = 0.09
WING_BONUS = 0.035  # the touchline protects: who receives there is pressed from one side
SPACE_PER_M = 0.009  # of room that the receiver has


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
    delivered = consider_cross(state, carrier) or consider_clearance(state, carrier)
    if delivered is not None:
        return delivered
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
    return float(np.clip((road - 3.0) / 8.0, 0.1, 0.8))


def consider_shot(state: MatchState, carrier: int) -> Kick | None:
    """A shot when near enough, more likely nearer to goal and in front of it."""
    team = state.team_of(carrier)
    offset = state.goal(team) - state.ball.xy
    distance = float(np.linalg.norm(offset))
    facing = abs(offset[0]) / max(distance, 0.1)
    if distance > SHOT_RANGE_M or facing < 0.35:
        return None
    desire = (1.0 - distance / (SHOT_RANGE_M + 3)) * facing
    if state.rng.random() > 0.06 + 0.85 * desire**1.4:
        return None
    return _shot(state, carrier, offset, distance)


def _shot(state: MatchState, carrier: int, offset: Floats, distance: float) -> Kick:
    aim_y = state.rng.choice([-1.0, 1.0]) * state.rng.uniform(1.0, 3.6) - state.ball.y
    spread = math.radians(14.0 + 6.0 * math.exp(-state.pressure(carrier)))
    direction = math.atan2(aim_y, offset[0]) + state.rng.normal(0.0, spread)
    speed = float(np.clip(state.rng.normal(24.0, 3.0), 16.0, 31.0))
    drop = 4.9 * (distance / speed / 0.9) ** 2
    aim_z = max(state.rng.normal(1.2, 0.6) + state.rng.normal(0.0, 0.085) * distance, 0.0)
    rise = math.atan2(aim_z + drop, distance)
    return Kick("shot", None, direction, speed, rise)


def header_at_goal(state: MatchState, player: int) -> Kick | None:
    """The header of an attacker who meets a high ball near the goal."""
    offset = state.goal(state.team_of(player)) - state.ball.xy
    distance = float(np.linalg.norm(offset))
    if distance > HEADER_RANGE_M or abs(offset[0]) < 0.5 * distance:
        return None
    direction = math.atan2(state.rng.uniform(-3.2, 3.2) - state.ball.y, offset[0])
    rise = state.rng.normal(0.0, 0.12)
    return Kick(
        "shot",
        None,
        direction + state.rng.normal(0.0, math.radians(11.0)),
        state.rng.uniform(11.0, 17.0),
        rise,
    )


def consider_cross(state: MatchState, carrier: int) -> Kick | None:
    """A high ball in front of goal from the wing, where team-mates wait for it."""
    team = state.team_of(carrier)
    ball = state.own(team, state.ball.xy)
    if ball[0] < CROSS_FROM_X_M or abs(ball[1]) < CROSS_FROM_Y_M:
        return None
    mates = np.array([i for i in state.outfield(team) if i != carrier])
    place = state.own(team, _lead_points(state, mates))
    there = state.onside(team)[mates] & (place[:, 0] > 35.0) & (np.abs(place[:, 1]) < 13.0)
    if not there.any() or state.rng.random() > CROSS_CHANCE:
        return None
    mates, place = mates[there], state.own(team, place[there])
    success = _air_success(state, team, place) + state.rng.uniform(0.0, 0.2, len(mates))
    best = int(success.argmax())
    return aim_pass(state, carrier, int(mates[best]), place[best], lofted=True, kind="cross")


def consider_clearance(state: MatchState, carrier: int) -> Kick | None:
    """A hard-pressed defender near his goal hits the ball away, rather outwards."""
    team = state.team_of(carrier)
    ball = state.own(team, state.ball.xy)
    pressed = state.pressure(carrier) < CLEAR_PRESSURE_M
    if ball[0] > CLEAR_UP_TO_X_M or not pressed or state.rng.random() > CLEAR_CHANCE:
        return None
    return clearance(state, carrier)


def clearance(state: MatchState, player: int) -> Kick:
    """The ball hit high and away from the own goal, to nobody in particular; close to the goal
    line it may go behind.
    """
    team, rng = state.team_of(player), state.rng
    widest_rad = 1.3 if state.own(team, state.ball.xy)[0] > CLEAR_BEHIND_FROM_X_M else 2.5
    side = math.copysign(1.0, float(state.own(team, state.ball.xy)[1]) + rng.normal(0.0, 4.0))
    angle = side * rng.uniform(0.0, widest_rad)
    outward = state.own(team, np.array([math.cos(angle), math.sin(angle)]))
    speed = rng.uniform(14.0, 24.0)
    return Kick("loose", None, math.atan2(outward[1], outward[0]), speed, rng.uniform(0.2, 0.7))


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
    misjudged_m = state.rng.normal(0.0, LINE_ERROR_M)
    allowed = state.onside(team, misjudged_m)[mates] & (mates != passer)
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
    return np.asarray(0.6 / (1.0 + np.exp(-(margin - 0.25) / 0.35)))


def _value(state: MatchState, team: int, places: Floats, success: Floats) -> Floats:
    """Expected worth of a pass: threat won when it arrives, threat given away when it does not."""
    gain = threat(state.own(team, places)) - threat(state.own(team, state.ball.xy[None]))
    loss = threat(state.own(1 - team, places)) + 0.08
    distance = np.linalg.norm(places - state.ball.xy, axis=1)
    short = -0.0018 * distance - 0.004 * np.maximum(distance - 24.0, 0.0)
    crowd = np.linalg.norm(
        places[:, None] - state.position[state.members(1 - team)][None], axis=2
    ).min(axis=1)
    return np.asarray(
        success * (AMBITION * gain + KEEPING)
        - (1 - success) * loss
        + short
        + SPACE_PER_M * np.minimum(crowd, 8.0)
        + WING_BONUS * np.clip((np.abs(places[:, 1]) - 14.0) / 6.0, 0.0, 1.0)
    )


def threat(own_xy: Floats) -> Floats:
    """Rough chance (n) that a possession at points (n, 2) of an attack towards +x ends in a goal.

    Shaped after published expected-threat grids (Singh, 2018): about 0.01 at the halfway line,
    0.03 at 25 m and 0.3 in front of goal; far from it, the wings are worth as much as the middle.
    """
    ahead = 52.5 - own_xy[:, 0]
    aside = np.clip(1.3 - ahead / 45.0, 0.2, 1.2) * own_xy[:, 1]
    to_goal = np.hypot(ahead, aside)
    return np.asarray(0.3 * np.exp(-to_goal / 14.0) + 0.05 * np.exp(-to_goal / 40.0))


def _arrival_speed(distance_m: float) -> float:
    return 4.6 + 0.13 * distance_m


def aim_pass(
    state: MatchState,
    passer: int,
    receiver: int,
    place: Floats,
    lofted: bool,
    kind: str | None = None,
) -> Kick:
    """The kick to `place`, with the errors of a human in a hurry."""
    offset = place - state.ball.xy
    distance = max(float(np.linalg.norm(offset)), 1.0)
    hurry = 1.0 + 1.2 * math.exp(-state.pressure(passer) / 1.5)
    spread = AIM_SPREAD_RAD * hurry * (LOFT_SPREAD if lofted else 1.0)
    direction = math.atan2(offset[1], offset[0]) + state.rng.normal(0.0, spread)
    strength = 1.0 + float(np.clip(state.rng.normal(0.0, SPEED_SPREAD * hurry), -0.22, 0.22))
    kind = kind or ("cross" if lofted and _is_cross(state, passer, place) else "pass")
    if lofted:
        elevation = LOFT_RAD if distance > 30 else CHIP_RAD
        speed = min(loft_speed(0.88 * distance, elevation) * strength, HARDEST_PASS_MPS)
        return Kick(kind, receiver, direction, speed, elevation)
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
    # far from the goal line one runs up the pitch, not at the goal: wings stay wings
    forward[1] *= max(1.0 - abs(float(forward[0])) / STRAIGHT_UP_M, 0.1)
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
