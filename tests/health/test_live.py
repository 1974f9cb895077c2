"""Health while a run goes on: changes are told once, and the training is what it is without."""

from pathlib import Path

import fake_run
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pairlens.health import live
from pairlens.health.live import Watcher, told
from pairlens.pretrain import pretrain
from pairlens.recipes.general import simclr
from pairlens.record.run import Run
from pairlens.record.table import Table
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run
from pairlens.train import Training


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = fake_run.make(tmp_path / "run", steps=200)
    (made / "events.jsonl").write_text("")
    rows = Run.open(made).statistics.copy()
    rows["z.feature_std"] = 0.01
    (made / "statistics.npy").unlink()
    table = Table(made / "statistics.npy", rows.dtype)
    table.append(rows)
    table.close()
    return made


def test_a_change_is_told_once(folder: Path) -> None:
    said: list[str] = []
    shown: list[str] = []
    watcher = Watcher(folder, said.append, shown.append)
    for _ in range(3):
        watcher.look()
    assert len(shown) == 3
    assert shown[0].startswith("complete collapse")
    assert [text.split(":")[1].strip() for text in said].count("complete collapse") == 1
    events = [e for e in Run(folder).events if e["kind"] == "health"]
    assert len({event["text"].split(":")[0] for event in events}) == len(events) >= 1
    assert told(Run(folder))["complete_collapse"] == "ill"
    again = Watcher(folder, said.append, shown.append)  # resumed
    before = len(said)
    again.look()
    assert len(said) == before
    assert len([e for e in Run(folder).events if e["kind"] == "health"]) == len(events)


def test_it_looks_only_at_news_and_rarely(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(live, "NEGLIGIBLE", 0.0)
    looked: list[str] = []
    watcher = Watcher(folder, lambda text: None, looked.append)
    training = object.__new__(Training)
    training.step = 500
    watcher(training)
    assert not looked  # the run has only begun
    now[0] += live.PATIENCE
    watcher(training)
    assert len(looked) == 1
    now[0] += 5 * live.PATIENCE
    training.step += live.NEWS - 1
    watcher(training)
    assert len(looked) == 1  # nothing new
    training.step += 1
    watcher(training)
    assert len(looked) == 2


def test_a_long_look_is_paid_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.5])
    monkeypatch.setattr(live.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(live.time, "monotonic", lambda: 1000.0)
    watcher = Watcher(folder, lambda text: None, lambda text: None)
    watcher.look()
    assert watcher.due == 1000 + 0.5 * live.NEGLIGIBLE


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, x=np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), dtype=np.uint8))
    return str(path)


def test_watching_changes_nothing(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PATIENCE", 0.0), ("NEGLIGIBLE", 0.0), ("NEWS", 2)):
        monkeypatch.setattr(live, name, value)
    recipe = simclr(
        network=Network("resnet8w", hidden=16, dim=8),
        optimisation=Optimisation(epochs=3, batch=16),
        views=Views(size=8),
    )
    encoders, shown = [], []
    for name, record in (("seen", True), ("unseen", False)):
        machine = Machine("cpu", "fp32", threads=1)
        folder, training, images, _ = start_run(
            source, recipe, folder=tmp_path / name, machine=machine, record=record, say=quiet
        )
        assert pretrain(folder, training, images, say=quiet, show_health=shown.append) == "finished"
        encoders.append(load_file(folder / "encoder.safetensors"))
    assert len(shown) > 5  # all of the run that is recorded
    assert all(torch.equal(value, encoders[1][name]) for name, value in encoders[0].items())


def quiet(text: str) -> None:
    """Say nothing."""
