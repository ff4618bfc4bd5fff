"""Dead balls: what is given for a ball out of play, who takes it, where the others stand."""

import math

import numpy as np

from domain.pitch import GOAL_AREA_DEPTH_M, GOAL_HEIGHT_M, GOAL_WIDTH_M
from simulation.arrays import Floats
from simulation.ball_flight import BALL_RADIUS_M, Ball, loft_speed
from simulation.choices import Kick, aim_pass, choose_pass
from simulation.contacts import GESTURE_ARMS_UP, GESTURE_NONE, close_flight, end_spell, kick
from simulation.people import KEEPERS, PLAYERS
from simulation.positioning import block_places, think
from simulation.state import TICK_S, Action, MatchState, Restart

# Shortest time between the whistle and the kick, in seconds. Real pauses are longer (throw-ins
# about 15 s, goal kicks about 25 s); the demo's minutes hold more play this way.
PAUSE_S = {"throw_in": 4.0, "corner": 9.0, "goal_kick": 7.0, "kick_off": 9.0, "free_kick": 5.0}
SETTLE_S = (0.9, 2.2)
NEAR_M = 0.55
WALL_M = 9.15
THROW_HEIGHT_M = 2.0
THROW_RANGE_M = 20.0
BOARDS_M, BOARDS_HEIGHT_M = 4.2, 1.1
NET_DEPTH_M = 1.6


def out_of_play(state: MatchState) -> Restart | None:
    """The restart that the ball's place asks for, None while it is on the pitch."""
    ball, pitch = state.ball, state.pitch
    over_side = abs(ball.y) > pitch.half_width_m + BALL_RADIUS_M
    over_end = abs(ball.x) > pitch.half_length_m + BALL_RADIUS_M
    if not (over_side or over_end):
        return None
    end_spell(state)
    state.carrier, state.in_hands = None, False
    return _over_the_end(state) if over_end else _over_the_side(state)


def _over_the_side(state: MatchState) -> Restart:
    team = 1 - state.team_of(state.last_touch)
    y = math.copysign(state.pitch.half_width_m, state.ball.y)
    x = float(np.clip(state.ball.x, -51.5, 51.5))
    _went_out(state, "out")
    return call(state, "throw_in", team, (x, y))


def _over_the_end(state: MatchState) -> Restart:
    attacking = 0 if state.ball.x * state.attack_sign[0] > 0 else 1
    goal = state.goal(attacking)
    side = math.copysign(1.0, state.ball.y)
    if abs(state.ball.y) < GOAL_WIDTH_M / 2 and state.ball.z < GOAL_HEIGHT_M:
        return _goal(state, attacking)
    _went_out(state, "off_target")
    if state.team_of(state.last_touch) == attacking:
        inward = goal[0] - math.copysign(GOAL_AREA_DEPTH_M, goal[0])
        return call(state, "goal_kick", 1 - attacking, (inward, side * 5.0))
    spot = (goal[0] - math.copysign(0.3, goal[0]), side * (state.pitch.half_width_m - 0.3))
    return call(state, "corner", attacking, spot)


def _goal(state: MatchState, attacking: int) -> Restart:
    shot = state.flight is not None and state.flight.kind == "shot"
    close_flight(state, "goal" if shot else "incomplete", None)
    scorer = state.last_touch if state.team_of(state.last_touch) == attacking else None
    state.actions.append(_instant(state, "goal", attacking, scorer))
    return call(state, "kick_off", 1 - attacking, (0.0, 0.0))


def _went_out(state: MatchState, shot_outcome: str) -> None:
    flight = state.flight
    if flight is not None:
        deflected = flight.touched_by is not None
        shot = ("blocked" if deflected else "off_target") if shot_outcome != "out" else "off_target"
        close_flight(state, shot if flight.kind == "shot" else "out", None)
    team = state.team_of(state.last_touch)
    state.actions.append(_instant(state, "ball_out", team, state.last_touch))


def _instant(state: MatchState, kind: str, team: int, player: int | None) -> Action:
    here, now = state.ball_point(), state.time_s
    return Action(kind, team, now, here, now, here, player)


def call(state: MatchState, kind: str, team: int, spot: tuple[float, float]) -> Restart:
    """Stop play: the ball is dead until `team` brings it back at `spot`."""
    state.flight, state.saving = None, None
    state.run_until_s[:] = -100.0
    keeper = kind == "goal_kick"
    taker = KEEPERS[team] if keeper else state.nearest_to(np.array(spot), team)
    if kind == "kick_off":
        taker = _foremost(state, team)
    pause = PAUSE_S[kind] * state.rng.uniform(1.0, 1.5)
    return Restart(kind, team, spot, taker, state.time_s, state.time_s + pause)


def _foremost(state: MatchState, team: int) -> int:
    """The central forward, who kicks off."""
    slots = [person.slot for person in state.people[state.members(team)] if person.slot]
    return int(state.outfield(team)[int(np.argmax([slot.depth for slot in slots]))])


def foul(state: MatchState) -> Restart:
    """A free kick for the side that had the ball, where the foul was."""
    carrier = state.carrier
    team = state.possession if carrier is None else state.team_of(carrier)
    end_spell(state)
    state.carrier = None
    return call(state, "free_kick", team, state.ball_point())


def offside(state: MatchState) -> Restart:
    """A free kick for the other side where the offside player met the ball."""
    assert state.flagged is not None
    spot, state.flagged = state.flagged, None
    team = 1 - state.possession
    state.carrier, state.in_hands = None, False
    return call(state, "free_kick", team, spot)


def opening(state: MatchState) -> Restart:
    """The kick-off of the half: everybody stands in place already."""
    restart = call(state, "kick_off", state.possession, (0.0, 0.0))
    restart.ready_s = state.time_s + 0.6
    state.restart = restart
    arrange(state)
    state.position[:PLAYERS] = state.target[:PLAYERS]
    return restart


def arrange(state: MatchState) -> None:
    """Targets of all 22 while the ball is dead."""
    restart = state.restart
    assert restart is not None
    state.possession = restart.team
    ball, state.ball.x, state.ball.y = state.ball_point(), *restart.spot
    think_dead(state, restart)
    state.ball.x, state.ball.y = ball
    stand, hurry = _stand(state, restart), state.time_s - restart.called_s > 2.0
    state.target[restart.taker] = stand
    gap = float(np.linalg.norm(stand - state.position[restart.taker]))
    state.pace[restart.taker] = min(1.2 + 0.8 * gap, 6.0 if hurry or gap > 15 else 3.5)


def think_dead(state: MatchState, restart: Restart) -> None:
    carrier, state.carrier = state.carrier, restart.taker
    in_hands, state.in_hands = state.in_hands, True
    think(state)
    state.carrier, state.in_hands = carrier, in_hands
    if restart.kind == "kick_off":
        _own_halves(state, restart)
    elif restart.kind == "corner":
        _crowd_the_box(state, restart)
    elif restart.kind != "throw_in":
        _keep_away(state, restart)


def _stand(state: MatchState, restart: Restart) -> Floats:
    """Where the taker waits: behind the ball, and behind the line at a throw-in."""
    spot = np.array(restart.spot)
    if restart.kind == "throw_in":
        return np.asarray(spot + np.array([0.0, math.copysign(0.35, spot[1])]))
    backward = -np.array([state.attack_sign[restart.team], 0.0])
    return np.asarray(spot + backward * (0.5 if restart.placed else 0.8))


def _own_halves(state: MatchState, restart: Restart) -> None:
    for team in (0, 1):
        outfield = state.outfield(team)
        place = state.own(team, block_places(state, team, np.zeros(2)))
        place[:, 0] = np.minimum(place[:, 0] * 0.9 - 7.0, -1.2)
        if team != restart.team:
            _leave_the_circle(place)
        _walk(state, outfield, state.own(team, place))


def _leave_the_circle(place: Floats) -> None:
    """Move places (n, 2) out of the centre circle, the foremost to its edge, others behind him."""
    order = np.argsort(-place[:, 0])
    inside = [i for i in order if np.linalg.norm(place[i]) < WALL_M + 1.0]
    for rank, i in enumerate(inside):
        place[i] *= (WALL_M + 1.0 + 2.5 * rank) / max(float(np.linalg.norm(place[i])), 1.0)


def _crowd_the_box(state: MatchState, restart: Restart) -> None:
    """Six attackers in front of goal, each marked, the rest outside."""
    team, rng = restart.team, np.random.default_rng(int(restart.called_s / 0.02))
    places = np.column_stack([rng.uniform(40.5, 48.5, 6), rng.uniform(-7.5, 7.5, 6)])
    attackers = np.array([i for i in state.outfield(team)[::-1] if i != restart.taker][:6])
    _walk(state, attackers, state.own(team, places))
    markers = state.outfield(1 - team)[:8]
    shadow = np.vstack([places + np.array([0.9, 0.25]), [[48.8, -2.8], [48.8, 2.8]]])
    _walk(state, markers, state.own(team, shadow))
    line = np.array([[51.6, 0.4 * np.sign(restart.spot[1])]])
    _walk(state, np.array([KEEPERS[1 - team]]), state.own(team, line))


def _keep_away(state: MatchState, restart: Restart) -> None:
    rivals = np.arange(PLAYERS)[state.members(1 - restart.team)]
    offset = state.target[rivals] - np.array(restart.spot)
    distance = np.maximum(np.linalg.norm(offset, axis=1), 0.5)
    pushed = np.maximum(distance, WALL_M + 0.4)
    state.target[rivals] = np.array(restart.spot) + offset * (pushed / distance)[:, None]


def _walk(state: MatchState, who: np.ndarray, target: Floats) -> None:
    gap = np.linalg.norm(target - state.position[who], axis=1)
    state.target[who] = target
    state.pace[who] = np.clip(0.55 * gap, 0.0, 4.2)


def advance(state: MatchState) -> None:
    """One step of a dead ball: it rolls out, is fetched, laid down and played."""
    restart = state.restart
    assert restart is not None
    if not restart.placed:
        roll_out(state)
        _maybe_place(state, restart)
        return
    _hold(state, restart)
    if state.time_s >= restart.kick_s:
        take(state, restart)


def roll_out(state: MatchState) -> None:
    """The dead ball runs on to the boards, or into the net."""
    ball, pitch = state.ball, state.pitch
    before = abs(ball.x), abs(ball.y)
    ball.advance(TICK_S)
    if _meets_the_net(state, before[0]):
        limit = math.copysign(pitch.half_length_m + NET_DEPTH_M, ball.x)
        ball.x, ball.vx, ball.vy = limit, -0.05 * ball.vx, 0.3 * ball.vy
    halves = (pitch.half_length_m, pitch.half_width_m)
    for axis, was, half in zip("xy", before, halves, strict=True):
        if abs(getattr(ball, axis)) > half + BOARDS_M and ball.z < BOARDS_HEIGHT_M:
            _meet_boards(ball, axis, half + BOARDS_M, over=was > half + BOARDS_M)


def _meets_the_net(state: MatchState, was_m: float) -> bool:
    """Whether the ball, `was_m` from the halfway line a step ago, is now at the back of the net."""
    ball, limit = state.ball, state.pitch.half_length_m + NET_DEPTH_M
    below = abs(ball.y) < GOAL_WIDTH_M / 2 and ball.z < GOAL_HEIGHT_M
    return was_m <= limit < abs(ball.x) and below


def _meet_boards(ball: Ball, axis: str, limit_m: float, over: bool) -> None:
    """A low ball bounces off the boards; what flew over them comes to rest behind."""
    speed = getattr(ball, "v" + axis)
    setattr(ball, "v" + axis, (0.8 if over else -0.3) * speed)
    if not over:
        setattr(ball, axis, math.copysign(limit_m, getattr(ball, axis)))


def _maybe_place(state: MatchState, restart: Restart) -> None:
    stand = _stand(state, restart)
    there = np.linalg.norm(state.position[restart.taker] - stand) < NEAR_M
    ready = state.time_s >= restart.ready_s and (restart.kind != "kick_off" or _halves_kept(state))
    if there and ready:
        restart.placed = True
        restart.kick_s = state.time_s + state.rng.uniform(*SETTLE_S)
        state.ball.put(*restart.spot)
        state.placements_s.append(state.time_s)


def _halves_kept(state: MatchState) -> bool:
    return all((state.own(t, state.position[state.members(t)])[:, 0] < 0.6).all() for t in (0, 1))


def _hold(state: MatchState, restart: Restart) -> None:
    """A thrower lifts the ball over his head; otherwise it lies still."""
    if restart.kind != "throw_in":
        state.ball.put(*restart.spot)
        return
    state.gesture[restart.taker] = GESTURE_ARMS_UP
    height = min(state.ball.z + 0.06, THROW_HEIGHT_M)
    state.ball.put(*restart.spot, height)


def take(state: MatchState, restart: Restart) -> None:
    """Bring the ball back into play."""
    state.restart = None
    state.gesture[restart.taker] = GESTURE_NONE
    state.actions.append(_instant(state, restart.kind, restart.team, restart.taker))
    state.last_touch = restart.taker
    state.restart_kind = restart.kind
    kick(state, restart.taker, _delivery(state, restart))
    state.restart_kind = None


def _delivery(state: MatchState, restart: Restart) -> Kick:
    if restart.kind == "corner":
        return _corner_kick(state, restart)
    if restart.kind == "throw_in":
        return _throw(state, restart)
    if restart.kind == "kick_off":
        return _back_pass(state, restart)
    if restart.kind == "goal_kick" and state.rng.random() < 0.35:
        return _long_kick(state, restart)
    return choose_pass(state, restart.taker) or _long_kick(state, restart)


def _corner_kick(state: MatchState, restart: Restart) -> Kick:
    mates = np.array([i for i in state.outfield(restart.team) if i != restart.taker])
    goal = state.goal(restart.team)
    near = mates[np.linalg.norm(state.position[mates] - goal, axis=1) < 16.0]
    receiver = int(state.rng.choice(near if len(near) else mates))
    place = state.position[receiver] + state.rng.normal(0.0, 0.8, 2)
    return aim_pass(state, restart.taker, receiver, place, lofted=True)


def _throw(state: MatchState, restart: Restart) -> Kick:
    mates = np.array([i for i in state.outfield(restart.team) if i != restart.taker])
    distance = np.linalg.norm(state.position[mates] - state.ball.xy, axis=1)
    near = mates[distance < THROW_RANGE_M]
    if len(near) == 0:
        near = mates[[int(distance.argmin())]]
    free = np.array([state.pressure(int(i)) for i in near])
    receiver = int(near[int((free + state.rng.normal(0, 1.0, len(near))).argmax())])
    offset = state.position[receiver] - state.ball.xy
    reach = float(np.clip(np.linalg.norm(offset) * 0.85, 3.0, THROW_RANGE_M))
    elevation = math.radians(14.0)
    speed = loft_speed(reach, elevation, THROW_HEIGHT_M)
    return Kick("pass", receiver, math.atan2(offset[1], offset[0]), speed, elevation)


def _back_pass(state: MatchState, restart: Restart) -> Kick:
    mates = np.array([i for i in state.outfield(restart.team) if i != restart.taker])
    distance = np.linalg.norm(state.position[mates] - state.ball.xy, axis=1)
    receiver = int(mates[np.argsort(np.abs(distance - 14.0))[int(state.rng.integers(3))]])
    return aim_pass(state, restart.taker, receiver, state.position[receiver], lofted=False)


def _long_kick(state: MatchState, restart: Restart) -> Kick:
    receiver = int(state.outfield(restart.team)[-1 - int(state.rng.integers(2))])
    offset = state.position[receiver] - state.ball.xy
    far = min(float(np.linalg.norm(offset)), 52.0) / max(float(np.linalg.norm(offset)), 1.0)
    return aim_pass(state, restart.taker, receiver, state.ball.xy + offset * far, lofted=True)
