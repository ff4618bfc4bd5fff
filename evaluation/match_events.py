"""The events of a match: found in time, of the right team, by and to the right player?

An event that truth has where nothing can be measured cannot be found, and is left out; an answer
that finds it nevertheless is neither right nor wrong. An answer that starts where nothing can be
measured may match an event beside it, and is not false otherwise: evaluation/invented.py counts it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from domain.errors import InputError
from evaluation.event_matching import TOLERANCES_S, pair_times
from evaluation.match_tables import column
from evaluation.scores import Counts, Scores, finite, share
from evaluation.teams import SIDES, swap_sides


@dataclass(frozen=True)
class Events:
    """Events of one side; text is "" where nothing is said.

    Attributes:
        type, team, player, receiver: (n,)
        start_s: (n,) seconds.
        counted: (n,) bool: starts in a frame that can be measured.
    """

    type: NDArray[np.str_]
    start_s: NDArray[np.float64]
    team: NDArray[np.str_]
    player: NDArray[np.str_]
    receiver: NDArray[np.str_]
    counted: NDArray[np.bool_]

    def where(self, rows: NDArray[Any]) -> "Events":
        """The rows of a mask."""
        return Events(**{name: values[rows] for name, values in vars(self).items()})


def final_events(table: pa.Table, where: str) -> pa.Table:
    """The events that are final; provisional ones are superseded and never scored.

    Raises:
        InputError: there are events, and all are provisional.
    """
    final = table.filter(pc.invert(table["provisional"]))
    if len(table) and not len(final):
        raise InputError(
            f"{where}: all {len(table)} events are provisional: finish the match first"
        )
    return final


def events_of(
    final: pa.Table,
    shown: NDArray[np.int64],
    measurable: NDArray[np.int64],
    names: Mapping[str, str] | None = None,
    *,
    swapped: bool = False,
) -> Events:
    """The events that start between the first and the last frame of `shown` (n, ascending).

    Args:
        measurable: (m,) frames on which events are scored.
        names: truth's name for each player; a player without one is not known.
        swapped: home and away change names.
    """
    start = column(final, "start_frame")
    inside = (start >= shown[0]) & (start <= shown[-1]) if len(shown) else np.ones(len(start), bool)
    team = _text(final, "team")
    players = {name: _text(final, name) for name in ("player", "receiver")}
    if names is not None:
        players = {
            key: np.array([names.get(one, "") for one in values], dtype=np.str_)
            for key, values in players.items()
        }
    return Events(
        type=_text(final, "type"),
        start_s=column(final, "start_s").astype(np.float64),
        team=swap_sides(team) if swapped else team,
        counted=np.isin(start, measurable) if len(shown) else np.ones(len(start), bool),
        **players,
    ).where(inside)


def score_match_events(truth: Events, result: Events) -> Scores:
    """Each measure as {type: value}, for every type that either side has.

    Returns:
        `event_f1` within 1 s, `event_f1_0_5s`, `event_f1_2s`: 0 for a type that truth never has;
        `event_precision`, `event_recall`, `event_time_error_s` (mean), `event_counts` (in truth),
        `event_both_counts` (in truth and in the answer, what F1 is out of), `event_unseen_counts`
        (in truth, left out). Of the pairs within 1 s: `event_team_accuracy`,
        `event_player_accuracy`, `event_receiver_accuracy` where both sides name one, with
        `event_team_n`, `event_player_n`, `event_receiver_n`; `event_player_unnamed_share` and so
        on: truth names one and the answer does not.
    """
    types = sorted({*truth.type[truth.counted].tolist(), *result.type[result.counted].tolist()})
    scored = {
        str(kind): _score_type(truth.where(truth.type == kind), result.where(result.type == kind))
        for kind in types
    }
    measures = _score_type(truth.where(truth.type == ""), result.where(result.type == ""))
    return {
        f"event_{name}": {kind: values[name] for kind, values in scored.items()}
        for name in measures
    }


def count_events(truth: Events, result: Events, tolerance_s: float) -> Counts:
    """Hits, false and missed events of one type within a tolerance."""
    there = truth.where(truth.counted)
    i, j = pair_times(there.start_s, result.start_s, tolerance_s)
    left = result.counted.copy()
    left[j] = False
    unseen = truth.start_s[~truth.counted]
    excused = len(pair_times(unseen, result.start_s[left], tolerance_s)[0])
    return Counts(len(i), int(left.sum()) - excused, len(there.start_s) - len(i))


def _score_type(truth: Events, result: Events) -> Scores:
    counts = {suffix: count_events(truth, result, limit) for suffix, limit in TOLERANCES_S.items()}
    there = truth.where(truth.counted)
    i, j = pair_times(there.start_s, result.start_s, TOLERANCES_S[""])
    apart = np.abs(there.start_s[i] - result.start_s[j])
    pairs = there.where(i), result.where(j)
    return {
        **{f"f1{suffix}": count.f1 for suffix, count in counts.items()},
        "precision": counts[""].precision,
        "recall": counts[""].recall,
        "time_error_s": finite(apart.mean()) if len(apart) else None,
        "counts": len(there.start_s),
        "both_counts": 2 * counts[""].hits + counts[""].false + counts[""].missed,
        "unseen_counts": int((~truth.counted).sum()),
        **_agreement("team", *pairs, SIDES),
        **_agreement("player", *pairs),
        **_agreement("receiver", *pairs),
    }


def _agreement(name: str, truth: Events, result: Events, legal: tuple[str, ...] = ()) -> Scores:
    """Accuracy of a name over the pairs for which both sides have one, of `legal` if given."""
    wanted, answer = getattr(truth, name), getattr(result, name)
    named = np.isin(wanted, legal) if legal else wanted != ""
    answered = named & (np.isin(answer, legal) if legal else answer != "")
    return {
        f"{name}_accuracy": share(int((wanted == answer)[answered].sum()), int(answered.sum())),
        f"{name}_n": int(answered.sum()),
        f"{name}_unnamed_share": share(int((named & ~answered).sum()), int(named.sum())),
    }


def _text(table: pa.Table, name: str) -> NDArray[np.str_]:
    return np.array([value or "" for value in column(table, name)], dtype=np.str_)
