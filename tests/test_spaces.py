"""The spaces of a run, read out for real on tiny images: of one last stage, one each, and one space; few shots."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pairlens import commands, opened, reopen
from pairlens.errors import InputError
from pairlens.few_shot import few_shot_table, measure_few_shot
from pairlens.pretrain import pretrain
from pairlens.recipes.general import looc, moco_v2
from pairlens.recipes.recipe import Recipe
from pairlens.record.run import Run
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.spaces import measure_spaces, spaces_table
from pairlens.start import start_run

SIZES = {"views": Views(size=16, rotation=0.5), "optimisation": Optimisation(batch=16, epochs=1)}


def quiet(text: str) -> None:
    """Say nothing."""


def small(**more: str) -> Network:
    return Network(encoder="resnet8w", hidden=16, dim=8, **more)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 images of three brightnesses; a fifth of them to test on."""
    path = tmp_path_factory.mktemp("spaces") / "images.npz"
    images = np.random.default_rng(0).integers(0, 100, (90, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(90) % 3
    images += (50 * labels[:, None, None, None]).astype(np.uint8)
    images[:, :8] //= 2  # darker above
    np.savez(path, x=images, y=labels)
    return path


def train(source: Path, name: str, recipe: Recipe) -> Run:
    folder = source.parent / name
    machine = Machine("cpu", threads=1)
    where, training, images, _ = start_run(str(source), recipe, folder=folder, machine=machine, say=quiet)
    assert pretrain(where, training, images, say=quiet) == "finished"
    return Run.open(where)


@pytest.fixture(scope="module")
def shared(source: Path) -> Run:
    return train(source, "looc", looc(network=small(), **SIZES))


@pytest.fixture(scope="module")
def own(source: Path) -> Run:
    return train(source, "looc++", looc(network=small(last_stage="own"), **SIZES))


@pytest.fixture(scope="module")
def single(source: Path) -> Run:
    return train(source, "moco", moco_v2(network=small(), **SIZES))


def test_every_space_and_every_set_beside_the_encoder(shared: Run) -> None:
    said: list[str] = []
    done: list[tuple[str, int, int]] = []
    result = measure_spaces(shared, say=said.append, progress=lambda *told: done.append(told))
    assert Run.open(shared.folder).told_by_space == json.loads(json.dumps(result))
    spaces = ["z", "color", "rotation"]
    assert (result["spaces"], result["own"], list(result["tasks"])) == (spaces, False, ["class", "4 rotations"])
    assert result["sets"][0]["spaces"] == ["encoder"]
    assert [row["features"] for row in result["sets"]] == [128, 8, 8, 8, 16, 16, 16, 24]
    assert result["sets"][-1]["spaces"] == spaces
    assert result["step"] == shared.status["step"]
    assert (result["data"], result["turned"]) == ({"train": 72, "test": 18}, {"train": 72, "test": 18})
    assert list(result["attribution"]) == ["class", "4 rotations"]
    assert result["attribution"]["4 rotations"]["names"] == ["0\u00b0", "90\u00b0", "180\u00b0", "270\u00b0"]
    assert result["attribution"]["class"]["tested"] == 18
    assert sum(result["attribution"]["class"]["share"]) == pytest.approx(1)
    assert list(result["retrieval"]["turned"]["spaces"]) == ["encoder", *spaces]
    assert ("reading out", 16, 16) in done
    assert ("encoding images", 450, 450) in done
    with np.load(shared.folder / "spaces.npz") as arrays:
        assert arrays["pictures"].shape[1:] == (3, 16, 16)
        assert arrays["example_share"].shape == (len(arrays["example"]), 3)
    text = spaces_table(result)
    assert "z + color + rotation" in text
    assert "right answers on class come from" in text
    assert "nearest neighbours among 72 images turned, sharing with their query" in text


def test_last_stages_of_their_own_are_the_encoder_together(own: Run) -> None:
    result = measure_spaces(own, say=quiet)
    assert result["own"]
    assert [row["features"] for row in result["sets"]] == [128, 128, 128, 256, 256, 256, 384]


def test_one_space_stands_beside_the_encoder(single: Run) -> None:
    result = measure_spaces(single, say=quiet)
    assert [row["spaces"] for row in result["sets"]] == [["encoder"], ["z"]]
    assert result["attribution"] == {}
    assert "example" not in np.load(single.folder / "spaces.npz")
    assert "come from" not in spaces_table(result)
    again = measure_spaces(single, say=quiet)
    assert again | {"date": 0, "seconds": 0} == result | {"date": 0, "seconds": 0}


def test_without_heads_the_encoder_alone_is_read_out(source: Path) -> None:
    run = train(source, "headless", looc(network=small(), **SIZES))
    shutil.rmtree(run.folder / "checkpoints")
    said: list[str] = []
    result = measure_spaces(run, say=said.append)
    assert [row["spaces"] for row in result["sets"]] == [["encoder"]]
    assert any("keeps the heads" in text for text in said)


def test_few_shot_accuracy_of_every_set(shared: Run) -> None:
    result = measure_few_shot(shared, say=quiet)
    assert Run.open(shared.folder).few_shot == result
    assert [row["spaces"] for row in result["sets"]][:2] == [["encoder"], ["z"]]
    assert len(result["sets"]) == 8
    first = result["sets"][0]["5"]
    assert (len(first["trials"]), first["count"]) == (10, 10)
    assert first["mean"] == pytest.approx(sum(first["trials"]) / 10)
    assert first["half"] == pytest.approx(2.262157 * np.std(first["trials"], ddof=1) / 10**0.5, rel=1e-5)
    assert "10-shot" in few_shot_table(result)


def test_the_command_measures_what_is_named(single: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.evaluate([str(single.folder), "--probes", "spaces", "few_shot"]) == 0
    text = capsys.readouterr().out
    assert "what a linear layer tells from the features of spaces" in text
    assert "few-shot accuracy among 3 classes" in text
    assert "top-1" not in text
    assert "Neighbours in each space" in (single.folder / "report.html").read_text()


def test_few_shots_need_labels(single: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given = reopen.open_run_source(single, quiet)
    bare = replace(given, train=replace(given.train, labels=None, classes=()), test=None)
    monkeypatch.setattr(opened, "open_run_source", lambda *args: bare)
    with pytest.raises(InputError, match=r"label|classes"):
        measure_few_shot(single, say=quiet)
