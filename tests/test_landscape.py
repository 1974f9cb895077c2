"""Landscapes of runs: measured while they train, or from their checkpoints; interrupted, resumed, and refused."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from pairlens import landscape as measuring
from pairlens.cli import run as cli
from pairlens.config import read_config
from pairlens.errors import InputError
from pairlens.landscape import measure_landscape
from pairlens.methods.moco import MoCoSettings
from pairlens.pretrain import pretrain
from pairlens.recipes.general import moco_v2, random
from pairlens.recipes.recipe import Recipe
from pairlens.record.checkpoint import checkpoints, load_checkpoint
from pairlens.record.disk import locked
from pairlens.record.run import Run
from pairlens.reopen import reopen_run
from pairlens.settings import FeatureTransform, Machine, Network, Optimisation
from pairlens.start import start_run
from pairlens.train import Outcome, Training

MACHINE = Machine("cpu", "fp32", threads=1)


def quiet(*_: object) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 32 images, without labels."""
    path = tmp_path_factory.mktemp("data") / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), dtype=np.uint8))
    return str(path)


def moco(weights: str | None = None) -> Recipe:
    """Eight steps."""
    return moco_v2(
        network=Network("resnet8w", hidden=16, dim=8, weights=weights),
        optimisation=Optimisation(epochs=2, batch=8),
        transform=FeatureTransform(extrapolate=2.0, interpolate=1.6),
        method=MoCoSettings(negatives=16),
    )


def begin(
    folder: Path,
    source: str,
    landscape: int = 0,
    recipe: Recipe | None = None,
    at: int | None = None,
    save_every: float = 60.0,
) -> str:
    """A run, interrupted after a step if it is asked for."""

    def interrupt(t: Training, outcome: Outcome) -> None:
        if t.step == at:
            os.kill(os.getpid(), signal.SIGINT)

    _, training, images, _ = start_run(
        source, recipe or moco(), folder=folder, machine=MACHINE, landscape=landscape, say=quiet
    )
    return pretrain(folder, training, images, save_every=save_every, watch=interrupt, say=quiet)


def go_on(folder: Path) -> str:
    training, images, seconds = reopen_run(folder, quiet)
    return pretrain(folder, training, images, seconds=seconds, say=quiet)


@pytest.fixture(scope="module")
def whole(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was measured three times."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert begin(folder, source, 3) == "finished"
    return folder


@pytest.fixture(scope="module")
def bare(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, not measured; with checkpoints before its last step."""
    folder = tmp_path_factory.mktemp("runs") / "bare"
    assert begin(folder, source, save_every=0.0) == "finished"
    return folder


@pytest.fixture
def plain(bare: Path, tmp_path: Path) -> Path:
    """A copy to measure."""
    return shutil.copytree(bare, tmp_path / "plain")


def test_a_training_is_measured_on_schedule_and_goes_on_as_without(whole: Path, bare: Path) -> None:
    assert Run.open(whole).landscape["step"].tolist() == [0, 4, 8]
    assert not (bare / "landscape.npy").exists()
    assert (whole / "encoder.safetensors").read_bytes() == (bare / "encoder.safetensors").read_bytes()
    for column in ("loss", "gradient_norm", "z.negative_mean"):
        assert np.array_equal(Run.open(whole).statistics[column], Run.open(bare).statistics[column])


@pytest.mark.parametrize("at", [1, 3])  # between points, and at one
def test_an_interrupted_training_is_measured_as_an_uninterrupted_one(
    whole: Path, source: str, tmp_path: Path, at: int
) -> None:
    folder = tmp_path / "run"
    assert begin(folder, source, 3, at=at) == "interrupted"
    before = (folder / "landscape.npy").read_bytes()
    assert Run.open(folder).landscape["step"].tolist() == [step for step in (0, 4) if step <= at + 1]
    if at == 3:  # as after a kill: the point was written, and its checkpoint not
        shutil.rmtree(folder / "checkpoints")
    assert go_on(folder) == "finished"
    assert (folder / "landscape.npy").read_bytes() == (whole / "landscape.npy").read_bytes()
    assert (folder / "landscape.npy").read_bytes() != before


def test_a_finished_run_is_measured_as_it_would_have_been_in_training(whole: Path, plain: Path) -> None:
    told: list[tuple[str, int, int]] = []
    kept = {path.name for path in checkpoints(plain / "checkpoints")}
    assert "step-00000008" in kept
    run = Run.open(plain)
    count = measure_landscape(run, say=quiet, progress=lambda *what: told.append(what))
    rows = Run.open(plain).landscape
    assert rows["step"].tolist() == [0, *(int(name.removeprefix("step-")) for name in sorted(kept))]
    assert count == len(rows)
    assert told[-1] == ("measuring the landscape", count, count)
    there = Run.open(whole).landscape
    for step in (0, 8):
        assert rows[rows["step"] == step].tobytes() == there[there["step"] == step].tobytes()
    before = (plain / "landscape.npy").read_bytes()
    assert measure_landscape(Run.open(plain), say=quiet) == 0
    assert (plain / "landscape.npy").read_bytes() == before


def test_what_was_measured_before_an_interrupt_is_kept_and_the_rest_follows(
    plain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(path: Path, t: Training) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "load_checkpoint", interrupted)
    assert cli(["landscape", str(plain), "--step-sizes", "1", "2", "--distances", "0.01"]) == 130
    assert f"what was measured is kept; go on with: pairlens landscape {plain}" in capsys.readouterr().out
    assert Run.open(plain).landscape["step"].tolist() == [0]
    monkeypatch.setattr(measuring, "load_checkpoint", load_checkpoint)
    assert cli(["landscape", str(plain)]) == 0
    said = capsys.readouterr().out
    rows = Run.open(plain).landscape
    assert f"{len(rows) - 1} points measured now, {len(rows)} in all" in said
    assert "over a step of the learning rate the gradient changes by" in said
    assert rows["rate"].tolist() == [[1, 2]] * len(rows)
    assert 'id="landscape"' in (plain / "report.html").read_text(encoding="utf-8")
    assert cli(["landscape", str(plain), "--batches", "2"]) == 2
    assert "have other step sizes or batches" in capsys.readouterr().err
    assert cli(["landscape", str(plain), "--batches", "2", "--anew", "--step-sizes", "3"]) == 0
    rows = Run.open(plain).landscape
    assert rows["batches"].tolist() == [2] * len(rows)
    assert rows["rate"].tolist() == [[3]] * len(rows)


def test_a_run_goes_on_with_the_step_sizes_that_it_was_measured_with(source: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert begin(folder, source, 3, at=1) == "interrupted"
    measure_landscape(Run.open(folder), rates=(1.0,), shares=(0.01,), anew=True, say=quiet)
    assert go_on(folder) == "finished"
    rows = Run.open(folder).landscape
    assert {0, 4, 8} <= set(rows["step"].tolist())
    assert rows["rate"].tolist() == [[1]] * len(rows)


def test_a_start_whose_weights_are_gone_is_left_out(bare: Path, source: str, tmp_path: Path) -> None:
    given = tmp_path / "given.safetensors"
    shutil.copy(bare / "encoder.safetensors", given)
    assert begin(tmp_path / "run", source, recipe=moco(str(given)), at=0) == "interrupted"
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    measure_landscape(Run.open(tmp_path / "copy"), rates=(1.0,), shares=(0.1,), say=quiet)
    assert Run.open(tmp_path / "copy").landscape["step"].tolist() == [0, 1]
    given.unlink()
    said: list[str] = []
    measure_landscape(Run.open(tmp_path / "run"), rates=(1.0,), shares=(0.1,), say=said.append)
    assert Run.open(tmp_path / "run").landscape["step"].tolist() == [1]
    assert any(text.startswith("the start is left out, since the weights that the run began with") for text in said)


def test_what_cannot_be_measured_is_refused(whole: Path, source: str, tmp_path: Path) -> None:
    with locked(whole), pytest.raises(InputError, match="another process is training the run"):
        measure_landscape(Run.open(whole), say=quiet)
    with pytest.raises(InputError, match="take 1 to 4 batches"):
        measure_landscape(Run.open(whole), batches=5, anew=True, say=quiet)
    assert len(Run.open(whole).landscape) == 3
    for times, why in ((-1, "it is a number of times"), (2, "there is nothing to train")):
        with pytest.raises(InputError, match=why):
            start_run(source, random(), folder=tmp_path / "no", machine=MACHINE, landscape=times, say=quiet)
    assert not (tmp_path / "no").exists()
    start_run(source, random(), folder=tmp_path / "random", machine=MACHINE, say=quiet)
    with pytest.raises(InputError, match="a random initialisation that no gradient moves"):
        measure_landscape(Run.open(tmp_path / "random"), say=quiet)


def test_the_flag_is_kept_and_configurable(source: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    flags = [
        "--encoder",
        "resnet8w",
        "--hidden",
        "16",
        "--dim",
        "8",
        "--batch",
        "16",
        "--epochs",
        "1",
        "--threads",
        "1",
    ]
    assert cli(["train", source, *flags, "--landscape", "1", "--out", str(folder)]) == 0
    assert Run.open(folder).landscape["step"].tolist() == [2]
    assert json.loads((folder / "run.json").read_text())["call"]["landscape"] == 1
    assert cli(["train", "--config", str(folder / "run.json"), "--landscape", "2", "--out", str(tmp_path / "two")]) == 0
    assert Run.open(tmp_path / "two").landscape["step"].tolist() == [0, 2]
    assert read_config(folder / "run.json")["landscape"] == 1
