"""Who touches the ball: control, interceptions, tackles, headers, saves."""

import math

import numpy as np

from simulation.ball_flight import BALL_RADIUS_M
from simulation.choices import Kick, choose_pass, clearance, header_at_goal
from simulation.people import PLAYERS
from simulation.state import TICK_S, Action, Flight, MatchState

REACH_M = 0.85
BLOCK_REACH_M = 1.2  # of a leg stretched out at a shot or a cross
HEAD_REACH_M = 2.35
HEADER_FROM_M = 1.3
HEADER_CHANCE = 0.75  # that who gets to a high ball heads it, whichever side he is on
RETRY_S = 0.7
KICKER_PAUSE_S = 0.5
TACKLE_REACH_M = 1.25
TACKLE_RATE_PER_S = 2.0
FOUL_SHARE = 0.42
WON_SHARE = 0.33
# A pass right past a presser's feet: he has no time to react and at best gets a leg to it.
AT_THE_FEET_S = 0.3
LEG_OUT_CHANCE, THROWN_IN_CHANCE = 0.12, 0.6  # at passes; at shots and crosses
TOUCHLINE_ZONE_M = 20.0  # from here outwards tackles like to end in touch
GOAL_LINE_ZONE_M = 42.0  # from here towards the own goal line they like to end behind it
NEVER_OFFSIDE = ("throw_in", "corner", "goal_kick")  # Laws of the Game, law 11
BLOCKED_BEHIND = 0.45  # share of blocked shots and crosses that come off towards the goal line
BLOCK_CHANCE = 0.1  # that a block ends at the defender's feet; most come off him
GESTURE_NONE, GESTURE_ARMS_UP, GESTURE_HOLD, GESTURE_DIVE = range(4)


def kick(state: MatchState, kicker: int, decision: Kick) -> None:
    """Send the ball off; the spell of possession ends and a flight begins."""
    if state.carrier is not None:
        end_spell(state)
    state.ball.kick(decision.direction_rad, decision.speed_mps, decision.elevation_rad)
    state.flight = Flight(
        decision.kind, kicker, decision.receiver, state.time_s, state.ball_point()
    )
    receiver = decision.receiver
    if receiver is not None and state.restart_kind not in NEVER_OFFSIDE:
        state.flight.offside = not state.onside(state.team_of(kicker))[receiver]
    state.flight.tried_s[kicker] = state.time_s + KICKER_PAUSE_S - RETRY_S
    state.carrier, state.in_hands = None, False
    state.possession, state.last_touch = state.team_of(kicker), kicker
    state.path_s = -100.0
    state.saving = _where_it_crosses(state) if decision.kind == "shot" else None


def _where_it_crosses(state: MatchState) -> tuple[float, float, float] | None:
    """y, z and the time at which a shot crosses the goal line, None when it never does."""
    team = state.possession
    line = state.pitch.half_length_m
    for elapsed, x, y, z in state.ball.path(2.5, 0.02):
        if x * state.attack_sign[team] > line:
            return float(y), float(z), state.time_s + float(elapsed)
    return None


def end_spell(state: MatchState) -> None:
    """Record the spell during which the carrier had the ball."""
    if state.carrier is None:
        return
    state.actions.append(
        Action(
            "possession",
            state.team_of(state.carrier),
            state.carried_since_s,
            state.carried_from,
            state.time_s,
            state.ball_point(),
            state.carrier,
        )
    )


def gain(state: MatchState, player: int) -> None:
    """`player` takes the ball: whatever was in flight ends here."""
    if state.flight is not None:
        _end_flight(state, player)
    state.flight, state.saving = None, None
    state.carrier, state.last_touch = player, player
    state.possession = state.team_of(player)
    state.carried_since_s, state.carried_from = state.time_s, state.ball_point()
    free = state.pressure(player) > 3.0
    patience = (0.6 if free else 0.35) + state.rng.exponential(1.1 if free else 0.5)
    state.decide_s = state.time_s + min(patience, 3.5)
    state.in_hands = state.is_keeper(player) and _in_own_area(state, player)
    if state.in_hands:
        state.decide_s = state.time_s + state.rng.uniform(2.0, 4.0)


def _in_own_area(state: MatchState, keeper: int) -> bool:
    offset = np.abs(state.position[keeper] - state.goal(1 - state.team_of(keeper)))
    return bool(offset[0] < 16.5 and offset[1] < 20.16)


def _end_flight(state: MatchState, player: int) -> None:
    flight = state.flight
    assert flight is not None
    same = state.team_of(player) == state.team_of(flight.kicker)
    if flight.kind == "shot":
        if state.is_keeper(player) and flight.touched_by is None:
            save(state, player)
        else:
            close_flight(state, "blocked", None)
    elif same and flight.offside and player == flight.intended and flight.touched_by is None:
        state.flagged = state.point(player)
        close_flight(state, "offside", player)
    elif same:
        close_flight(state, "complete", player if player != flight.kicker else None)
    else:
        loose = flight.kind == "loose"
        close_flight(state, "incomplete", None)
        if not loose:
            _note(state, "interception", player, "won")


def save(state: MatchState, keeper: int) -> None:
    close_flight(state, "saved", None)
    _note(state, "save", keeper, "saved")


def close_flight(state: MatchState, outcome: str, receiver: int | None) -> None:
    """Record the flight that ends now; a pass back to oneself is no pass."""
    flight = state.flight
    state.flight, state.saving = None, None
    if flight is None or (outcome == "complete" and receiver is None):
        return
    if flight.kind == "loose":
        return
    state.actions.append(
        Action(
            flight.kind,
            state.team_of(flight.kicker),
            flight.start_s,
            flight.start_xy,
            state.time_s,
            state.ball_point(),
            flight.kicker,
            receiver,
            outcome,
        )
    )


def _note(state: MatchState, kind: str, player: int, outcome: str | None = None) -> None:
    """Record something that happens at once, where the ball is."""
    here, now = state.ball_point(), state.time_s
    team = state.team_of(player)
    state.actions.append(Action(kind, team, now, here, now, here, player, None, outcome))


def touches(state: MatchState) -> None:
    """Let those in reach of a free ball try to play it, the nearest first."""
    if state.ball.z > HEAD_REACH_M:
        return
    distance = state.distance_to_ball()
    stretched = state.flight is not None and state.flight.kind in ("shot", "cross")
    reach_m = BLOCK_REACH_M if stretched else REACH_M
    for player in np.argsort(distance)[:4]:
        if distance[player] > reach_m:
            return
        if _may_try(state, int(player)) and _try(state, int(player)):
            return


def _may_try(state: MatchState, player: int) -> bool:
    flight = state.flight
    if state.time_s < state.slowed_until_s[player] or _lets_it_drop(state, player):
        return False
    if flight is None:
        return True
    same = state.team_of(player) == state.team_of(flight.kicker)
    straight = flight.kind == "shot" and flight.touched_by is None
    if straight and (same or state.is_keeper(player)):
        return False
    return state.time_s - flight.tried_s.get(player, -100.0) > RETRY_S


def _lets_it_drop(state: MatchState, player: int) -> bool:
    """Who has time waits for a high ball to come down instead of heading it."""
    high = state.ball.z > HEADER_FROM_M and not state.is_keeper(player)
    return bool(high and state.pressure(player) > 2.5)


def _try(state: MatchState, player: int) -> bool:
    """Whether the contact changes the ball's way: control, a header or a deflection."""
    flight = state.flight
    if flight is not None:
        flight.tried_s[player] = state.time_s
        if _too_close_to_react(state, player, flight):
            return _leg_out(state, player, flight)
    if state.rng.random() < _control_chance(state, player):
        gain(state, player)
        if state.ball.z > HEADER_FROM_M and not state.in_hands:
            _header(state, player)
        return True
    if state.rng.random() < 0.6 and state.ball.z < HEADER_FROM_M:
        _deflect(state, player)
        return True
    return False


def _too_close_to_react(state: MatchState, player: int, flight: Flight) -> bool:
    rival = state.team_of(player) != state.team_of(flight.kicker)
    return rival and state.time_s - flight.start_s < AT_THE_FEET_S


def _leg_out(state: MatchState, player: int, flight: Flight) -> bool:
    chance = LEG_OUT_CHANCE if flight.kind == "pass" else THROWN_IN_CHANCE
    blocked = bool(state.rng.random() < chance)
    if blocked:
        _deflect(state, player)
    return blocked


def _control_chance(state: MatchState, player: int) -> float:
    """Better for the receiver and for slow balls; a quick ball past an opponent mostly passes."""
    ball = np.array([state.ball.vx, state.ball.vy])
    relative = float(np.linalg.norm(ball - state.velocity[player]))
    flight = state.flight
    if state.ball.z > HEADER_FROM_M and not state.is_keeper(player):
        return HEADER_CHANCE
    if flight is None or state.team_of(player) == state.team_of(flight.kicker):
        return float(np.clip(0.99 - 0.012 * max(relative - 9.0, 0.0), 0.6, 0.99))
    if state.is_keeper(player):
        return 0.95
    if flight.kind == "shot":
        return BLOCK_CHANCE
    return float(np.clip(0.7 - 0.035 * max(relative - 5.0, 0.0), 0.15, 0.7))


def _header(state: MatchState, player: int) -> None:
    """A ball won in the air is headed at goal, out of the own area, or on to somebody near."""
    attempt = header_at_goal(state, player)
    if attempt is None and _in_own_area(state, player):
        attempt = clearance(state, player)
    if attempt is not None:
        kick(state, player, attempt)
        return
    decision = choose_pass(state, player, longest_m=20.0)
    outward = state.goal(state.team_of(player)) - state.ball.xy
    direction = math.atan2(outward[1], outward[0]) + state.rng.normal(0.0, 0.5)
    receiver = None
    if decision is not None:
        direction, receiver = decision.direction_rad, decision.receiver
    kick(state, player, Kick("pass", receiver, direction, state.rng.uniform(8.0, 12.0), 0.25))


def _deflect(state: MatchState, player: int) -> None:
    """The ball comes off a leg, slower and somewhere else."""
    ball, rng = state.ball, state.rng
    speed = math.hypot(ball.vx, ball.vy) * rng.uniform(0.3, 0.75)
    direction = math.atan2(ball.vy, ball.vx) + rng.normal(0.0, 1.2)
    if _blocks(state, player) and rng.random() < BLOCKED_BEHIND:
        direction, speed = _past_own_goal(state, player), max(speed, 7.0)
    ball.kick(direction, max(speed, 1.0), float(rng.uniform(0.0, 0.3)))
    state.last_touch = player
    state.path_s = -100.0
    if state.flight is not None:
        state.flight.touched_by = player
        state.saving = None


def _blocks(state: MatchState, player: int) -> bool:
    flight = state.flight
    if flight is None or flight.kind not in ("shot", "cross"):
        return False
    return state.team_of(player) != state.team_of(flight.kicker)


def _past_own_goal(state: MatchState, player: int) -> float:
    """The direction to a place on the own goal line beside the goal, on the ball's side."""
    goal, ball = state.goal(1 - state.team_of(player)), state.ball
    beside = ball.y + math.copysign(state.rng.uniform(0.0, 6.0), ball.y)
    beside = math.copysign(max(abs(beside), state.rng.uniform(5.5, 9.0)), ball.y)
    return math.atan2(beside - ball.y, goal[0] - ball.x)


def tackles(state: MatchState) -> str | None:
    """Opponents within reach go for the carrier's ball; returns 'foul' when one is given."""
    carrier = state.carrier
    if carrier is None or state.in_hands:
        return None
    team = state.team_of(carrier)
    distance = state.distance_to_ball()
    for rival in np.arange(PLAYERS)[state.members(1 - team)]:
        if distance[rival] > TACKLE_REACH_M or state.time_s < state.slowed_until_s[rival]:
            continue
        if state.rng.random() < TACKLE_RATE_PER_S * TICK_S:
            return _tackle(state, int(rival), carrier)
    return None


def _tackle(state: MatchState, rival: int, carrier: int) -> str | None:
    luck = state.rng.random()
    if luck < FOUL_SHARE and not _in_own_area(state, rival):
        _note(state, "foul", rival, None)
        return "foul"
    if luck < FOUL_SHARE + WON_SHARE:
        _note(state, "tackle", rival, "won")
        end_spell(state)
        state.carrier = None
        state.slowed_until_s[carrier] = state.time_s + 0.8
        _poke(state, rival)
    else:
        _note(state, "tackle", rival, "lost")
        _note(state, "dribble", carrier, "complete")
        state.slowed_until_s[rival] = state.time_s + 1.1
    return None


def _poke(state: MatchState, rival: int) -> None:
    """The tackler keeps the ball or knocks it loose."""
    if state.rng.random() < 0.6:
        gain(state, rival)
        return
    state.flight = Flight("loose", rival, None, state.time_s, state.ball_point())
    state.last_touch, state.possession = rival, state.team_of(rival)
    state.path_s = -100.0
    direction = state.rng.uniform(-math.pi, math.pi)
    if abs(state.ball.y) > TOUCHLINE_ZONE_M and state.rng.random() < 0.6:
        direction = math.copysign(math.pi / 2, state.ball.y) + state.rng.normal(0.0, 0.5)
    if float(state.own(state.team_of(rival), state.ball.xy)[0]) < -GOAL_LINE_ZONE_M:
        behind = -state.attack_sign[state.team_of(rival)]
        direction = (0.0 if behind > 0 else math.pi) + state.rng.normal(0.0, 0.9)
    state.ball.kick(float(direction), float(state.rng.uniform(3, 8)))


def carry(state: MatchState) -> None:
    """Keep the ball with the carrier: in front of his feet, or in a keeper's hands."""
    carrier = state.carrier
    assert carrier is not None
    heading = state.heading[carrier]
    speed = float(np.linalg.norm(state.velocity[carrier]))
    beat = 0.5 + 0.5 * math.sin(2 * math.pi * 1.6 * (state.time_s - state.carried_since_s))
    ahead = 0.4 if state.in_hands else 0.45 + 0.09 * speed * beat
    height = 1.15 if state.in_hands else BALL_RADIUS_M
    wanted = state.position[carrier] + ahead * np.array([math.cos(heading), math.sin(heading)])
    _follow(state, wanted, height, state.velocity[carrier])


def _follow(state: MatchState, wanted: np.ndarray, height: float, velocity: np.ndarray) -> None:
    """Draw the ball to `wanted` smoothly, at no more than 9 m/s relative to the carrier."""
    ball, gain_per_s = state.ball, 9.0
    pull = (wanted - ball.xy) * gain_per_s
    pull *= min(1.0, 9.0 / max(float(np.linalg.norm(pull)), 1e-9))
    ball.vx, ball.vy = float(velocity[0] + pull[0]), float(velocity[1] + pull[1])
    ball.vz = float(np.clip((height - ball.z) * 8.0, -6.0, 6.0))
    ball.x, ball.y = ball.x + ball.vx * TICK_S, ball.y + ball.vy * TICK_S
    ball.z = max(ball.z + ball.vz * TICK_S, BALL_RADIUS_M)
