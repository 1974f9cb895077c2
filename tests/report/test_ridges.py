"""Ridges: which steps they are of, and how high they stand."""

from pathlib import Path

import fake_run
import numpy as np
import pytest

from pairlens.record.run import Run
from pairlens.report import ridges
from pairlens.report.histograms import Distributions, compute, strongest
from pairlens.report.panels import distributions


def found_of(folder: Path) -> Distributions:
    found = compute(Run.open(folder))
    assert isinstance(found, Distributions)
    return found


def test_ridges_are_spread_from_the_first_step_to_the_last() -> None:
    assert ridges.chosen(120).tolist()[:2] == [0, 8]
    assert ridges.chosen(120)[-1] == 119
    assert len(ridges.chosen(120)) == 16
    assert ridges.chosen(5).tolist() == [0, 1, 2, 3, 4]
    assert ridges.chosen(1).tolist() == [0]


def test_a_ridge_is_the_distribution_of_its_step(tmp_path: Path) -> None:
    found = found_of(fake_run.make(tmp_path / "r", steps=600))
    (space,) = found.spaces
    drawn = ridges.plot(found, space, space.stages["after"])
    assert len(drawn.data) == 16 * 3  # what hides the ridge behind, negatives, positives
    columns, top = ridges.chosen(len(found.step)), strongest(space)
    for row, column in enumerate(columns):
        trace = drawn.data[3 * row + 2]
        base = 15 - row
        at = trace.x0 + trace.dx * np.arange(len(trace.y))
        for cosine, height in list(zip(at, trace.y, strict=True))[1:-1]:
            place = int(np.argmin(np.abs(found.bins - cosine)))
            share = space.stages["after"].shares["positive"][place, column]
            assert height - base == pytest.approx(min(share / top * ridges.REACH, ridges.TALLEST), abs=1e-5)
        assert trace.y[0] == trace.y[-1] == base
    assert drawn.layout.yaxis.ticktext[-1] == f"{found.step[-1]:.0f}"
    assert [trace.name for trace in drawn.data if trace.showlegend] == ["negatives", "positives"]


def test_cut_ridges_are_told(tmp_path: Path) -> None:
    found = found_of(fake_run.make(tmp_path / "r", steps=600))
    (space,) = found.spaces
    assert ridges.is_cut(space, ridges.chosen(len(found.step)))  # it begins with all negatives alike
    assert not ridges.is_cut(space, np.array([len(found.step) - 1]))
    text = distributions.draw(found, "space-0")
    assert "the tallest peaks are cut" in text
    assert text.count("before_transform_ridges") == text.count("after_transform_ridges") == 1


def test_one_step_and_no_negatives_can_be_drawn(tmp_path: Path) -> None:
    one = found_of(fake_run.make(tmp_path / "one", steps=1))
    assert len(ridges.plot(one, one.spaces[0], one.spaces[0].stages["after"]).data) == 3
    folder = fake_run.make(tmp_path / "none", steps=100, transformed=False)
    table = np.load(folder / "histograms.npy")
    for name in ("z.negative", "z.raw_negative"):
        table[name] = 0
    np.save(folder / "histograms.npy", table)
    none = found_of(folder)
    drawn = ridges.plot(none, none.spaces[0], none.spaces[0].stages["after"])
    assert all(np.isfinite(trace.y).all() for trace in drawn.data)
