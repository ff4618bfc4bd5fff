"""Section: events found in real optical tracking, against hand-collected ones."""

from pathlib import Path

from evaluation.card.answers import Answers
from evaluation.card.measures import Measure, Section, Table, as_text
from evaluation.events import score_events
from evaluation.scores import Scores

NAME = "tracking_events"
FOLDER = Path("tracking/tracab_opta_3min")

_TAKEN = (
    "Three minutes of real optical tracking (25 Hz, ball with height) with hand-collected events, "
    "matched one to one within a second after one clock offset that is fitted from the truth "
    "alone. The rules were written while looking at these minutes, so another match may do worse; "
    "only passes are many enough for a figure."
)


def section(data: Path, answers: Answers) -> Section:
    """Events by type, and the clock between the two."""
    scores = score_events(data / FOLDER, answers.events)
    types = {
        name: value for name, value in scores.items() if isinstance(value, dict) and "n" in value
    }
    passes = types.get("pass", {})
    return Section(
        NAME,
        "Real tracking with collected events",
        _TAKEN,
        measures=_measures(passes),
        tables=[_table(types)],
        scores={FOLDER.name: scores},
    )


def _measures(passes: Scores) -> list[Measure]:
    cases = int(passes.get("n", 0))
    low, high = passes.get("f1_low"), passes.get("f1_high")
    bounds = None if low is None or high is None else (low, high)
    found = [
        Measure(
            f"{NAME}.pass.{key}", f"passes in real tracking, {label}", passes.get(key), cases,
            "collected passes", interval=bounds if key == "f1" else None,
            beside=_ceiling(passes.get(f"ceiling_{key}")), headline=key == "f1",
        )
        for key, label in (
            ("f1", "F1 within 1 s"), ("precision", "precision"), ("recall", "recall"),
            ("f1_0_5s", "F1 within 0.5 s"), ("f1_2s", "F1 within 2 s"),
        )
    ]  # fmt: skip
    passer = Measure(
        f"{NAME}.pass.player_accuracy", "who played the passes that were found",
        passes.get("player_accuracy"), int(passes.get("player_n", 0)), "passes found",
    )  # fmt: skip
    return [*found, passer]


def _ceiling(value: float | None) -> str:
    return "" if value is None else f"the labels allow {as_text(value)}"


def _table(types: dict[str, Scores]) -> Table:
    header = ("event", "collected", "precision", "recall", "F1", "mean time error")
    rows = [
        (
            name.replace("_", " "),
            str(found["n"]),
            *(as_text(found[key]) for key in ("precision", "recall", "f1")),
            as_text(found["time_error_s"], "s"),
        )
        for name, found in sorted(types.items(), key=lambda item: -item[1]["n"])
    ]
    return Table("By type", header, rows)
