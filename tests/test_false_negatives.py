"""False negatives of a run, measured for real on tiny images."""

import json
from pathlib import Path

import numpy as np
import pytest

from pairlens import commands
from pairlens.errors import InputError
from pairlens.false_negatives import false_negatives_table, measure_false_negatives
from pairlens.pretrain import pretrain
from pairlens.recipes.general import moco_v2, simclr
from pairlens.recipes.recipe import Recipe
from pairlens.record.run import Run
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run

SIZES = {
    "network": Network(encoder="resnet8w", hidden=16, dim=8),
    "views": Views(size=16),
    "optimisation": Optimisation(batch=16, epochs=1),
}


def quiet(text: str) -> None:
    """Say nothing."""


def images(path: Path, labelled: bool = True) -> Path:
    """90 images of three brightnesses."""
    pixels = np.random.default_rng(0).integers(0, 100, (90, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(90) % 3
    pixels += (50 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(path, x=pixels, **({"y": labels} if labelled else {}))
    return path


def train(source: Path, name: str, recipe: Recipe) -> Run:
    folder, machine = source.parent / name, Machine("cpu", threads=1)
    where, training, given, _ = start_run(str(source), recipe, folder=folder, machine=machine, say=quiet)
    assert pretrain(where, training, given, say=quiet) == "finished"
    return Run.open(where)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(images(tmp_path_factory.mktemp("f") / "images.npz"), "moco", moco_v2(**SIZES))


def test_they_are_counted_in_the_space_where_the_loss_compares(run: Run) -> None:
    said: list[str] = []
    result = measure_false_negatives(run, say=said.append)
    assert json.loads((run.folder / "false_negatives.json").read_text()) == result
    assert list(result["spaces"]) == ["encoder", "z"]
    train = result["data"]["train"]
    assert result["data"]["gallery"] == result["data"]["queries"] == train == sum(result["count"])
    assert result["expected"] == pytest.approx([(n - 1) / (train - 1) for n in result["count"]])
    negatives = run.info["spaces"]["z"]["negatives"]
    assert result["queue"] == {
        "negatives": negatives,
        "images": train,
        "same_image": pytest.approx(negatives / train),
    }
    for one in result["spaces"].values():
        assert all(0 <= share <= 1 for row in one["by_class"] for share in row)
        assert one["share"][0] > result["expected_share"]  # brightness is easily told
    again = measure_false_negatives(run, say=quiet)
    assert again["spaces"] == result["spaces"]
    table = false_negatives_table(result)
    assert "hardest 1%" in table
    assert "keys of the query's own image" in table


def test_the_command_writes_them_into_the_report(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.evaluate([str(run.folder), "--probes", "false_negatives"]) == 0
    assert "negatives of their query's own class" in capsys.readouterr().out
    text = (run.folder / "report.html").read_text()
    assert "False negatives" in text
    assert "of the negatives are of their query\u2019s own class" in text


def test_without_heads_or_a_queue_it_is_said(run: Run, tmp_path: Path) -> None:
    other = train(images(tmp_path / "images.npz"), "simclr", simclr(**SIZES))
    for file in (other.folder / "checkpoints").rglob("weights.safetensors"):
        file.unlink()
    for folder in (other.folder / "checkpoints").iterdir():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    said: list[str] = []
    result = measure_false_negatives(other, say=said.append)
    assert list(result["spaces"]) == ["encoder"]
    assert any("no checkpoint of the last step keeps the heads" in text for text in said)
    assert result["queue"] is None


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    plain = train(images(tmp_path / "images.npz", labelled=False), "moco", moco_v2(**SIZES))
    with pytest.raises(InputError, match="the training images have no labels"):
        measure_false_negatives(plain, say=quiet)
