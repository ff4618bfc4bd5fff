"""Teams and roles on the labelled frames of strange clips, after the whole pipeline."""

from collections.abc import Mapping
from pathlib import Path

from evaluation.card.answers import Answers
from evaluation.card.measures import Measure, Table, as_text
from evaluation.scores import Scores
from evaluation.team_clips import score_team_clips

TEAM_CLIPS = "offside_clips"


def team_scores(folder: Path, answers: Answers) -> dict[str, Scores]:
    """The scores of all clips of a folder together ("all"), and of each."""
    results = {
        clip.stem: answers.analyse(clip) for clip in sorted((folder / "clips").glob("*.mp4"))
    }
    first = next(iter(sorted((folder / "clips").glob("*.mp4"))))
    height, width = answers.frames(first, [0])[0].shape[:2]
    groups = {"all": results, **{name: {name: tables} for name, tables in results.items()}}
    return {
        name: score_team_clips(folder, group, (width, height)) for name, group in groups.items()
    }


def team_measures(section: str, scores: Scores) -> list[Measure]:
    """Accuracy of teams and roles; whom the pipeline leaves open is counted beside."""
    rows = (
        ("team_accuracy", "players in the right team, of those told", "team_n", "players"),
        ("team_unknown_share", "players whose team is left open", "team_n", "players"),
        ("keeper_team_accuracy", "goalkeepers in the right team", "keeper_team_n", "keepers"),
        ("role_accuracy", "people with the right role", "role_n", "people"),
        ("referee_as_player_share", "referees taken for players", "referee_n", "referees"),
        ("found_share", "labelled people who are tracked", "boxes", "people"),
    )  # fmt: skip
    worse = ("team_unknown_share", "referee_as_player_share")
    return [
        Measure(
            f"{section}.teams.{key}", f"{label}, 4 clips", scores[key], int(scores[count]), case,
            higher_is_better=key not in worse, headline=key in ("team_accuracy", "role_accuracy"),
        )
        for key, label, count, case in rows
    ]  # fmt: skip


def team_table(scores: Mapping[str, Scores]) -> Table:
    header = ("clip", "frames", "tracked", "right team", "team open", "right role")
    rows = [
        (
            name, str(found["frames"]),
            *(
                as_text(found[key])
                for key in ("found_share", "team_accuracy", "team_unknown_share", "role_accuracy")
            ),
        )
        for name, found in scores.items()
    ]  # fmt: skip
    return Table("Teams and roles by clip", header, rows)
