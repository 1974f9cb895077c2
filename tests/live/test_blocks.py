"""Curves that grow: what travels in parts is what thinning the whole gives, and whole blocks never change."""

import numpy as np
import pytest

from pairlens.live.blocks import Place, Store, edges, level, place
from pairlens.report.thin import thinned

PARTS = ("step", "mean", "low", "high", "broken")


def curve(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    value = rng.normal(size=5000).cumsum().astype(np.float32)
    value[[7, 8, 900]] = np.nan
    return np.arange(5000)[:rows], value[:rows]


@pytest.mark.parametrize("points", [8, 64, 512])
def test_a_reader_who_asks_again_and_again_holds_what_one_answer_would_say(points: int) -> None:
    """However the run grows between questions, resumed once on the way."""
    store, held, cursor, travelled = Store(), {k: np.zeros(0, np.float32) for k in PARTS}, None, 0
    for generation, rows in [(0, 1), (0, 2), (0, 77), (0, 640), (0, 641), (0, 1500), (1, 900), (1, 901), (1, 5000)]:
        step, value = curve(rows)
        at = place(cursor, generation, rows, points)
        new = store.curve(("run", "loss"), step, value, at)
        held = {k: np.concatenate([held[k][: at.first], new[k]]) for k in PARTS}
        cursor, travelled = at.cursor(rows), travelled + len(new["step"])
        begins = edges(rows, Place(generation, at.k, 0))
        whole = thinned(step, value, begins)
        assert len(held["step"]) == len(begins) <= points
        np.testing.assert_allclose(held["step"], whole.step, rtol=1e-6)
        np.testing.assert_allclose(held["mean"], whole.mean, rtol=1e-6)
        np.testing.assert_allclose(held["low"], whole.low, rtol=1e-6)
        np.testing.assert_allclose(held["high"], whole.high, rtol=1e-6)
        assert held["broken"].sum() == len(whole.broken)
    assert travelled < 9 * points


def test_only_what_is_new_travels() -> None:
    step, value = curve(5000)
    store, cursor = Store(), place(None, 0, 4990, 512).cursor(4990)
    at = place(cursor, 0, 5000, 512)
    assert at.first == 4990 >> 4
    assert len(store.curve(("run", "loss"), step, value, at)["step"]) == 2
    assert place(at.cursor(5000), 0, 5000, 512).cursor(5000) == at.cursor(5000)  # nothing new is seen by the cursor


@pytest.mark.parametrize("cursor", [None, "", "x.y.z", "0.0", "1.4.4000", "0.3.4000", "0.4.99999", "0.4.-5", [1], 7])
def test_a_cursor_that_does_not_fit_starts_anew(cursor: object) -> None:
    assert place(cursor, 0, 5000, 512).first == 0


def test_there_are_at_most_so_many_blocks_and_at_least_half_as_many() -> None:
    for rows in (1, 511, 512, 513, 1024, 1025, 20_000, 1_000_000):
        blocks = -(-rows // 2 ** level(rows, 512))
        assert blocks <= 512
        assert blocks >= min(rows, 256)
