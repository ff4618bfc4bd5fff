"""The card's plots, as PNG pictures with equal bytes for equal data."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from mplsoccer import Pitch as PitchPlot
from numpy.typing import NDArray

from domain.pitch import Pitch
from evaluation.card.measures import Measure, Picture

INK, LINE, PALE = "#1b1f24", "#a9b2bc", "#e7ebef"
BLUE, ORANGE, GREEN = "#2f7de1", "#e8452c", "#2a9d5c"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LINE,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
}
_DPI = 110


def error_curve(name: str, errors_m: Sequence[NDArray[np.float64]]) -> Picture:
    """Share of the visible pitch that is placed within so many metres: all frames, and each."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        axes = figure.add_subplot()
        steps = np.linspace(0, 2, 201)
        known = [errors for errors in errors_m if len(errors)]
        for errors in known:
            axes.plot(steps, _within(errors, steps), color=LINE, lw=0.6, alpha=0.6)
        if known:
            axes.plot(steps, _within(np.concatenate(known), steps), color=BLUE, lw=2.2)
        axes.set(xlim=(0, 2), ylim=(0, 1.01), xlabel="metres", ylabel="share of the visible pitch")
        axes.set_title("Placed within (blue: all frames together, grey: each frame)")
        axes.grid(color=PALE)
    return as_picture(name, figure, "How much of the visible pitch is placed within so many metres")


def dots(name: str, caption: str, measures: Sequence[Measure]) -> Picture:
    """Shares from 0 to 1 as dots with their intervals, a line each, labelled with their cases."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.6 + 0.27 * len(measures)), layout="constrained")
        axes = figure.add_subplot()
        for row, measure in enumerate(measures):
            value = measure.value or 0.0
            if measure.interval:
                axes.plot(measure.interval, (row, row), color=LINE, lw=2.5, solid_capstyle="round")
            axes.plot(value, row, "o", color=BLUE, ms=6)
            axes.text(1.03, row, f"{value:.2f}   n = {measure.cases}", va="center", color=INK)
        axes.set_yticks(range(len(measures)), [measure.label for measure in measures])
        axes.set(xlim=(0, 1), ylim=(len(measures) - 0.5, -0.5))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=PALE)
        axes.spines["left"].set_visible(False)
    return as_picture(name, figure, caption)


def grid(
    name: str,
    caption: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Mapping[tuple[str, str], float | None],
) -> Picture:
    """Shares from 0 to 1 by row and column, coloured, with the number in each cell."""
    table = np.array([[_number(values.get((row, c))) for c in columns] for row in rows])
    with rc_context(STYLE):
        size = (1.8 + 0.78 * len(columns), 0.7 + 0.36 * len(rows))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        shown = np.ma.masked_invalid(table)
        axes.imshow(shown, cmap="RdYlGn", vmin=0, vmax=1, aspect="auto", alpha=0.75)
        for (row, column), value in np.ndenumerate(table):
            text = "–" if np.isnan(value) else f"{value:.2f}"  # noqa: RUF001
            axes.text(column, row, text, ha="center", va="center", color=INK)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return as_picture(name, figure, caption)


def pitch_axes(figure: Figure, place: Any) -> Any:
    """An empty pitch in our coordinates, which are mplsoccer's for Second Spectrum."""
    size, axes = Pitch(), figure.add_subplot(place)
    plot = PitchPlot(
        pitch_type="secondspectrum", pitch_length=size.length_m, pitch_width=size.width_m,
        pitch_color="#fbfcfd", line_color=LINE, linewidth=1.0, line_zorder=1,
        pad_left=7, pad_right=7, pad_top=7, pad_bottom=7,  # assistants, and who is taken for one
    )  # fmt: skip
    plot.draw(ax=axes)
    return axes


def as_picture(name: str, figure: Figure, caption: str) -> Picture:
    sink = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(sink, format="png", dpi=_DPI, metadata={"Software": None})
    return Picture(f"{name}.png", caption, sink.getvalue())


def _within(errors: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share (steps,) of errors that are at most each step."""
    return np.searchsorted(np.sort(errors), steps, side="right") / len(errors)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def ranges(
    name: str, caption: str, rows: Mapping[str, tuple[float | None, float | None]]
) -> Picture:
    """Two values a row (simulated, real) where 0 to 1 is the usual range; far ones at the edge."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.8 + 0.25 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvspan(0, 1, color=PALE)
        for values, colour, label in zip(
            zip(*rows.values(), strict=True), (BLUE, ORANGE), ("simulated", "real, 3 minutes"),
            strict=True,
        ):  # fmt: skip
            known = [(value, row) for row, value in enumerate(values) if value is not None]
            x, y = np.array(known, dtype=np.float64).reshape(-1, 2).T
            axes.scatter(np.clip(x, -2, 3), y, s=32, color=colour, label=label, zorder=3)
        axes.set_yticks(range(len(rows)), [row.replace("_", " ") for row in rows])
        axes.set_xticks((0, 1), ("low end", "high end"))
        axes.set(xlim=(-2.1, 3.1), ylim=(len(rows) - 0.5, -0.5))
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        axes.grid(axis="y", color=PALE)
        axes.tick_params(axis="y", length=0)
    return as_picture(name, figure, caption)
