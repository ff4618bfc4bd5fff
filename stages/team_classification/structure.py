"""The table `shots`: the stretches of the match, which of them are replays, what counts."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from application.stage import WholeMatch
from domain import tables
from stages.team_classification import replays
from stages.team_classification.replays import Verdict
from stages.team_classification.shots import People, Stretches, shots_of


def table(match: WholeMatch) -> pa.Table:
    """The table `shots`, empty where the plan makes no frames."""
    if not match.has("frames"):
        return tables.empty("shots")
    stretches = Stretches.read(match.parts("frames"))
    people = People.read(_parts(match, "tracks"))
    shots = shots_of(match, stretches, people)
    verdicts = dict(zip((shot.number for shot in shots), replays.judge(shots), strict=True))
    return _table(stretches, [verdicts[number] for number in stretches.shot.tolist()], people)


def _parts(match: WholeMatch, name: str) -> Iterator[pa.Table]:
    return match.parts(name) if match.has(name) else iter(())


def _table(stretches: Stretches, verdicts: Sequence[Verdict], people: People) -> pa.Table:
    replay = np.array([verdict.replay for verdict in verdicts], bool)
    tracks = _tracks(stretches, people.first_frame)
    return tables.make(
        "shots",
        {
            "shot": stretches.shot,
            "start_frame": stretches.start_frame,
            "end_frame": stretches.end_frame,
            "start_s": stretches.start_s,
            "end_s": stretches.end_s,
            "view": stretches.view.tolist(),
            "replay": replay,
            "replay_confidence": [verdict.confidence for verdict in verdicts],
            "evidence": [" ".join(verdict.evidence) for verdict in verdicts],
            "measured": ~replay & (stretches.view == "wide"),
            "tracks": [tracks.get(index, []) for index in range(len(replay))],
        },
    )


def _tracks(stretches: Stretches, first_frame: Mapping[int, int]) -> dict[int, list[int]]:
    """The tracks that begin in each stretch, in order of their numbers."""
    found: dict[int, list[int]] = {}
    numbers = np.array(sorted(first_frame), np.int64)
    frames = np.array([first_frame[number] for number in numbers.tolist()], np.int64)
    for number, index in zip(numbers.tolist(), stretches.of_frames(frames).tolist(), strict=True):
        found.setdefault(index, []).append(number)
    return found
