"""Section: a fixed set of simulated matches, from the video's pixels to events."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from evaluation.card.answers import Answers, SimulatedCase
from evaluation.card.intervals import bootstrap
from evaluation.card.measures import Measure, Picture, Section, Table, as_text
from evaluation.card.plots import grid
from evaluation.card.worst_moments import WORST_MATCHES, Moment, moment_picture, worst_moment
from evaluation.match import score_match
from evaluation.scores import Scores

NAME = "simulated"

CASES = (
    SimulatedCase("main 720p", 950_101, 16, fps=25),
    SimulatedCase("main 1080p", 950_102, 12, width=1920, height=1080, fps=25),
    SimulatedCase("main 720p 50 fps", 950_103, 12, fps=50),
    SimulatedCase("main 1080p 30 fps", 950_104, 12, width=1920, height=1080, fps=29.97),
    SimulatedCase("wide 1080p", 950_105, 12, "wide", 1920, 1080, 25),
    SimulatedCase("behind goal 720p", 950_106, 14, "behind_goal", fps=29.97),
)
"""The full form's matches: about 2500 frames."""

QUICK_CASES = (
    SimulatedCase("main, quick", 950_111, 4),
    SimulatedCase("behind goal, quick", 950_112, 4, "behind_goal"),
)

_TAKEN = (
    "Matches of the project's own simulator, whose seeds only tests may use: rendered, encoded, "
    "and analysed as any video is. Here alone everything is known, so identities, places, ball, "
    "events and formations are scored together; but a simulated match is not a real one. A figure "
    "is the mean over the matches in which it is defined. They are short: events are few, and a "
    "formation is named from seconds."
)


@dataclass(frozen=True)
class Pick:
    """A score of a match that stands on the page: where it lies, and how a reader knows it."""

    path: str
    label: str
    short: str
    unit: str = ""
    higher_is_better: bool | None = True
    headline: bool = False
    beside: str = ""

    def of(self, scores: Scores) -> float | None:
        """Its value in the scores of a match, None where there is none."""
        found: Any = reduce(_inner, self.path.split("/"), scores)
        return None if found is None else float(found)


PICKS = (
    Pick("hota", "players tracked in the image, HOTA", "HOTA", headline=True),
    Pick("deta", "the part of detection, DetA", "DetA"),
    Pick("assa", "the part of association, AssA", "AssA"),
    Pick("idf1", "players tracked in the image, IDF1", "IDF1"),
    Pick("hota_metres", "players tracked on the pitch in metres, HOTA", "HOTA m", headline=True),
    Pick("team_accuracy_per_player", "players in the right team", "team", headline=True),
    Pick("role_accuracy", "rows with the right role", "role"),
    Pick("ball_f1_1m", "ball within 1 m, F1", "ball 1 m", headline=True),
    Pick("ball_f1_2m", "ball within 2 m, F1", "ball 2 m"),
    Pick("event_f1/pass", "passes within 1 s, F1", "pass", headline=True),
    Pick("event_f1/shot", "shots within 1 s, F1", "shot"),
    Pick("formation_accuracy", "time with the right formation", "formation", headline=True),
    Pick("calibration_answered_share", "frames whose camera is found", "camera"),
    Pick("calibration_median_error_m", "pitch error, median", "pitch", "m", False, True),
    Pick("calibration_p95_error_m", "pitch error, 95th percentile", "pitch 95 %", "m", False),
    Pick("position_error_median_m", "players' place, median error", "place", "m", False, True),
    Pick("ball_error_median_m", "ball's place, median error", "ball", "m", False),
    Pick("speed_rmse_mps", "speed, root mean square error", "speed", "m/s", False),
    Pick("distance_rmse_percent", "distance of a player, RMS error", "distance", "%", False),
    Pick(
        "player_sigma_coverage", "players' coordinates within one sigma", "sigma", "", None,
        beside="right: 0.683",
    ),
    Pick(
        "ball_sigma_coverage", "ball's coordinates within one sigma", "ball sigma", "", None,
        beside="right: 0.683",
    ),
)  # fmt: skip


def section(answers: Answers, cases: Sequence[SimulatedCase] = CASES) -> Section:
    """Render, analyse and score every case."""
    scores: dict[str, Scores] = {}
    moments: list[Moment] = []
    for case in cases:
        truth = answers.render(case)
        video = truth / "match.mp4"
        result = answers.analyse(video)
        size = (case.width, case.height)
        scores[case.name] = score_match(truth, result, image_size=size)
        moments.append(worst_moment(case.name, truth, result))
    return Section(
        NAME,
        "Simulated matches",
        _TAKEN,
        measures=measures(scores),
        tables=[_conditions(cases), _by_match(scores)],
        pictures=[_overview(scores), *_worst(moments, answers)],
        scores=scores,
    )


def measures(scores: Mapping[str, Scores]) -> list[Measure]:
    """Each pick's mean over the matches that have it; one that none has is left out."""
    found = []
    for pick in PICKS:
        values = [v for v in (pick.of(match) for match in scores.values()) if v is not None]
        if values:
            found.append(
                Measure(
                    f"{NAME}.{pick.path.replace('/', '.')}", pick.label,
                    statistics.fmean(values), len(values), "matches", pick.unit,
                    pick.higher_is_better, bootstrap(values, statistics.fmean), pick.beside,
                    pick.headline,
                )
            )  # fmt: skip
    return found


def _inner(scores: Any, name: str) -> Any:
    return scores.get(name) if isinstance(scores, Mapping) else None


def _conditions(cases: Sequence[SimulatedCase]) -> Table:
    header = ("match", "seed", "seconds", "camera", "size", "frames a second", "cuts and replays")
    rows = [
        (
            case.name, str(case.seed), f"{case.seconds:g}", case.camera.replace("_", " "),
            f"{case.width}x{case.height}", f"{case.fps:g}", "yes" if case.broadcast else "no",
        )
        for case in cases
    ]  # fmt: skip
    return Table("The matches (formations, kits and looks are drawn by the seed)", header, rows)


def _by_match(scores: Mapping[str, Scores]) -> Table:
    picks = [pick for pick in PICKS if pick.unit or pick.higher_is_better is None]
    header = ("match", *(pick.short for pick in picks))
    rows = [
        (name, *(as_text(pick.of(found), pick.unit) for pick in picks))
        for name, found in scores.items()
    ]
    return Table("By match", header, rows)


def _overview(scores: Mapping[str, Scores]) -> Picture:
    picks = [pick for pick in PICKS if not pick.unit and pick.higher_is_better]
    values = {(name, p.short): p.of(found) for name, found in scores.items() for p in picks}
    shorts = [pick.short for pick in picks]
    return grid("simulated-matches", "Shares by match, 1 is best", list(scores), shorts, values)


def _worst(moments: Sequence[Moment], answers: Answers) -> list[Picture]:
    """The worst frame of each of the worst matches."""
    ranked = sorted(moments, key=lambda moment: (-moment.mistakes, moment.match))
    pictures = []
    for rank, moment in enumerate(ranked[:WORST_MATCHES], start=1):
        image = answers.frames(moment.video, [moment.frame])[moment.frame]
        pictures.append(moment_picture(f"simulated-worst-{rank}", moment, image))
    return pictures
