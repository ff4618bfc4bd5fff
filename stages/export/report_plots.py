"""The report's pitch plots, by mplsoccer, as SVG pictures with equal bytes for equal data."""

import base64
import io
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from mplsoccer import Pitch as PitchPlot
from scipy.ndimage import gaussian_filter

from domain.pitch import Pitch
from stages.export.palette import HEX
from stages.export.report_data import CELL_M, MeanPlace, TeamPlaces

_INK, _LINE, _GROUND = "#1b1f24", "#a9b2bc", "#fbfcfd"
_STYLE = {
    "svg.hashsalt": "footanalytics",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
}
_SIZE_IN = (6.4, 4.35)
_SHOT_MARKS = {"goal": "*", "saved": "o", "blocked": "s", "off_target": "X"}


def places_picture(pitch: Pitch, team: str, places: TeamPlaces) -> str:
    """A team's heat map with each player's mean place; a data address of an SVG picture."""
    figure, plot, axes = _pitch(pitch)
    smooth = gaussian_filter(places.heat, 2.0)
    if smooth.max() > 0:
        # rows of cells start at the lowest y, as the axes do
        half_x, half_y = pitch.half_length_m, pitch.half_width_m
        across, down = CELL_M * np.array(places.heat.shape[::-1])
        extent = (-half_x, -half_x + across, -half_y, -half_y + down)
        image = axes.imshow(
            smooth, extent=extent, origin="lower", cmap=_fading(HEX[team]), vmax=smooth.max(),
            interpolation="bilinear", zorder=0.5, aspect="equal",
        )  # fmt: skip
        image.set_clip_path(axes.patch)
    most = max((place.frames for place in places.players), default=1)
    for place in places.players:
        _node(plot, axes, team, place, place.frames / most)
    return _address(figure)


def passes_picture(pitch: Pitch, team: str, passes: list[dict], shots: list[dict]) -> str:
    """A team's passes as arrows, and its shots; a data address of an SVG picture."""
    figure, plot, axes = _pitch(pitch)
    for event in _placed(passes):
        complete = event["outcome"] == "complete"
        plot.arrows(
            event["start_x"], event["start_y"], event["end_x"], event["end_y"], ax=axes,
            width=1.4, headwidth=5, headlength=5, zorder=2,
            color=to_rgba(HEX[team], 0.35 + 0.6 * event["confidence"]) if complete else _LINE,
        )  # fmt: skip
        axes.plot(event["start_x"], event["start_y"], "o", ms=3, color=HEX[team], zorder=3)
    for event in _placed(shots):
        axes.plot(
            [event["start_x"], event["end_x"]], [event["start_y"], event["end_y"]],
            color=_INK, lw=1.2, ls=(0, (3, 2)), zorder=4,
        )  # fmt: skip
        axes.plot(
            event["start_x"], event["start_y"], _SHOT_MARKS.get(event["outcome"], "D"),
            ms=9, mfc=HEX[team], mec=_INK, zorder=5,
        )  # fmt: skip
    return _address(figure)


def _pitch(pitch: Pitch) -> tuple[Figure, Any, Any]:
    """An empty pitch in our coordinates, which are mplsoccer's for Second Spectrum."""
    with rc_context(_STYLE):
        figure = Figure(figsize=_SIZE_IN)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        plot = PitchPlot(
            pitch_type="secondspectrum", pitch_length=pitch.length_m, pitch_width=pitch.width_m,
            pitch_color=_GROUND, line_color=_LINE, linewidth=1.2, line_zorder=1,
            pad_left=3, pad_right=3, pad_top=3, pad_bottom=3,
        )  # fmt: skip
        plot.draw(ax=axes)
        return figure, plot, axes


def _node(plot: Any, axes: Any, team: str, place: MeanPlace, share: float) -> None:
    """A player's mean place; one who was seen little is small and pale."""
    size = 90 + 230 * share
    plot.scatter(
        place.x, place.y, s=size, ax=axes, color=to_rgba(HEX[team], 0.35 + 0.65 * share),
        edgecolors="white", linewidth=1.4, zorder=4,
    )  # fmt: skip
    label = str(place.player.number) if place.player.number_known else _short(place.player.name)
    axes.text(
        place.x, place.y, label, ha="center", va="center_baseline", color="white",
        fontsize=6.5 + 2 * share, fontweight="bold", zorder=5,
        path_effects=[withStroke(linewidth=1.2, foreground=to_rgba(_INK, 0.35))],
    )  # fmt: skip


def _short(name: str) -> str:
    digits = "".join(char for char in name if char.isdigit())
    return f"p{digits}" if digits else name[:3]


def _fading(hex_colour: str) -> LinearSegmentedColormap:
    """From nothing to a colour."""
    stops = [to_rgba(hex_colour, alpha) for alpha in (0.0, 0.12, 0.55)]
    return LinearSegmentedColormap.from_list("fading", stops)


def _placed(events: list[dict]) -> list[dict]:
    columns = ("start_x", "start_y", "end_x", "end_y")
    return [event for event in events if all(event[column] is not None for column in columns)]


def _address(figure: Figure) -> str:
    sink = io.BytesIO()
    with rc_context(_STYLE):
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(sink.getvalue()).decode()
