"""Which sections a card has, in order, and what each needs."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.errors import InputError
from evaluation.card import (
    clips_by_hand,
    collected,
    no_pitch,
    real_frames,
    simulated,
    simulated_play,
    strangers,
    sweep,
)
from evaluation.card.answers import Answers
from evaluation.card.measures import Card, Section

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Planned:
    """A section to take: `needs` names the parts of the real material that it reads."""

    name: str
    title: str
    needs: Sequence[str]
    take: Callable[[Path, Answers], Section]


_COLLECTED = Planned(
    collected.NAME,
    "Real tracking with collected events",
    (str(collected.FOLDER),),
    collected.section,
)
FULL = (
    Planned(
        real_frames.NAME, "Real frames", ("players", "pitch"), real_frames.section,
    ),
    Planned(sweep.NAME, "Resolution and quality", ("players", "pitch"), sweep.section),
    Planned(no_pitch.NAME, "Pictures without a football pitch", ("players",), no_pitch.section),
    Planned(strangers.NAME, "A stranger's footage", strangers.FOLDERS, strangers.section),
    _COLLECTED,
    Planned(
        clips_by_hand.NAME, "Real clips labelled by hand", clips_by_hand.FOLDERS,
        clips_by_hand.section,
    ),
    Planned(simulated.NAME, "Simulated matches", (), lambda _, a: simulated.section(a)),
    Planned(
        simulated_play.NAME, "Simulated play beside real play", (str(collected.FOLDER),),
        simulated_play.section,
    ),
)  # fmt: skip

QUICK_EVERY = 3
QUICK = (
    Planned(
        real_frames.NAME, "Real frames", ("players", "pitch"),
        lambda data, answers: real_frames.section(data, answers, every=QUICK_EVERY),
    ),
    _COLLECTED,
    Planned(
        simulated.NAME, "Simulated matches", (),
        lambda _, answers: simulated.section(answers, simulated.QUICK_CASES),
    ),
)  # fmt: skip


def take(
    plan: Sequence[Planned],
    data: Path,
    answers: Answers,
    machine: str,
    progress: Progress,
    names: Sequence[str] = (),
) -> Card:
    """Take every section, or those of these names; what is left out says so, and why.

    Raises:
        InputError: there is no section of a name.
    """
    wanted = chosen(plan, names)
    return Card(list(_taken(plan, wanted, data, answers, progress)), machine)


def chosen(plan: Sequence[Planned], names: Sequence[str]) -> Sequence[Planned]:
    """The sections of these names; all where none is named.

    Raises:
        InputError: there is no section of a name.
    """
    known = [planned.name for planned in plan]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise InputError(f"no section {', '.join(unknown)}: there are {', '.join(known)}")
    return [planned for planned in plan if not names or planned.name in names]


def _taken(
    plan: Sequence[Planned],
    wanted: Sequence[Planned],
    data: Path,
    answers: Answers,
    progress: Progress,
) -> Iterator[Section]:
    for planned in plan:
        if planned not in wanted:
            yield Section(planned.name, planned.title, missing="it was not asked for")
            continue
        absent = [need for need in planned.needs if not (data / need).is_dir()]
        if absent:
            why = f"the real material has no {', '.join(absent)}"
            progress(f"{planned.title}: left out, {why}")
            yield Section(planned.name, planned.title, missing=why)
            continue
        progress(planned.title)
        began = time.monotonic() + answers.saved_s()
        section = planned.take(data, answers)
        yield section.took(time.monotonic() + answers.saved_s() - began)
