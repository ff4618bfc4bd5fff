"""Teams and roles: is each person that was found on the right side?"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.match_tables import column
from evaluation.scores import Scores, share

SIDES = ("home", "away")


@dataclass(frozen=True)
class Labels:
    """Team and role of rows, (n,) text each; "unknown" where nothing is known."""

    team: NDArray[np.str_]
    role: NDArray[np.str_]


def labels_of(identities: pa.Table, track: NDArray[np.int64]) -> Labels:
    """Team and role of each of the tracks (n,); a track without identity is unknown."""
    order = np.argsort(column(identities, "track"))
    known = column(identities, "track")[order]
    place = np.searchsorted(known, track)
    found = place < len(known)
    found[found] = known[place[found]] == track[found]
    return Labels(*(_pick(column(identities, n)[order], place, found) for n in ("team", "role")))


def is_swapped(truth: NDArray[np.str_], result: NDArray[np.str_]) -> bool:
    """Whether more of the rows (n,) agree once the result's home and away change names.

    Without a configuration nobody can tell which team is called home.
    """
    return bool((truth == swap_sides(result)).sum() > (truth == result).sum())


def swap_sides(team: NDArray[np.str_]) -> NDArray[np.str_]:
    """The same teams (n,) with home and away exchanged."""
    return np.where(team == "home", "away", np.where(team == "away", "home", team))


def score_teams(truth: Labels, result: Labels, track: NDArray[np.int64]) -> Scores:
    """Accuracy over rows that show the same person, home and away already agreed.

    `team_accuracy` and `role_accuracy` are over rows whose answer is not "unknown", which are
    counted by `team_unknown_share` and `role_unknown_share`; `..._per_player` is over truth's
    people, each by the answer that most of its answered rows give, and `team_players` and
    `role_players` count them.

    Args:
        track: (n,) truth's track of each row.
    """
    sides = np.isin(truth.team, (*SIDES, "referee"))
    return {
        **_score("team", truth.team, result.team, track, sides),
        **_score("role", truth.role, result.role, track, truth.role != "unknown"),
    }


def _score(
    name: str,
    truth: NDArray[np.str_],
    result: NDArray[np.str_],
    track: NDArray[np.int64],
    counted: NDArray[np.bool_],
) -> Scores:
    answered = counted & (result != "unknown")
    right = int((truth == result)[answered].sum())
    return {
        f"{name}_accuracy": share(right, int(answered.sum())),
        f"{name}_unknown_share": share(int((counted & ~answered).sum()), int(counted.sum())),
        f"{name}_rows": int(counted.sum()),
        f"{name}_accuracy_per_player": _by_majority(
            truth[answered], result[answered], track[answered]
        ),
        f"{name}_players": len(np.unique(track[answered])),
    }


def _by_majority(
    truth: NDArray[np.str_], result: NDArray[np.str_], track: NDArray[np.int64]
) -> float | None:
    right = 0
    tracks = np.unique(track)
    for number in tracks:
        answers, counts = np.unique(result[track == number], return_counts=True)
        right += int(answers[counts.argmax()] == truth[track == number][0])
    return share(right, len(tracks))


def _pick(
    values: NDArray[np.str_], place: NDArray[np.int64], found: NDArray[np.bool_]
) -> NDArray[np.str_]:
    picked = np.full(len(place), "unknown", dtype=object)
    picked[found] = values[place[found]]
    return picked.astype(np.str_)
