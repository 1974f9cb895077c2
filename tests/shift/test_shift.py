"""The page of a label shift, and its command."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from reader import reading, undrawn
from safetensors.torch import save_file

from pairlens.cli import run as cli
from pairlens.evaluate.embedding import can_draw
from pairlens.nets.encoders import make_encoder
from pairlens.shown import short_names


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 images of 16 px whose class is their colour."""
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    pixels = generator.integers(0, 90, (120, 16, 16, 3), dtype=np.uint8)
    pixels[np.arange(120), :, :, labels] += 150
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, x=pixels, y=labels, x_test=pixels, y_test=labels)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "drawn.safetensors"
    save_file(make_encoder("resnet8w", generator=torch.Generator().manual_seed(0)).state_dict(), path)
    return path


def arguments(images: Path, weights: Path, output: Path) -> list[str]:
    flags = ["--each", "12", "--draws", "3", "--size", "16", "--threads", "1", "-o", str(output)]
    return ["shift", str(weights), "--on", str(images), *flags]


def test_the_command_writes_page_and_figures(
    browser, images: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    output = tmp_path / "out" / "shift.html"
    assert cli(arguments(images, weights, output)) == 0
    said = capsys.readouterr().out
    assert "strong augmentation moves" in said
    first = json.loads(output.with_suffix(".json").read_text())
    figures = first["encoders"][0]["figures"]
    assert list(figures) == ["none", "weak", "strong"]
    assert figures["none"]["moved"] == {"mean": 0, "half": 0, "count": 3}
    assert (
        figures["weak"]["moved"]["mean"] < 0.03 < figures["strong"]["moved"]["mean"]
    )  # jitter and gray hide the colour
    assert figures["strong"]["ratio"]["mean"] < figures["none"]["ratio"]["mean"]
    assert first["classes"] == ["0", "1", "2"]
    for width, scheme in ((1280, "light"), (390, "dark")):
        with reading(browser, output, width, scheme) as read:
            assert undrawn(read) == 0
            assert read.locator("#clouds .chart").count() == 3
            assert read.locator("#clouds .symbols li").count() == 3
            assert read.locator("#figures tbody tr").count() == 3
            assert read.evaluate("document.querySelectorAll('#clouds .chart .point').length") == 3 * 36
    assert cli(arguments(images, weights, output)) == 0
    again = json.loads(output.with_suffix(".json").read_text())
    assert again["encoders"] == first["encoders"]


def test_without_scikit_learn_the_figures_are_there(
    images: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.manifold", None)
    assert not can_draw()
    output = tmp_path / "shift.html"
    assert cli(arguments(images, weights, output)) == 0
    assert "t-SNE needs scikit-learn" in capsys.readouterr().out
    text = output.read_text()
    assert "t-SNE needs scikit-learn" in text
    assert "neighbours agree" in text


def test_mistakes_end_in_one_sentence(
    images: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare.npy"
    np.save(bare, np.zeros((8, 16, 16, 3), np.uint8))
    usual = arguments(images, weights, tmp_path / "page.html")
    for argv, wanted in (
        (["shift"], "there is no encoder to look through"),
        ([*usual, "--on", str(bare)], "have no labels"),
        ([*usual, "--space", "z"], "has no space 'z'; it has no head"),
        ([*usual, "--draws", "0"], "0 draws measure nothing"),
        ([*usual, "--classes", "1"], "two classes of two images are the least"),
        (["shift", str(weights)], "name some with --on"),
    ):
        assert cli([*argv, "--threads", "1"]) == 2
        told = capsys.readouterr().err
        assert wanted in told
        assert told.count("\n") == 1


def test_names_are_short_and_different(tmp_path: Path) -> None:
    for folder in ("a/x", "b/x"):
        (tmp_path / folder).mkdir(parents=True)
    paths = [str(tmp_path / "a" / "x"), str(tmp_path / "b" / "x")]
    assert short_names(paths) == ["a/x", "b/x"]
    assert short_names([paths[0], "timm/resnet18"]) == ["x", "timm/resnet18"]
    assert short_names(["timm/resnet18"] * 2) == ["timm/resnet18 (1)", "timm/resnet18 (2)"]
