"""Section: real clips whose people, ball and events were labelled by eye."""

from pathlib import Path

from domain.errors import InputError
from evaluation.by_hand import score_by_hand
from evaluation.card.answers import Answers
from evaluation.card.measures import Section
from evaluation.card.picks import Pick, by_match, over_all
from evaluation.hand_labels import labelled_clips, load_hand_labels
from evaluation.scores import Scores

NAME = "by_hand"
FOLDERS = ("clips", "other/offside_clips/clips")

_TAKEN = (
    "Real clips, analysed as any video is and held against what people saw in them "
    "(`evaluation/labels/`). Only what they were sure of counts. Where the detector was right the "
    "ball's label was taken from it, which flatters the error in pixels and not the share found. "
    "The clips are seconds long: events are very few."
)

_PEOPLE, _BALLS, _VIEWS = "people_count", "ball_count", "view_frames"
PICKS = (
    Pick("people_recall", "people who are tracked", "tracked", _PEOPLE, "people in frames"),
    Pick(
        "team_accuracy", "players in the right team, of those told", "team", "team_rows",
        "people in frames", headline=True,
    ),
    Pick(
        "team_unknown_share", "people without a team", "no team", "team_rows", "people in frames",
        higher_is_better=False,
    ),
    Pick(
        "role_accuracy", "people with the right role", "role", "role_rows", "people in frames",
        headline=True,
    ),
    Pick("ball_f1", "ball in sight, F1", "ball", _BALLS, "frames", headline=True),
    Pick("ball_precision", "ball in sight, precision", "ball precision", _BALLS, "frames"),
    Pick("ball_recall", "ball in sight, recall", "ball recall", _BALLS, "frames"),
    Pick(
        "ball_error_median_px", "ball, median error in pixels", "ball error", _BALLS, "frames",
        unit="px", higher_is_better=False,
    ),
    Pick(
        "event_f1/pass", "passes within 1 s, F1", "pass", "event_counts/pass", "passes",
        headline=True,
    ),
    Pick("event_f1/shot", "shots within 1 s, F1", "shot", "event_counts/shot", "shots"),
    Pick("view_accuracy", "frames with the right kind of view", "view", _VIEWS, "frames"),
    Pick("cut_f1", "cuts within 3 frames, F1", "cuts", "cut_count", "cuts"),
    Pick(
        "cut_false", "false cuts a clip, by frames", "false cuts", _VIEWS, "frames", unit="cuts",
        higher_is_better=False,
    ),
)  # fmt: skip


def section(data: Path, answers: Answers) -> Section:
    """Analyse and score every clip that has labels."""
    scores: dict[str, Scores] = {}
    for name in labelled_clips():
        labels = load_hand_labels(name)
        scores[name] = score_by_hand(labels, answers.analyse(_video(data, labels.file)))
    return Section(
        NAME,
        "Real clips labelled by hand",
        _TAKEN,
        measures=over_all(NAME, PICKS, scores),
        tables=[by_match("By clip", PICKS, scores)],
        scores=scores,
    )


def _video(data: Path, file: str) -> Path:
    for folder in FOLDERS:
        if (data / folder / file).is_file():
            return data / folder / file
    raise InputError(f"{data}: no clip {file} in {' or '.join(FOLDERS)}: the labels are of it")
