"""Means and intervals against scipy and against numbers worked out by hand."""

import math

import pytest
from scipy import stats

from pairlens.intervals import interval, student


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 30])
def test_students_t(freedom: int) -> None:
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)
    assert student(freedom, 0.5) == pytest.approx(stats.t.ppf(0.75, freedom), rel=1e-9)


def test_the_interval_by_hand() -> None:
    values = [0.5, 0.54, 0.52]
    found = interval(values)
    assert found.mean == pytest.approx(0.52)
    deviation = math.sqrt((0.02**2 + 0.02**2 + 0) / 2)
    assert found.half == pytest.approx(4.30265 * deviation / math.sqrt(3), rel=1e-5)  # t of 2 degrees, .975
    assert found.count == 3
    assert interval([0.3]).half is None
