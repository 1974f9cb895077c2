"""A statistic's course in few numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pairlens.health.course import LONGEST, NOTHING, PARTS, SHORTEST, course


def test_the_window_is_a_tenth_within_bounds() -> None:
    for steps, window in ((1000, 100), (100, SHORTEST), (10, 10), (20_000, LONGEST)):
        found = course(np.arange(steps))
        assert found.end == pytest.approx(np.arange(steps)[-window:].mean())
        assert len(found.parts) == min(PARTS, steps)


def test_parts_are_means_in_order() -> None:
    found = course(np.repeat(np.arange(20), 7))
    assert found.parts == pytest.approx(range(20))
    assert found.mean(0.0, 0.5) == pytest.approx(4.5)
    assert found.mean(0.75, 1.0) == pytest.approx(17)


def test_unrest_is_what_neither_a_line_nor_noise_explains() -> None:
    step, rng = np.arange(800), np.random.default_rng(0)
    calm = course(0.001 * step + rng.normal(0, 0.05, 800))
    wild = course(0.1 * np.sin(step / 15) + rng.normal(0, 0.05, 800))
    assert calm.unrest < 0.02
    assert wild.unrest > 0.05


def test_what_is_no_number_is_left_out() -> None:
    value = np.ones(100)
    value[[3, 95]] = np.nan, np.inf
    assert course(value).end == 1.0
    assert course(np.full(5, np.nan)) is NOTHING
    assert course(np.empty(0)) is course(None) is NOTHING
    assert math.isnan(NOTHING.mean(0.0, 1.0))


@given(arrays(np.float32, st.integers(0, 90), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
def test_any_column_has_a_course(values: np.ndarray) -> None:
    found = course(values)
    assert len(found.parts) <= PARTS
    assert not math.isinf(found.mean(0.0, 1.0))
