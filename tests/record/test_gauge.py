"""The gauge: it looks when it should, at the same held-out views, and the training goes on as if it had not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pairlens.evaluate.spectrum import MEASURES, measure
from pairlens.gauge import LOOKS, VIEWS, Gauge, held_out, looks
from pairlens.train import Training, fit

MakeTraining = Callable[..., Training]


def test_looks_are_spread_evenly_to_the_last_step_and_bounded() -> None:
    assert looks(0, 8, 100) == frozenset()
    assert looks(3, 8, 100) == {1, 2, 3}
    short = looks(400, 128, 50_000)
    assert sorted(short) == [100, 200, 300, 400]
    assert len(short) == LOOKS[0]
    assert len(looks(100_000, 256, 50_000)) == LOOKS[1]
    middling = looks(1_600, 128, 50_000)
    assert LOOKS[0] < len(middling) < LOOKS[1]
    assert len(middling) * VIEWS * 256 <= 0.005 * 6 * 1_600 * 128


def test_a_gauge_changes_no_bit_of_a_training_and_looks_at_the_same_views(
    tmp_path: Path, make_training: MakeTraining
) -> None:
    losses: dict[bool, list[float]] = {}
    states = []
    for gauged in (False, True):
        t = make_training()
        seen = losses.setdefault(gauged, [])
        hooks = [Gauge(tmp_path, t, ("z",), also=(1,))] if gauged else []
        fit(t, [lambda t, outcome, seen=seen: seen.append(outcome.parts[-1].loss.item())], hooks)
        states.append([*t.method.state_dict().values(), t.views.get_state(), t.features.get_state()])
    assert losses[True] == losses[False]
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    rows = np.load(tmp_path / "quality.npy")
    planned = looks(t.steps, t.order.batch, len(t.sizes))
    assert rows["step"].tolist() == sorted(planned | {1})
    assert 1 not in planned
    first, second = held_out(t), held_out(t)
    assert set(first) == {"h", "z"}
    assert all(torch.equal(first[group], second[group]) for group in first)
    assert not torch.equal(first["h"][:, 0], first["h"][:, 2])  # four different views of each image
    for group in first:
        expected = measure(first[group])
        for name in MEASURES:
            assert rows[f"{group}.{name}"][-1] == pytest.approx(expected[name], rel=1e-5, nan_ok=True)
    assert (rows["seconds"] > 0).all()


def test_a_resumed_gauge_keeps_one_row_a_look(tmp_path: Path, make_training: MakeTraining) -> None:
    t = make_training()
    fit(t, hooks=[Gauge(tmp_path, t, ("z",))])
    whole = np.load(tmp_path / "quality.npy")
    t = make_training()

    def stop(t: Training) -> None:
        t.stop = t.step >= 5

    fit(t, hooks=[stop])
    t.stop = False
    fit(t, hooks=[Gauge(tmp_path, t, ("z",))])
    again = np.load(tmp_path / "quality.npy")
    for name in set(whole.dtype.names) - {"seconds"}:
        assert np.array_equal(whole[name], again[name], equal_nan=True)
