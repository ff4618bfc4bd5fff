"""Section: does simulated play look like football? The same statistics of both, side by side."""

from pathlib import Path
from typing import Any

from evaluation.card.answers import Answers, SimulatedCase
from evaluation.card.collected import FOLDER
from evaluation.card.measures import Measure, Section, Table
from evaluation.card.plots import ranges
from evaluation.play_statistics import compare_play
from evaluation.play_tables import load_real, load_truth

NAME = "play"

CASES = tuple(
    SimulatedCase(f"play {seed}", seed, 240, width=320, height=180, fps=12.5)
    for seed in range(950_201, 950_207)
)
"""24 minutes of play; nothing is rendered, so the picture's size means nothing."""

_TAKEN = (
    "Figures on simulated matches are worth as much as their play looks like football's. The same "
    "functions run on the truth of six simulated matches of four minutes and on three minutes of "
    "real tracking; the usual range is that of whole professional matches, and "
    "`evaluation/play_statistics.py` says where it is from. Rates are a minute with the ball in "
    "play."
)


def section(data: Path, answers: Answers) -> Section:
    """The statistics of simulated play, of real tracking and of football as it usually is."""
    matches = [load_truth(answers.play(case)) for case in CASES]
    compared = compare_play(matches, load_real(data / FOLDER))
    return Section(
        NAME,
        "Simulated play beside real play",
        _TAKEN,
        measures=_measures(compared),
        tables=[_table(compared)],
        pictures=[
            ranges(
                "play", "Statistics of play, each from the low to the high end of its usual range",
                {name: _placed(row) for name, row in compared.items() if row["reference"]},
            )
        ],
        scores={"play": compared},
    )  # fmt: skip


def _measures(compared: dict[str, dict[str, Any]]) -> list[Measure]:
    ranged = [row for row in compared.values() if row["reference"] and row["simulated"] is not None]
    inside = [row["reference"][0] <= row["simulated"] <= row["reference"][1] for row in ranged]
    share = sum(inside) / len(inside) if inside else None
    return [
        Measure(
            f"{NAME}.within_usual_range", "statistics of simulated play within the usual range",
            share, len(ranged), "statistics", headline=True,
        )
    ]  # fmt: skip


def _placed(row: dict[str, Any]) -> tuple[float | None, float | None]:
    """Where the simulated and the real value lie: 0 the low end of the range, 1 the high one."""
    low, high = row["reference"]
    simulated, real = (
        None if row[key] is None else (row[key] - low) / (high - low)
        for key in ("simulated", "tracking")
    )
    return simulated, real


def _table(compared: dict[str, dict[str, Any]]) -> Table:
    rows = [
        (
            name.replace("_", " "),
            _number(row["simulated"]),
            _number(row["tracking"]),
            " to ".join(_number(end) for end in row["reference"] or ()),
        )
        for name, row in compared.items()
    ]
    header = ("statistic", "simulated", "real, 3 minutes", "usual range")
    return Table("Statistics of play", header, rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"  # noqa: RUF001
