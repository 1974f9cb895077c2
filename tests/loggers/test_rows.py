"""Which steps are sent, and what columns are called there."""

from pathlib import Path

import numpy as np
import pytest
from growing import PROBES, STATISTICS, Growing
from hypothesis import given
from hypothesis import strategies as st

from pairlens.loggers.rows import BETWEEN, POINTS, Thinning, config_of, tags_of, thinning_of
from pairlens.record.run import Run


def thinning(folder: Path, steps: int | None) -> Thinning:
    return thinning_of(Run.open(Growing(folder, steps).folder))


@given(steps=st.integers(1, 300_000))
def test_a_run_of_known_length_sends_some_two_thousand_evenly_spaced_steps_and_the_last(steps: int) -> None:
    every = max(1, -(-steps // POINTS))
    chosen = Thinning(every, steps - 1, BETWEEN)
    kept = np.flatnonzero(chosen.keep(np.arange(steps)))
    assert min(steps, POINTS // 2) <= len(kept) <= POINTS + 1
    assert kept[0] == 0
    assert kept[-1] == steps - 1
    assert set(np.diff(kept)[:-1]) <= {every}
    counted = np.flatnonzero(chosen.keep_histogram(np.arange(steps)))
    assert len(counted) <= POINTS // BETWEEN + 1
    assert set(counted) <= set(kept)


@pytest.mark.parametrize(("steps", "every"), [(1, 1), (2000, 1), (2001, 2), (1_000_000, 500)])
def test_a_million_steps_are_every_five_hundredth(tmp_path: Path, steps: int, every: int) -> None:
    assert thinning(tmp_path, steps) == Thinning(every, steps - 1, BETWEEN)


def test_a_run_of_unknown_length_sends_ever_fewer_steps(tmp_path: Path) -> None:
    chosen = thinning(tmp_path, None)
    assert chosen.every is None
    kept = np.flatnonzero(chosen.keep(np.arange(16 * POINTS)))
    assert np.array_equal(kept[:POINTS], np.arange(POINTS))
    for doubled in range(4):
        part = kept[(kept >= POINTS * 2**doubled) & (kept < POINTS * 2 ** (doubled + 1))]
        assert np.array_equal(np.diff(part), np.full(POINTS // 2 - 1, 2 ** (doubled + 1)))


def test_an_observed_run_that_is_over_has_a_length(tmp_path: Path) -> None:
    run = Growing(tmp_path, observed=True)
    run.grow(30)
    run.tell("running")
    assert thinning_of(Run.open(tmp_path)).every is None
    run.tell("finished")
    assert thinning_of(Run.open(tmp_path)) == Thinning(1, 29, BETWEEN)


def test_columns_are_grouped_by_what_they_tell_of(tmp_path: Path) -> None:
    run = Run.open(Growing(tmp_path, spaces={"z": {"negatives": 16}}).folder)
    tags = tags_of("statistics", run, STATISTICS)
    assert tags["z.positive_mean"] == "z/positive_mean"
    assert tags["time_forward"] == "time/forward"
    assert tags["learning_rate"] == "train/learning_rate"
    assert "step" not in tags
    assert len(set(tags.values())) == len(tags) == len(STATISTICS.names or ()) - 1
    assert tags_of("probes", run, PROBES) == {"knn": "probe/knn"}
    quality = np.dtype([("step", "<i8"), ("epoch", "<f4"), ("h.rankme", "<f4"), ("name", "<U3"), ("top", "<f4", (2,))])
    assert tags_of("quality", run, quality) == {"h.rankme": "quality/h/rankme"}


def test_the_configuration_is_the_call_flat(tmp_path: Path) -> None:
    config = config_of(Run.open(Growing(tmp_path, 30, batch=64).folder))
    assert config == {
        "steps": 30,
        "batch": 64,
        "recipe": "moco_v2",
        "source": "scenes",
        "seed": 0,
        "device": "cpu",
        "epochs": 3,
        "crop": [0.2, 1.0],
        "lr": 0.06,
        "weights": None,
        "flip": True,
    }
