"""Distributions of several runs in one plot."""

from pathlib import Path

import fake_run
import numpy as np
import pytest

from pairlens.record.run import Run
from pairlens.report import histograms, overlaid
from pairlens.report.overlaid import Overlaid
from pairlens.report.read import Missing
from pairlens.report.sweep import Sweep


def found_of(folder: Path) -> Overlaid:
    found = overlaid.compute(Run.open(folder))
    assert isinstance(found, Overlaid)
    return found


def test_a_density_is_the_mean_share_of_its_part_over_the_bins_width(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "r", steps=1000)
    found, whole = found_of(folder), histograms.compute(Run.open(folder))
    assert isinstance(whole, histograms.Distributions)
    width, columns = whole.bins[1] - whole.bins[0], len(whole.step)
    for when, part in (("start", range(columns // 10)), ("end", range(columns * 9 // 10, columns))):
        for stage in ("before", "after"):
            shares = whole.spaces[0].stages[stage].shares["negative"]
            mean = sum(shares[:, i] for i in part) / len(part) / width
            assert found.spaces["z"][when, stage, "negative"] == pytest.approx(mean)
    assert all(np.sum(of) * width == pytest.approx(1) for of in found.spaces["z"].values())


def test_every_part_of_the_shortest_training_has_a_step() -> None:
    for columns in (1, 2, 3, 60, 120):
        for when in overlaid.WHEN:
            part = range(columns)[overlaid.part(columns, when)]
            assert len(part) >= 1
    assert overlaid.part(60, "end") == slice(54, 60)


def test_runs_of_a_value_are_averaged_on_the_finest_bins(tmp_path: Path) -> None:
    coarse, fine = np.linspace(-0.75, 0.75, 4), np.linspace(-0.875, 0.875, 8)
    key = ("end", "after", "positive")
    found = [
        Overlaid(coarse, {"z": {key: np.array([0.0, 1.0, 1.0, 0.0]), ("end", "before", "positive"): coarse}}),
        Overlaid(fine, {"z": {key: np.ones(8)}, "y": {}}),
    ]
    mean = overlaid.averaged(found)
    assert mean.bins is fine
    assert list(mean.spaces) == ["z"]
    assert list(mean.spaces["z"]) == [key]
    expected = [(np.interp(x, coarse, [0, 1, 1, 0]) + 1) / 2 for x in fine]
    assert mean.spaces["z"][key].tolist() == pytest.approx(expected)
    sweep = Sweep("momentum", (0.5, 0.9), ((1,), (0, 2)))
    rows = overlaid.entries([found[0], found[1], found[0]], ["a", "b", "c"], [0, 1, 2], sweep)
    assert [row.label for row in rows] == ["momentum 0.5", "momentum 0.9"]
    assert rows[1].overlaid.spaces["z"][key].tolist() == found[0].spaces["z"][key].tolist()


def test_dots_are_before_the_transform_and_nothing_else(tmp_path: Path) -> None:
    ft = found_of(fake_run.make(tmp_path / "ft", steps=200))
    plain = found_of(fake_run.make(tmp_path / "plain", steps=200, transformed=False))
    rows = overlaid.entries([plain] * 2 + [ft], ["a", "b", "c"], [0, 1, 2], None)
    drawn = overlaid.plot(rows, "z", "end", "positive")
    dashes = {trace.name: trace.line.dash for trace in drawn.data}
    assert [dash == "dot" for dash in dashes.values()] == ["before the transform" in name for name in dashes]
    assert len(drawn.data) == 4
    alone = overlaid.entries([plain] * 3, ["a", "b", "c"], [0, 1, 2], None)
    assert len({row.style.dash for row in alone}) == 3  # without a transform dashes tell runs apart
    assert not overlaid.plot(rows, "other", "end", "positive").data


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "r", steps=30)
    (folder / "histograms.npy").unlink()
    assert isinstance(overlaid.compute(Run.open(folder)), Missing)
