"""Logging while a run trains changes nothing of it, and no logger that fails or hangs stops it."""

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from growing import Growing, Taker, steps_of
from safetensors.torch import load_file

from pairlens.cli import run as type_in
from pairlens.loggers import live
from pairlens.loggers.live import logged
from pairlens.loggers.logger import Target
from pairlens.loggers.stream import open_stream
from pairlens.methods.moco import MoCoSettings
from pairlens.phases import PHASES
from pairlens.pretrain import pretrain
from pairlens.recipes.general import moco_v2
from pairlens.settings import Machine, Network, Optimisation
from pairlens.start import start_run
from pairlens.train import Outcome, Training

HERE = Target("tensorboard")
CLOCKS = ("seconds", *(f"time_{phase}" for phase in PHASES))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 60 labelled images, 48 of which are for training: 6 steps an epoch."""
    path = tmp_path_factory.mktemp("data") / "images.npz"
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    np.savez(path, x=images, y=np.arange(60) % 4)
    return str(path)


def begin(folder: Path, source: str) -> tuple[Path, Training, object]:
    recipe = moco_v2(
        network=Network("resnet8w", hidden=16, dim=8, splits=2),
        optimisation=Optimisation(epochs=2, batch=8),
        method=MoCoSettings(negatives=16),
    )
    machine = Machine("cpu", "fp32", threads=1)
    made, training, images, _ = start_run(source, recipe, folder=folder, machine=machine, say=lambda text: None)
    return made, training, images


def train(folder: Path, source: str, *targets: Target, every: float = 0.001) -> list[str]:
    """Train a run of 12 steps, logged or not, and return what was said of it."""
    said: list[str] = []
    made, training, images = begin(folder, source)
    with logged(made, targets, everything=True, say=said.append, every=every):
        assert pretrain(made, training, images, say=said.append) == "finished"  # type: ignore[arg-type]
    return said


@pytest.fixture(scope="module")
def alone(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody logs."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    train(folder, source)
    return folder


def assert_same(one: Path, other: Path) -> None:
    a, b = np.load(one / "statistics.npy"), np.load(other / "statistics.npy")
    assert [n for n in a.dtype.names if n not in CLOCKS and not np.array_equal(a[n], b[n])] == []
    assert np.array_equal(np.load(one / "histograms.npy"), np.load(other / "histograms.npy"))
    a, b = load_file(one / "encoder.safetensors"), load_file(other / "encoder.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_that_is_logged_is_the_run_that_is_not_bit_for_bit(
    alone: Path, source: str, tmp_path: Path, taker: type[Taker]
) -> None:
    assert sorted(train(tmp_path / "run", source, HERE, Target("wandb"))) == [
        "tensorboard: nowhere to be seen",
        "wandb: nowhere to be seen",
    ]
    assert_same(alone, tmp_path / "run")
    assert sorted(steps_of("scalars")) == sorted([*range(12)] * 2)
    assert sorted(steps_of("probe")) == [6, 6, 12, 12]
    assert taker.closed == 2


def test_a_logger_that_fails_is_told_of_once_and_gets_the_rest_later(
    alone: Path, source: str, tmp_path: Path, taker: type[Taker]
) -> None:
    taker.fail_at = 3
    folder = tmp_path / "run"
    began, failed = train(folder, source, HERE)
    assert began == "tensorboard: nowhere to be seen"
    assert failed == (
        f"tensorboard takes nothing more (the network is down); the training goes on: send the rest with "
        f"`pairlens log {folder} --to tensorboard`"
    )
    assert_same(alone, folder)
    taker.fail_at = None
    with open_stream(folder, HERE, everything=True) as stream:
        stream.advance()
    assert steps_of("scalars") == list(range(12))
    assert steps_of("probe") == [6, 12]


def test_a_logger_that_cannot_even_be_opened_stops_nothing(
    source: str, tmp_path: Path, taker: type[Taker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Taker, *_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(Taker, "__init__", refuse)
    (said,) = train(tmp_path / "run", source, HERE)
    assert said.startswith("tensorboard takes nothing more (TimeoutError); the training goes on")


def test_a_logger_that_hangs_is_left_behind(
    tmp_path: Path, taker: type[Taker], monkeypatch: pytest.MonkeyPatch
) -> None:
    over, said = threading.Event(), []

    def hang(self: Taker, step: int, time: float, values: Mapping[str, float]) -> None:
        over.wait(30)

    monkeypatch.setattr(Taker, "scalars", hang)
    monkeypatch.setattr(live, "PATIENCE", 0.05)
    run = Growing(tmp_path)
    run.grow(3)
    with logged(tmp_path, [HERE], say=said.append, every=0.001):
        pass
    assert "has not taken all" in said[-1]
    assert "`pairlens log" in said[-1]
    over.set()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon and thread.name.startswith("log "):
            thread.join()


def test_what_is_left_is_sent_when_the_training_breaks(tmp_path: Path, taker: type[Taker]) -> None:
    run = Growing(tmp_path)

    def train() -> None:
        with logged(tmp_path, [HERE], say=lambda text: None, every=60.0):
            run.grow(4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert steps_of("scalars") == [0, 1, 2, 3]
    assert taker.closed == 1


def test_a_run_that_is_resumed_goes_on_in_its_logger(
    alone: Path, source: str, tmp_path: Path, taker: type[Taker], capsys: pytest.CaptureFixture[str]
) -> None:
    made, training, images = begin(tmp_path / "run", source)

    def stop(t: Training, outcome: Outcome) -> None:
        if t.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    with logged(made, [HERE], everything=True, say=lambda text: None, every=0.001):
        assert pretrain(made, training, images, watch=stop, say=lambda text: None) == "interrupted"  # type: ignore[arg-type]
    assert steps_of("scalars") == list(range(7))
    assert type_in(["resume", str(made), "--log", "tensorboard", "--log-everything"]) == 0
    assert "tensorboard: nowhere to be seen" in capsys.readouterr().out
    assert steps_of("scalars") == list(range(12))
    assert [what["kind"] for kind, _, what in taker.taken if kind == "event"] == [
        *("begun", "interrupted", "resumed", "finished")
    ]
    assert_same(alone, made)
