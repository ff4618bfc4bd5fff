"""Plays a match: steps the people and the ball 50 times a second and keeps the record."""

from dataclasses import dataclass

import numpy as np

from domain.periods import Period
from simulation.arrays import Floats, Ints
from simulation.choices import Kick, choose, dribble_target
from simulation.contacts import (
    GESTURE_DIVE,
    GESTURE_HOLD,
    GESTURE_NONE,
    carry,
    kick,
    tackles,
    touches,
)
from simulation.halves import follow_schedule, rest
from simulation.keeping import dive, try_save
from simulation.movement import step, turn
from simulation.officials import place_officials, stand_ready
from simulation.people import PEOPLE, PLAYERS, Person
from simulation.positioning import THINK_S, think
from simulation.restarts import advance, arrange, foul, offside, opening, out_of_play, roll_out
from simulation.schedule import Schedule
from simulation.state import TICK_S, Action, MatchState, new_state

THINK_TICKS = round(THINK_S / TICK_S)
CARRIER_EXTRA_HOLD_S = 0.45


@dataclass(frozen=True)
class PlayRecord:
    """What happened, a row every `TICK_S` seconds.

    position (t, 25, 2) metres; heading (t, 25) radians from +x; lean (t, 25) radians to the right
    of where one faces; gesture (t, 25); ball (t, 3) metres; team (t) 0 or 1 in possession, -1 dead;
    carrier (t) index or -1. `attack_sign` is that of the first half; `periods` has them all.
    """

    people: list[Person]
    attack_sign: tuple[int, int]
    position: Floats
    heading: Floats
    lean: Floats
    gesture: Ints
    ball: Floats
    team: Ints
    carrier: Ints
    actions: list[Action]
    placements_s: list[float]
    periods: list[Period]


def play(people: list[Person], schedule: Schedule, rng: np.random.Generator) -> PlayRecord:
    """Play from the kick-off of the first half to the end of the schedule."""
    state = new_state(people, rng)
    state.first_kick_off = state.possession
    state.periods.append(schedule.first_period(state.attack_sign[0]))
    state.restart = opening(state)
    stand_ready(state)
    state.heading = np.arctan2(-state.position[:, 1], -state.position[:, 0])
    recorder = _Recorder(round(schedule.seconds / TICK_S) + 2, state.attack_sign)
    for _ in range(recorder.length):
        recorder.keep(state)
        advance_tick(state, schedule)
    return recorder.finish(state)


def advance_tick(state: MatchState, schedule: Schedule) -> None:
    """Play on by `TICK_S`."""
    follow_schedule(state, schedule)
    if state.tick % THINK_TICKS == 0:
        _think(state)
    _calm(state)
    dive(state)
    _move(state)
    _play_ball(state)
    state.tick += 1


def _think(state: MatchState) -> None:
    if state.resting:
        rest(state)
        return
    if state.restart is not None:
        arrange(state)
    else:
        think(state)
    place_officials(state)


def _calm(state: MatchState) -> None:
    """Dives and gestures fade when their cause is gone."""
    if state.saving is None:
        state.lean *= 0.95
        state.gesture[(state.gesture == GESTURE_DIVE) & (np.abs(state.lean) < 0.3)] = GESTURE_NONE
    state.gesture[state.gesture == GESTURE_HOLD] = GESTURE_NONE
    if state.in_hands and state.carrier is not None:
        state.gesture[state.carrier] = GESTURE_HOLD


def _move(state: MatchState) -> None:
    if state.carrier is not None and state.in_play:
        _run_with_ball(state, state.carrier)
    pace = np.where(state.time_s < state.slowed_until_s, np.minimum(state.pace, 1.2), state.pace)
    state.position, state.velocity = step(
        state.position, state.velocity, state.target, pace, state.top_speed, TICK_S
    )
    state.heading = turn(state.heading, state.position, state.velocity, state.ball.xy, TICK_S)


def _run_with_ball(state: MatchState, carrier: int) -> None:
    if state.in_hands:
        team = state.team_of(carrier)
        goal = state.goal(1 - team)
        state.target[carrier] = goal + np.array(
            [state.attack_sign[team] * 12.0, 0.3 * state.ball.y]
        )
        state.pace[carrier] = 1.8
    elif state.tick % THINK_TICKS == 0:
        state.target[carrier], state.pace[carrier] = dribble_target(state, carrier)


def _play_ball(state: MatchState) -> None:
    if state.resting:
        roll_out(state)
        return
    if state.restart is not None:
        advance(state)
        return
    if state.carrier is not None:
        carry(state)
        if tackles(state) == "foul":
            state.restart = foul(state)
            return
        _maybe_kick(state)
    else:
        state.ball.advance(TICK_S)
        if not try_save(state):
            touches(state)
    if state.flagged is not None:
        state.restart = offside(state)
        return
    state.restart = out_of_play(state)


def _maybe_kick(state: MatchState) -> None:
    carrier = state.carrier
    if carrier is None or state.time_s < state.decide_s:
        return
    decision: Kick | None = choose(state, carrier)
    if decision is None:
        state.decide_s = state.time_s + CARRIER_EXTRA_HOLD_S * state.rng.uniform(0.5, 1.5)
    else:
        kick(state, carrier, decision)


class _Recorder:
    """Arrays that fill up tick by tick."""

    def __init__(self, length: int, attack_sign: tuple[int, int]) -> None:
        self.length, self.attack_sign = length, attack_sign
        self.position = np.zeros((length, PEOPLE, 2))
        self.heading, self.lean = np.zeros((length, PEOPLE)), np.zeros((length, PEOPLE))
        self.gesture = np.zeros((length, PEOPLE), np.int64)
        self.ball = np.zeros((length, 3))
        self.team = np.full(length, -1)
        self.carrier = np.full(length, -1)

    def keep(self, state: MatchState) -> None:
        row = state.tick
        self.position[row], self.heading[row] = state.position, state.heading
        self.lean[row], self.gesture[row] = state.lean, state.gesture
        self.ball[row] = state.ball.x, state.ball.y, state.ball.z
        if state.in_play:
            self.team[row] = state.possession
        if state.carrier is not None and state.carrier < PLAYERS:
            self.carrier[row] = state.carrier

    def finish(self, state: MatchState) -> PlayRecord:
        return PlayRecord(
            state.people,
            self.attack_sign,
            self.position,
            self.heading,
            self.lean,
            self.gesture,
            self.ball,
            self.team,
            self.carrier,
            state.actions,
            state.placements_s,
            state.periods,
        )
