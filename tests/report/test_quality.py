"""Quality without labels on the report: what is drawn, which checkpoint it says to keep, and what recording cost."""

import re
from pathlib import Path

import fake_run
import numpy as np
import pytest

from pairlens.record.run import Run
from pairlens.report.best import ADVISOR, best_kept
from pairlens.report.page import page
from pairlens.report.panels import quality, throughput
from pairlens.report.read import Missing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fake_run.make(tmp_path / "run", steps=1000)


def test_every_measure_is_drawn_for_the_encoder_and_the_spaces(folder: Path) -> None:
    found = quality.compute(Run.open(folder))
    assert not isinstance(found, Missing)
    assert set(found.values) == {measure.key for measure in quality.MEASURES}
    assert list(found.values["rankme"]) == ["h", "z"]
    drawn = quality.draw([found], ["run"], [0])
    assert drawn.count('class="chart"') == len(quality.MEASURES)
    assert "5 looks in 1.1 s" in drawn
    both = quality.plot([found, found], ["a", "b"], [0, 1], quality.MEASURES[0])
    assert [trace.name.strip("\u2068\u2069") for trace in both.data][:2] == ["a · encoder (h)", "a · embedding (z)"]


def test_the_best_look_is_named_with_its_checkpoint(folder: Path) -> None:
    best = best_kept(Run.open(folder))
    assert best is not None
    assert (best.step, best.value, best.kept, best.last) == (800, 8, None, False)
    assert "--keep" in best.sentence
    (folder / "checkpoints" / "step-00000800").mkdir(parents=True)
    kept = best_kept(Run.open(folder))
    assert kept is not None
    assert kept.kept == "checkpoints/step-00000800"
    assert "`checkpoints/step-00000800` holds that step" in kept.sentence


def test_a_rising_measure_says_keep_the_end(folder: Path) -> None:
    rows = np.load(folder / "quality.npy")
    path = folder / "quality.npy"
    rows[ADVISOR] = [1, 2, np.nan, 4, 5]
    np.save(path, rows)
    best = best_kept(Run.open(folder))
    assert best is not None
    assert best.last
    assert "keep the end" in best.sentence
    rows[ADVISOR] = np.nan
    np.save(path, rows)
    assert best_kept(Run.open(folder)) is None


def test_a_run_without_looks_has_no_section_and_one_that_diverged_says_so(folder: Path) -> None:
    assert 'id="quality"' in page([Run.open(folder)])
    rows = np.load(folder / "quality.npy")
    for name in rows.dtype.names[3:]:
        rows[name] = np.nan
    np.save(folder / "quality.npy", rows)
    assert "has diverged" in page([Run.open(folder)])
    (folder / "quality.npy").unlink()
    assert 'id="quality"' not in page([Run.open(folder)])
    assert isinstance(quality.compute(Run.open(folder)), Missing)


def test_the_report_prints_what_recording_cost(folder: Path) -> None:
    found = throughput.compute(Run.open(folder))
    assert not isinstance(found, Missing)
    rows = np.load(folder / "statistics.npy")
    phases = [name for name in rows.dtype.names if name.startswith("time_")]
    assert found.recording == pytest.approx(rows["time_record"].sum() / sum(rows[name].sum() for name in phases))
    assert found.looking == pytest.approx(5 * 0.22 / rows["seconds"][-1], rel=1e-5)
    said = throughput.cost(found)
    assert re.fullmatch(r"Recording .* took 0\.\d+\s% of the steps' time, looking at held-out views 1\.\d\s%\.", said)
    assert said in throughput.draw(found).replace("&#x27;", "'")
