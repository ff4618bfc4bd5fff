"""The metrics tables against cases worked by hand."""

import pyarrow as pa
import pytest

from domain import tables
from evaluation.totals import score_totals


def _metrics(*rows: tuple[str, str, str, float | None, float | None, float]) -> pa.Table:
    """A metrics table from (scope, subject, name, value, uncertainty, observed share)."""
    count = len(rows)
    names = ("scope", "subject", "name", "value", "uncertainty", "observed_share")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    times = {"unit": ["m"] * count, "start_s": [0.0] * count, "end_s": [60.0] * count}
    return tables.make("metrics", columns | times)


def _ran(name: str, metres: float, off: float | None, observed: float) -> tuple:
    return ("player", name, "distance", metres, off, observed)


TRUTH = _metrics(
    _ran("A", 100, 0, 1),
    _ran("B", 200, 0, 1),
    _ran("C", 400, 0, 1),
    ("team", "home", "possession", 0.6, 0, 1),
    ("team", "away", "possession", 0.4, 0, 1),
)
NAMES = {"p1": "A", "p2": "B", "p3": "B", "p4": "C"}


def test_distances_by_hand() -> None:
    """A: 110 of 100 m, all of the time, uncertainty 8. B: 60 and 54 m by two names, of 200 m, half
    of the time observed, so 114 where 100 was to be seen. C: observed for a tenth: left out.

    Bias of all: 110 + 114 + 50 = 274 of 700, -60.9 %. Of what was seen: 224 of 200, 12 %.
    Per player 10 % and 14 %: root mean square sqrt((100 + 196) / 2). A is the only well observed
    one, off by 10 with uncertainty 8.
    """
    result = _metrics(
        _ran("p1", 110, 8, 1.0),
        _ran("p2", 60, 4, 0.3),
        _ran("p3", 54, 4, 0.2),
        _ran("p4", 50, 4, 0.1),
        _ran("p9", 999, 4, 1.0),
    )
    scores = score_totals(TRUTH, result, NAMES)
    assert scores["metrics_distance_bias_percent"] == pytest.approx(100 * (274 / 700 - 1))
    assert scores["metrics_distance_seen_bias_percent"] == pytest.approx(12)
    assert scores["metrics_distance_seen_rmse_percent"] == pytest.approx((296 / 2) ** 0.5)
    assert scores["metrics_distance_n"] == 2
    assert scores["metrics_distance_sigma_coverage"] == 0
    assert scores["metrics_distance_sigma_n"] == 1


def test_uncertainties_of_parts_add_as_squares() -> None:
    """B in two parts, 95 and 100 of 200 m, uncertainties 3 and 4: 5 off, within 5."""
    result = _metrics(_ran("p2", 95, 3, 0.5), _ran("p3", 100, 4, 0.5))
    assert score_totals(TRUTH, result, NAMES)["metrics_distance_sigma_coverage"] == 1.0


@pytest.mark.parametrize(("swapped", "error"), [(False, 0.1), (True, 0.3)])
def test_possession_by_hand(swapped: bool, error: float) -> None:
    """Home has 0.6. The result says 0.5 of home and 0.3 of away (nobody had it for the rest)."""
    result = _metrics(
        ("team", "home", "possession", 0.5, 0.1, 0.8),
        ("team", "away", "possession", 0.3, 0.1, 0.8),
    )
    scores = score_totals(TRUTH, result, {}, swapped=swapped)
    assert scores["possession_error"] == pytest.approx(error)


def test_what_is_missing_is_not_scored() -> None:
    """No table on one side, or a player whose distance is not known, leaves the scores open."""
    nothing = tables.empty("metrics")
    for truth, result in ((TRUTH, nothing), (nothing, TRUTH)):
        scores = score_totals(truth, result, NAMES)
        assert scores["metrics_distance_bias_percent"] is None
        assert scores["possession_error"] is None
        assert scores["metrics_distance_n"] == 0
    unknown = _metrics(("player", "p1", "distance", None, None, 0.0))
    assert score_totals(TRUTH, unknown, NAMES)["metrics_distance_n"] == 0
    without = _metrics(("player", "p1", "distance", 100, None, 1.0))
    assert score_totals(TRUTH, without, NAMES)["metrics_distance_sigma_n"] == 0
