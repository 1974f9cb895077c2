import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairlens.report.thin import blocks, thin


@given(st.integers(1, 700), st.integers(1, 60), st.integers(0, 99))
def test_no_extreme_and_no_broken_value_is_lost(length: int, points: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = rng.normal(size=length).astype("f4")
    value[rng.random(length) < 0.1] = np.nan
    value[rng.random(length) < 0.05] = np.inf
    curve = thin(np.arange(length), value, points)
    assert len(curve) <= points
    finite = np.isfinite(value)
    assert curve.broken.tolist() == np.flatnonzero(~finite).tolist()
    if finite.any():
        assert np.nanmax(curve.high) == value[finite].max()
        assert np.nanmin(curve.low) == value[finite].min()


def test_means_are_of_blocks() -> None:
    curve = thin(np.arange(6), np.array([1, 3, np.nan, 4, np.nan, np.inf]), 3)
    np.testing.assert_array_equal(curve.mean, [2, 4, np.nan])
    np.testing.assert_array_equal(curve.step, [0.5, 2.5, 4.5])
    np.testing.assert_array_equal(curve.low, [1, 4, np.nan])
    np.testing.assert_array_equal(thin(np.arange(2), np.array([-3, np.nan]), 1).high, [-3])
    assert curve.broken.tolist() == [2, 4, 5]


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 20001])
def test_blocks_are_of_nearly_equal_length(length: int) -> None:
    lengths = np.diff(np.append(blocks(length, 1000), length))
    assert lengths.sum() == length
    assert len(lengths) == min(length, 1000)
    assert not length or lengths.max() - lengths.min() <= 1
