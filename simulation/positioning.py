"""Where players go without the ball: the team's block, the press, marking, chases and runs."""

import numpy as np

from simulation.arrays import Floats
from simulation.people import KEEPERS, PLAYERS, SQUAD
from simulation.state import MatchState

THINK_S = 0.1  # targets are chosen anew ten times a second
PERCEPTION_S = 0.5  # time constant with which people notice where the ball went
PHASE_S = 2.5  # time in which a team spreads out after winning the ball

# Block in metres, for a team that attacks +x: where the defensive line stands when the ball is on
# its own goal line, how far it moves per metre of the ball, and the block's length and half width.
# Lengths and widths are those of elite tracking data: 25 to 35 m by 35 to 45 m out of possession,
# wider and longer with the ball (Olthof et al., Match-derived relative pitch area, 2018).
LINE_OUT, LINE_IN = (-43.5, 0.46), (-40.0, 0.5)
LINE_LIMITS = (-45.5, 6.0)
LENGTH_OUT_M, LENGTH_IN_M = 25.0, 36.0
HALF_WIDTH_OUT_M, HALF_WIDTH_IN_M = 20.0, 28.5
SHIFT_OUT, SHIFT_IN = 0.58, 0.22

# Where attackers go for a cross, seen by a team that attacks +x with the ball on its left.
BOX_FROM_X_M, BOX_FROM_Y_M = 24.0, 13.0
BOX_PLACES = ((46.0, 4.0), (42.0, 1.0), (37.0, -2.0), (45.5, -6.0))
# Near their goal the defenders leave the wing to one of them and stay in front of goal.
RETREAT_FROM_X_M, RETREAT_M, STAY_SHARE = -8.0, 7.0, 0.55

WANDER_M, WANDER_S = 1.6, 7.0
MARKING_RANGE_M = 8.0
CLOSE_MARKING_M = 18.0  # this near to the goal the opponent is marked and not the zone
PRESS_SHARE, CONTAIN_M = 0.4, 2.4  # away from goal the nearest defender rather holds than bites
PRESS_COVER_M = 6.0
PRESS_HARD_M = 24.0  # this near to the goal the second defender closes the ball down as well
RUN_CHANCE_PER_S = 0.08
RUN_S = 2.6
NOTICE_RUN_S = 0.3
REACTION_S = 0.25
READING_S = 0.4  # until opponents have read where a pass goes


def think(state: MatchState) -> None:
    """Set the targets and paces of all 22 for open play."""
    _notice(state)
    for team in (0, 1):
        _block(state, team)
        _keeper(state, team)
    defending = 1 - state.possession
    _mark(state, defending)
    if state.carrier is not None:
        _press(state, defending)
        _support(state, state.possession)
    else:
        _chase(state)


def _notice(state: MatchState) -> None:
    state.perceived_ball += (state.ball.xy - state.perceived_ball) * min(THINK_S / PERCEPTION_S, 1)
    sides = np.array([1.0, 0.0]) if state.possession == 0 else np.array([0.0, 1.0])
    limit = THINK_S / PHASE_S
    state.phase += np.clip(sides - state.phase, -limit, limit)
    kick = state.rng.normal(0.0, WANDER_M * np.sqrt(2 * THINK_S / WANDER_S), state.wander.shape)
    state.wander += -state.wander * THINK_S / WANDER_S + kick


def block_places(state: MatchState, team: int, ball_xy: Floats) -> Floats:
    """Places (10, 2) of a team's outfield players for a ball at `ball_xy`, in pitch metres."""
    phase = float(state.phase[team])
    ball = state.own(team, ball_xy)
    slots = [person.slot for person in state.people[state.members(team)] if person.slot]
    depth = np.array([s.depth + phase * (s.attack_depth - s.depth) for s in slots])
    width = np.array([s.width for s in slots])
    line = _mix(phase, *(base + rate * (ball[0] + 52.5) for base, rate in (LINE_OUT, LINE_IN)))
    deep = float(np.clip((RETREAT_FROM_X_M - ball[0]) / 15.0, 0.0, 1.0))
    line = float(np.clip(line - (1.0 - phase) * RETREAT_M * deep, *LINE_LIMITS))
    x = line + depth * _mix(phase, LENGTH_OUT_M, LENGTH_IN_M)
    half = _mix(phase, HALF_WIDTH_OUT_M, HALF_WIDTH_IN_M)
    shift = _mix(phase, SHIFT_OUT * (1.0 - STAY_SHARE * deep), SHIFT_IN)
    y = ball[1] * shift + width * half
    places = np.column_stack([np.minimum(x, 50.0), np.clip(y, -32.0, 32.0)])
    return np.asarray(state.own(team, places))


def _mix(share: float, out: float, into: float) -> float:
    return out + share * (into - out)


def _block(state: MatchState, team: int) -> None:
    outfield = state.outfield(team)
    places = block_places(state, team, state.perceived_ball) + state.wander[outfield]
    own = state.own(team, places)
    own[:, 0] = np.minimum(own[:, 0], state.offside_line(team) - 0.7)
    running = state.time_s < state.run_until_s[outfield]
    own[running, 0] = state.offside_line(team) + 6.0
    _set(state, outfield, state.own(team, own), np.where(running, 8.0, 6.2))
    if state.possession == team:
        _start_runs(state, team)
        _attack_the_box(state, team)


def _attack_the_box(state: MatchState, team: int) -> None:
    """With the ball on the wing near the goal, the foremost run to the posts and the spot."""
    ball = state.own(team, state.perceived_ball)
    if ball[0] < BOX_FROM_X_M or abs(ball[1]) < BOX_FROM_Y_M:
        return
    outfield = np.array([i for i in state.outfield(team) if i != state.carrier])
    here = state.own(team, state.position[outfield])
    distance = np.linalg.norm(here - np.array([43.0, 0.0]), axis=1)
    runners = outfield[np.argsort(distance, kind="stable")[: len(BOX_PLACES)]]
    places = np.array(BOX_PLACES) * np.array([1.0, np.sign(ball[1])])
    # the one nearest to the ball's side goes to the near post, the next ones farther across
    runners = runners[
        np.argsort(-np.sign(ball[1]) * state.own(team, state.position[runners])[:, 1])
    ]
    places[:, 0] = np.minimum(places[:, 0], state.offside_line(team) - 0.4)
    _set(state, runners, state.own(team, places), np.full(len(runners), 7.0))


def _start_runs(state: MatchState, team: int) -> None:
    """Now and then somebody in the attacking half runs in behind the defence."""
    outfield = state.outfield(team)
    ahead = (
        state.own(team, state.position[outfield])[:, 0] > state.own(team, state.ball.xy)[0] + 2.0
    )
    starts = ahead & (state.rng.random(len(outfield)) < RUN_CHANCE_PER_S * THINK_S)
    state.run_until_s[outfield[starts]] = state.time_s + RUN_S
    if starts.any() and state.carrier is not None and not state.in_hands:
        state.decide_s = min(state.decide_s, state.time_s + NOTICE_RUN_S)


def _keeper(state: MatchState, team: int) -> None:
    """On the line from the ball to the goal, farther out the farther the ball is."""
    goal = state.goal(1 - team)
    to_ball = state.perceived_ball - goal
    distance = float(np.linalg.norm(to_ball))
    out = np.clip(0.16 * distance - 1.0, 0.8, 11.0)
    place = goal + to_ball / max(distance, 0.5) * out
    _set(state, np.array([KEEPERS[team]]), place[None], np.array([5.0]))


def _set(state: MatchState, who: np.ndarray, target: Floats, cap: Floats) -> None:
    """Aim `who` at `target`; people stroll when nearly there and run when far away."""
    distance = np.linalg.norm(target - state.position[who], axis=1)
    state.target[who] = target
    state.pace[who] = np.minimum(np.maximum(0.44 * (distance - 0.9), 0.0) + 0.2, cap)


def _mark(state: MatchState, team: int) -> None:
    """Defenders near their goal lean towards the opponent in their zone, on the goal's side."""
    outfield = state.outfield(team)
    rivals = state.position[state.outfield(1 - team)]
    goal = state.goal(1 - team)
    offset = rivals[None] - state.target[outfield][:, None]
    distance = np.linalg.norm(offset, axis=2)
    nearest = distance.argmin(axis=1)
    shadow = rivals[nearest]
    shadow = shadow + 1.4 * _unit(goal - shadow)
    danger = np.exp(-np.linalg.norm(shadow - goal, axis=1) / 35.0)
    danger = np.maximum(danger, np.linalg.norm(shadow - goal, axis=1) < CLOSE_MARKING_M)
    share = np.where(distance.min(axis=1) < MARKING_RANGE_M, 0.1 + 0.8 * danger, 0.0)[:, None]
    target = state.target[outfield] * (1 - share) + shadow * share
    _set(state, outfield, target, np.full(len(outfield), 6.6))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6))


def _press(state: MatchState, team: int) -> None:
    """The nearest defender closes the ball down, the next covers behind him."""
    if state.in_hands:
        return
    outfield = state.outfield(team)
    ahead = state.ball.xy + 0.35 * state.velocity[state.carrier or 0]
    order = outfield[np.argsort(np.linalg.norm(state.position[outfield] - ahead, axis=1))]
    goal_side = _unit(state.goal(1 - team) - ahead)
    close = float(np.linalg.norm(state.position[order[0]] - ahead))
    near_goal = float(np.linalg.norm(state.goal(1 - team) - ahead)) < PRESS_HARD_M
    jockey = 0.9 if near_goal or state.rng.random() < PRESS_SHARE else CONTAIN_M
    first = ahead + goal_side * (jockey if close < 4 else 1.0)
    second = ahead + goal_side * (2.0 if near_goal else PRESS_COVER_M)
    _set(state, order[:1], first[None], np.array([6.4]))
    state.pace[order[0]] = max(state.pace[order[0]], 3.4 if close > 2 else 2.2)
    share = 0.6
    _set(
        state,
        order[1:2],
        (share * second + (1 - share) * state.target[order[1]])[None],
        np.array([6.5]),
    )


def _support(state: MatchState, team: int) -> None:
    """The two nearest team-mates make themselves available 9 to 14 m from the carrier."""
    carrier = state.carrier or 0
    outfield = np.array([i for i in state.outfield(team) if i != carrier])
    offset = state.position[outfield] - state.position[carrier]
    near = outfield[np.argsort(np.linalg.norm(offset, axis=1))[:2]]
    away = _unit(state.position[near] - state.position[carrier])
    wanted = state.position[carrier] + away * 11.0
    _set(state, near, 0.45 * wanted + 0.55 * state.target[near], np.full(2, 6.0))


def arrival_times(state: MatchState, points: Floats) -> Floats:
    """Seconds (22, n) in which each player reaches each point (n, 2), from his present run."""
    start = state.position[:PLAYERS] + state.velocity[:PLAYERS] * REACTION_S
    distance = np.linalg.norm(points[None] - start[:, None], axis=2)
    return np.asarray(REACTION_S + distance / (0.78 * state.top_speed[:PLAYERS, None]))


def meeting_point(state: MatchState, index: int) -> tuple[float, Floats]:
    """When (seconds from now) and where a player can first reach the rolling or falling ball."""
    times, points = _meetings(state)
    return float(times[index]), points[index]


def _meetings(state: MatchState) -> tuple[Floats, Floats]:
    path = state.ball_path()
    elapsed = state.time_s - state.path_s
    reach = arrival_times(state, path[:, 1:3]) <= (path[:, 0] - elapsed)[None] + 0.05
    reach &= (path[:, 3] < 1.7)[None]
    reach[:, -1] = True
    first = reach.argmax(axis=1)
    return path[first, 0] - elapsed, path[first, 1:3]


def _chase(state: MatchState) -> None:
    """Nobody has the ball: the receiver and the nearest of each team go to meet it."""
    times, points = _meetings(state)
    chasers = [team * SQUAD + int(times[state.members(team)].argmin()) for team in (0, 1)]
    flight = state.flight
    if flight is not None and flight.intended is not None:
        chasers[state.team_of(flight.intended)] = flight.intended
    if flight is not None and state.time_s - flight.start_s < READING_S:
        chasers = [chasers[state.team_of(flight.kicker)]]
    if flight is not None and flight.kind == "shot":
        chasers = [c for c in chasers if c not in KEEPERS]
    for index in chasers:
        if not (state.is_keeper(index) and not _keeper_may_leave(state, index, points[index])):
            hurry = np.linalg.norm(points[index] - state.position[index]) / max(times[index], 0.15)
            state.target[index] = points[index]
            state.pace[index] = np.clip(1.25 * hurry + 0.5, 1.2, 9.5)


def _keeper_may_leave(state: MatchState, index: int, point: Floats) -> bool:
    goal = state.goal(1 - state.team_of(index))
    return bool(np.linalg.norm(point - goal) < 18.0)
