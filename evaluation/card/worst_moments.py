"""The frame of a simulated match that was understood worst, beside a radar of truth and answer."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evaluation.ball import ball_in
from evaluation.card.answers import Image
from evaluation.card.measures import Picture
from evaluation.card.pictures import FALSE, MISSED, RIGHT, draw_boxes
from evaluation.card.plots import BLUE, INK, ORANGE, STYLE, pitch_axes
from evaluation.match_tables import MatchTables, load_pair, scored_frames
from evaluation.structure import structure_of
from evaluation.teams import SIDES, is_swapped, labels_of, swap_sides
from evaluation.tracking import People, closeness, pair_people, people_of

WORST_MATCHES = 4
BALL_WITHIN_M = 2.0

_TEAM_COLOUR = {"home": ORANGE, "away": BLUE, "referee": "#c79a00"}
_GREY = "#8d97a2"
_DPI = 100


@dataclass(frozen=True)
class Moment:
    """One frame of a match, as truth and as it was answered.

    Attributes:
        truth, result: the rows of the frame, `truth_team` and `result_team` their teams.
        missed, false: rows of truth that nothing is near, rows of the result near nobody.
        true_ball, ball: (2,) metres, NaN where there is none.
    """

    match: str
    video: Path
    frame: int
    truth: People
    truth_team: NDArray[np.str_]
    result: People
    result_team: NDArray[np.str_]
    missed: NDArray[np.int64]
    false: NDArray[np.int64]
    true_ball: NDArray[np.float64]
    ball: NDArray[np.float64]

    @property
    def mistakes(self) -> int:
        """People missed and invented, and one for a ball that is more than 2 m off or missing."""
        return len(self.missed) + len(self.false) + self.ball_is_wrong

    @property
    def wanted(self) -> int:
        """How many players are in sight."""
        return int((self.truth.observed & np.isin(self.truth_team, SIDES)).sum())

    @property
    def ball_is_wrong(self) -> bool:
        off = np.linalg.norm(self.true_ball - self.ball)
        if np.isnan(self.true_ball).any():
            return not np.isnan(self.ball).any()
        return not off <= BALL_WITHIN_M


def worst_moment(match: str, truth_dir: Path, result_dir: Path) -> Moment:
    """The frame with the most mistakes, the earliest of equals."""
    truth, result = load_pair(truth_dir, result_dir)
    frames = _measurable(truth, scored_frames(truth, result))
    true, found = (people_of(side["tracks"], frames) for side in (truth, result))
    teams = labels_of(truth["identities"], true.track).team
    answers = labels_of(result["identities"], found.track).team
    pairs = pair_people(true, found, closeness, "xy")
    if is_swapped(teams[pairs.truth], answers[pairs.result]):
        answers = swap_sides(answers)
    # somebody half outside the picture may be found or not, as may a referee
    wanted = np.flatnonzero(true.observed & np.isin(teams, SIDES))
    missed = np.setdiff1d(wanted, pairs.truth)
    false = np.setdiff1d(np.arange(len(found)), pairs.result)
    wrong = [true.frame[missed], found.frame[false], _wrong_balls(truth, result, frames)]
    counts = np.array([np.isin(np.concatenate(wrong), frame).sum() for frame in frames])
    frame = int(frames[counts.argmax()])
    at, seen = np.flatnonzero(true.frame == frame), np.flatnonzero(found.frame == frame)
    balls = [ball_in(side["ball"], np.array([frame])).xy[0] for side in (truth, result)]
    return Moment(
        match, truth_dir / "match.mp4", frame, true.where(at), teams[at], found.where(seen),
        answers[seen], np.flatnonzero(np.isin(at, missed)), np.flatnonzero(np.isin(seen, false)),
        balls[0], balls[1],
    )  # fmt: skip


def moment_picture(name: str, moment: Moment, image: Image) -> Picture:
    """The frame with missed (red), invented (orange) and right (green) people, and the radar."""
    shown = _drawn(image, moment)
    with rc_context(STYLE):
        figure = Figure(figsize=(11.6, 3.9), layout="constrained")
        places = figure.add_gridspec(1, 2, width_ratios=(1.18, 1))
        axes = figure.add_subplot(places[0])
        axes.imshow(shown[:, :, ::-1], interpolation="antialiased")
        axes.set_axis_off()
        radar = pitch_axes(figure, places[1])
        _dots(radar, moment)
        radar.set_title("Ring: truth. Dot: answer, by team. Cross: nobody is there.")
        sink = io.BytesIO()
        figure.savefig(sink, format="jpg", dpi=_DPI, pil_kwargs={"quality": 80})
    return Picture(f"{name}.jpg", _caption(moment), sink.getvalue())


def _caption(moment: Moment) -> str:
    ball = "ball wrong" if moment.ball_is_wrong else "ball right"
    return (
        f"{moment.match}, frame {moment.frame}: {len(moment.missed)} of {moment.wanted} players "
        f"missed (red), {len(moment.false)} invented (orange), {ball}"
    )


def _measurable(truth: MatchTables, frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of the frames those that show live play from afar; all where there is none."""
    live = structure_of(truth["frames"], frames).measurable
    return frames[live] if live.any() else frames


def _wrong_balls(
    truth: MatchTables, result: MatchTables, frames: NDArray[np.int64]
) -> NDArray[np.int64]:
    true, found = (ball_in(side["ball"], frames) for side in (truth, result))
    near = np.linalg.norm(true.xy - found.xy, axis=1) <= BALL_WITHIN_M
    return np.asarray(frames[~near & (true.placed | found.placed)])


def _drawn(image: Image, moment: Moment) -> Image:
    shown = image.copy()
    thick = max(round(image.shape[1] / 640), 1)
    right = np.setdiff1d(np.arange(len(moment.truth)), moment.missed)
    draw_boxes(shown, moment.truth.xyxy[right], RIGHT, thick)
    draw_boxes(shown, moment.truth.xyxy[moment.missed], MISSED, thick)
    draw_boxes(shown, moment.result.xyxy[moment.false], FALSE, thick)
    return shown


def _dots(axes: Any, moment: Moment) -> None:
    """Truth as rings, answers as dots, of the colour of their team."""
    colours = [_TEAM_COLOUR.get(team, _GREY) for team in moment.truth_team]
    x, y = moment.truth.xy.T
    axes.scatter(x, y, s=95, facecolors="none", edgecolors=colours, linewidths=1.8, zorder=3)
    known = np.setdiff1d(np.arange(len(moment.result)), moment.false)
    for rows, mark in ((known, "o"), (moment.false, "X")):
        x, y = moment.result.xy[rows].T
        fill = [_TEAM_COLOUR.get(team, _GREY) for team in moment.result_team[rows]]
        axes.scatter(x, y, s=34, c=fill, marker=mark, edgecolors="white", linewidths=0.5, zorder=4)
    for place, face in ((moment.true_ball, "none"), (moment.ball, INK)):
        if not np.isnan(place).any():
            axes.scatter(*place, s=40, marker="D", facecolors=face, edgecolors=INK, zorder=5)
