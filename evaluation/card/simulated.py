"""Section: a fixed set of simulated matches, from the video's pixels to events."""

from collections.abc import Mapping, Sequence

from evaluation.card.answers import Answers, SimulatedCase
from evaluation.card.match_picks import PICKS
from evaluation.card.measures import Picture, Section, Table
from evaluation.card.picks import by_match, over_all
from evaluation.card.plots import grid
from evaluation.card.worst_moments import WORST_MATCHES, Moment, moment_picture, worst_moment
from evaluation.match import score_match
from evaluation.scores import Scores

NAME = "simulated"

CASES = (
    SimulatedCase("main 720p", 950_401, 16),
    SimulatedCase("main 720p, another", 950_402, 12),
    SimulatedCase("main 1080p", 950_403, 10, width=1920, height=1080),
    SimulatedCase("main 720p 50 fps", 950_404, 8, fps=50),
    SimulatedCase("wide 1080p", 950_405, 10, "wide", 1920, 1080),
    SimulatedCase("behind goal 720p", 950_406, 12, "behind_goal", fps=29.97),
    SimulatedCase("amateur 1080p", 950_407, 10, "amateur", 1920, 1080, 29.97),
    SimulatedCase("drone 1080p", 950_409, 10, "drone", 1920, 1080, 29.97),
    SimulatedCase("broadcast 720p", 950_408, 40, broadcast=True),
)
"""The full form's matches: about 3600 frames, of seeds that nothing was looked at with."""

QUICK_CASES = (
    SimulatedCase("main, quick", 950_411, 6),
    SimulatedCase("behind goal, quick", 950_412, 4, "behind_goal"),
)

_TAKEN = (
    "Matches of the project's own simulator, whose seeds only tests may use: rendered, encoded, "
    "and analysed as any video is. Here alone everything is known, so identities, places, ball, "
    "events and formations are scored together; but a simulated match is not a real one. A figure "
    "is the mean over the matches, weighted by the cases that it is taken over; intervals draw "
    "matches. Frames that show no live wide picture of the play are scored by themselves. The "
    "matches are short: events are few, and a formation is named from seconds."
)


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
    in_units = [pick for pick in PICKS if pick.unit or pick.higher_is_better is None]
    return Section(
        NAME,
        "Simulated matches",
        _TAKEN,
        measures=over_all(NAME, PICKS, scores),
        tables=[_conditions(cases, answers), by_match("By match", in_units, scores)],
        pictures=[_overview(scores), *_worst(moments, answers)],
        scores=scores,
    )


def _conditions(cases: Sequence[SimulatedCase], answers: Answers) -> Table:
    header = ("match", "seed", "seconds", "camera", "size", "frames a second", "conditions")
    rows = [
        (
            case.name, str(case.seed), f"{case.seconds:g}", case.camera.replace("_", " "),
            f"{case.width}x{case.height}", f"{case.fps:g}",
            answers.conditions(case) + (", cuts and replays" if case.broadcast else ""),
        )
        for case in cases
    ]  # fmt: skip
    return Table("The matches: light, weather, kits and formations are the seed's", header, rows)


def _overview(scores: Mapping[str, Scores]) -> Picture:
    shares = [pick for pick in PICKS if not pick.unit and pick.higher_is_better]
    picks = [p for p in shares if any(p.of(found) is not None for found in scores.values())]
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
