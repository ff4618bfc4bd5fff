"""Who was found: rows of truth and result that show the same person, with the names of both."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.match_tables import column
from evaluation.teams import SIDES, Labels, is_swapped, labels_of, swap_sides
from evaluation.tracking import Pairs, People, box_overlap, closeness, pair_people, people_of


@dataclass(frozen=True)
class Found:
    """Both sides' people, and which rows show the same person.

    Attributes:
        wanted: mask over truth's rows: the players in sight, whom a tracker must find.
        pairs: n rows of either side.
        person, answer: (n,) player by either side's identities, "" where none is named.
        person_labels, answer_labels: team and role of the n rows; the answer's home and away are
            truth's.
        swapped: the answer's home and away changed names.
    """

    truth: People
    result: People
    wanted: NDArray[np.bool_]
    pairs: Pairs
    person: NDArray[np.str_]
    answer: NDArray[np.str_]
    person_labels: Labels
    answer_labels: Labels
    swapped: bool

    @cached_property
    def true_names(self) -> Mapping[str, str]:
        """Truth's player for each of the result's: whom he shows in most of his rows."""
        counts: dict[str, Counter[str]] = {}
        known = (self.person != "") & (self.answer != "")
        together = zip(self.answer[known].tolist(), self.person[known].tolist(), strict=True)
        for (answer, person), count in sorted(Counter(together).items()):
            counts.setdefault(answer, Counter())[person] += count
        return {answer: people.most_common(1)[0][0] for answer, people in counts.items()}


def find_people(
    truth: Mapping[str, pa.Table],
    result: Mapping[str, pa.Table],
    frames: NDArray[np.int64],
    *,
    teams_configured: bool,
) -> Found:
    """Match the people of both sides' tables `tracks` and `identities` in `frames`.

    Without identities in truth, everybody in sight is wanted. Unless teams are configured, home and
    away are named as they agree best.
    """
    people, answers = people_of(truth["tracks"], frames), people_of(result["tracks"], frames)
    pairs = _pairs(people, answers)
    true_track, track = people.track[pairs.truth], answers.track[pairs.result]
    person_labels = labels_of(truth["identities"], true_track)
    answer_labels = labels_of(result["identities"], track)
    swapped = not teams_configured and is_swapped(person_labels.team, answer_labels.team)
    if swapped:
        answer_labels = Labels(swap_sides(answer_labels.team), answer_labels.role)
    return Found(
        truth=people,
        result=answers,
        wanted=people.observed & _plays(truth["identities"], people.track),
        pairs=pairs,
        person=players_of(truth["identities"], true_track),
        answer=players_of(result["identities"], track),
        person_labels=person_labels,
        answer_labels=answer_labels,
        swapped=swapped,
    )


def players_of(identities: pa.Table, track: NDArray[np.int64]) -> NDArray[np.str_]:
    """The player of each of the tracks (n,), "" for a track without identity."""
    known = dict(zip(column(identities, "track"), column(identities, "player"), strict=True))
    tracks, place = np.unique(track, return_inverse=True)
    return np.array([known.get(number, "") for number in tracks], dtype=np.str_)[place]


def _plays(identities: pa.Table, track: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each of the tracks (n,) is of a side; everybody where nobody is named."""
    if not len(identities):
        return np.ones(len(track), dtype=bool)
    tracks, place = np.unique(track, return_inverse=True)
    return np.asarray(np.isin(labels_of(identities, tracks).team, SIDES)[place])


def _pairs(truth: People, result: People) -> Pairs:
    """Rows that show the same person, by boxes where both sides have them, else by metres."""
    seen = np.flatnonzero(result.observed)
    if np.isnan(truth.xyxy).all() or np.isnan(result.xyxy[seen]).all():
        return pair_people(truth, result, closeness, "xy")
    pairs = pair_people(truth, result.where(seen), box_overlap, "xyxy")
    return Pairs(pairs.truth, seen[pairs.result])
