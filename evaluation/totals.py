"""The `metrics` tables: distances of players and possession of teams, as an analyst reads them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.scores import Scores, finite, root_mean_square, share

MIN_OBSERVED_SHARE = 0.2
"""A player observed for less of the match takes no part in the errors per player."""

WELL_OBSERVED_SHARE = 0.9
"""From here on a distance is that of the whole match, and its uncertainty can be held to it."""

_Measure = Callable[[NDArray[np.float64]], float]


@dataclass(frozen=True)
class Distances:
    """Distances in metres of the players of truth whom the result shows, (n,) each.

    Attributes:
        truth_m: over the whole match.
        result_m, sigma_m: what the result says of those who are he, together.
        observed_share: of the match, 0 to 1.
    """

    truth_m: NDArray[np.float64]
    result_m: NDArray[np.float64]
    sigma_m: NDArray[np.float64]
    observed_share: NDArray[np.float64]


def score_totals(
    truth: pa.Table, result: pa.Table, names: Mapping[str, str], *, swapped: bool = False
) -> Scores:
    """Score the totals of a result; None where either side's table lacks them.

    Args:
        names: truth's player for each of the result's, several of which may be one.
        swapped: home and away change names.

    Returns:
        `metrics_distance_bias_percent`: of all players' distances together, unseen time included;
        `metrics_distance_seen_bias_percent` and `_rmse_percent` (per player): against truth's
        distance times the share of the match in which the player was observed;
        `metrics_distance_sigma_coverage`: share of the well observed whose distance is within its
        uncertainty, `metrics_distance_sigma_n` of them; `metrics_distance_n`: players compared;
        `possession_error`: absolute difference of home's share.
    """
    found = distances_of(truth, result, names)
    seen = found.observed_share >= MIN_OBSERVED_SHARE
    expected = found.truth_m[seen] * found.observed_share[seen]
    relative = 100 * (found.result_m[seen] / expected - 1)
    return {
        "metrics_distance_bias_percent": _bias(found.truth_m, found.result_m),
        "metrics_distance_seen_bias_percent": _bias(expected, found.result_m[seen]),
        "metrics_distance_seen_rmse_percent": root_mean_square(relative),
        "metrics_distance_n": int(seen.sum()),
        **_sigma_coverage(found),
        "possession_error": _possession_error(truth, result, swapped=swapped),
    }


def distances_of(truth: pa.Table, result: pa.Table, names: Mapping[str, str]) -> Distances:
    """The distances of both sides by truth's player, those only whom the result shows."""
    wanted = {
        row["subject"]: row["value"] for row in _rows(truth, "player", "distance") if row["value"]
    }
    answers: dict[str, list[tuple[float, float, float]]] = {}
    for row in _rows(result, "player", "distance"):
        person = names.get(row["subject"], "")
        if person in wanted and row["value"] is not None:
            off = np.nan if row["uncertainty"] is None else row["uncertainty"]
            answers.setdefault(person, []).append((row["value"], off, row["observed_share"]))
    people = sorted(answers)
    parts = [np.array(answers[person]) for person in people]
    return Distances(
        truth_m=np.array([wanted[person] for person in people], dtype=np.float64),
        result_m=_over(parts, lambda part: part[:, 0].sum()),
        # parts of one player are different stretches of time: their errors are independent
        sigma_m=_over(parts, lambda part: np.sqrt((part[:, 1] ** 2).sum())),
        observed_share=_over(parts, lambda part: min(part[:, 2].sum(), 1.0)),
    )


def _sigma_coverage(found: Distances) -> Scores:
    known = (found.observed_share >= WELL_OBSERVED_SHARE) & ~np.isnan(found.sigma_m)
    off = np.abs(found.result_m - found.truth_m)[known]
    return {
        "metrics_distance_sigma_coverage": share(
            int((off <= found.sigma_m[known]).sum()), len(off)
        ),
        "metrics_distance_sigma_n": len(off),
    }


def _possession_error(truth: pa.Table, result: pa.Table, *, swapped: bool) -> float | None:
    wanted = {row["subject"]: row["value"] for row in _rows(truth, "team", "possession")}
    answers = {row["subject"]: row["value"] for row in _rows(result, "team", "possession")}
    home, answer = wanted.get("home"), answers.get("away" if swapped else "home")
    return None if home is None or answer is None else finite(abs(home - answer))


def _bias(truth: NDArray[np.float64], result: NDArray[np.float64]) -> float | None:
    return finite(100 * (result.sum() / truth.sum() - 1)) if truth.sum() > 0 else None


def _rows(table: pa.Table, scope: str, name: str) -> list[dict]:
    return [row for row in table.to_pylist() if row["scope"] == scope and row["name"] == name]


def _over(parts: Sequence[NDArray[np.float64]], measure: _Measure) -> NDArray[np.float64]:
    return np.array([measure(part) for part in parts], dtype=np.float64)
