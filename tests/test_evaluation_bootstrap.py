"""Bootstrap intervals against what is known of them."""

import numpy as np
import pytest

from evaluation.bootstrap import bootstrap_interval, mean_interval, share_interval


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    """400 draws of a standard normal: the mean's standard error is 1/20, 95 % are +-1.96 of it.

    The half width is thus 0.098 of the sample's own deviation; 1000 rounds tell it to some
    percent.
    """
    values = np.random.default_rng(1).normal(size=400)
    found = mean_interval(values)
    assert found is not None
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)
    assert found.low < values.mean() < found.high
    assert (found.n, found.level) == (400, 0.95)


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.arange(10.0)
    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)
    assert mean_interval(values, seed=3) != mean_interval(values, seed=4)


def test_cases_that_agree_leave_no_width() -> None:
    """3 of 4 in every case: the share is 0.75 whatever is drawn."""
    found = share_interval(np.full(5, 3.0), np.full(5, 4.0))
    assert found is not None
    assert found.low == found.high == 0.75


def test_big_cases_weigh_more() -> None:
    """A case of 99 that is right and one of 1 that is not: shares drawn are 1, 0.99 and 0."""
    found = share_interval(np.array([99.0, 0.0]), np.array([99.0, 1.0]))
    assert found is not None
    assert (found.low, found.high) == (0.0, 1.0)


def test_too_few_cases_have_no_interval() -> None:
    assert mean_interval(np.zeros(0)) is None
    assert mean_interval(np.ones(1)) is None
    # a score that is undefined for every draw
    assert bootstrap_interval(5, lambda rows: None) is None  # noqa: ARG005
    assert share_interval(np.zeros(3), np.zeros(3)) is None


def test_wrong_settings_are_refused() -> None:
    for options in ({"rounds": 0}, {"level": 1.0}, {"level": 0.0}):
        with pytest.raises(ValueError, match="bootstrap"):
            bootstrap_interval(5, lambda rows: float(rows.mean()), **options)
    with pytest.raises(ValueError, match="count >= 0"):
        bootstrap_interval(-1, lambda rows: float(rows.mean()))
