"""Judging a run's crops with the classifier of another run, from the command to the file it leaves."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pairlens import judge as module
from pairlens.assess import assess
from pairlens.cli import run as command
from pairlens.data.sources import open_source
from pairlens.errors import InputError
from pairlens.evaluate.semantics import judge
from pairlens.judge import judge_crops, open_classifier, open_judgement
from pairlens.place import find_place
from pairlens.record.localised import last_boxes
from pairlens.record.run import Run
from pairlens.reopen import open_run_source, recall
from pairlens.settings import Machine
from pairlens.views.boxes import Boxes
from pairlens.views.crops import contrastive_crop, random_resized_crop

QUICK = ["--device", "cpu", "--threads", "1", "--batch", "16", "--encoder", "resnet8w", "--splits", "1"]


def train(folder: Path, source: Path, recipe: str, *flags: str) -> Path:
    assert command(["train", str(source), *QUICK, "--recipe", recipe, "--out", str(folder), *flags]) == 0
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on 60 images of three classes, each a bright square of its own colour; 48 of them are trained on."""
    folder = tmp_path_factory.mktemp("judge")
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = generator.integers(0, 60, (60, 16, 16, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        x, y = generator.integers(0, 10, 2)
        image[y : y + 6, x : x + 6, label] = 230
    np.savez(folder / "images.npz", x=images, y=labels)
    np.savez(folder / "bare.npz", x=images)
    np.savez(folder / "two.npz", x=images[:40], y=np.arange(40) % 2)
    train(folder / "classifier", folder / "images.npz", "supervised", "--epochs", "12", "--flip", "0.5")
    train(folder / "found", folder / "images.npz", "simclr", "--epochs", "3", "--boxes", "found", "--box-start", "1")
    train(folder / "central", folder / "images.npz", "simclr", "--epochs", "1", "--boxes", "central", "--alpha", "0.6")
    train(folder / "anywhere", folder / "images.npz", "simclr", "--epochs", "1")
    train(folder / "bare", folder / "bare.npz", "simclr", "--epochs", "1", "--boxes", "central")
    train(folder / "two", folder / "two.npz", "supervised", "--epochs", "1")
    return folder


def judged(folder: Path, classifier: Path, **given: int) -> dict:
    run = Run.open(folder)
    recipe, machine = recall(run)
    place = find_place(machine)
    opened = open_judgement(run, recipe, open_classifier(classifier, place), place)
    return judge_crops(opened, open_run_source(run, lambda text: None), **({"seed": 0} | given))


def test_the_classifier_of_a_supervised_run_is_whole(runs: Path) -> None:
    """It knows most of the images that it was trained on, so encoder and head are those that were trained together."""
    classifier = open_classifier(runs / "classifier", find_place(Machine("cpu", threads=1)))
    result = judged(runs / "central", runs / "classifier")
    assert result["classifier"]["top1"] > 0.8
    assert result["classifier"]["score"] > 0.5
    assert result["classifier"]["same_source"] is True
    assert result["classifier"]["name"] == classifier.name == str(runs / "classifier")
    assert classifier.classes == ("0", "1", "2")
    stored = load_file(runs / "classifier" / "checkpoints" / f"step-{12 * 3:08d}" / "weights.safetensors")
    assert torch.equal(classifier.head.weight, stored["classifier.weight"])
    trained = load_file(runs / "classifier" / "encoder.safetensors")
    assert all(torch.equal(value, trained[name]) for name, value in classifier.encoder.state_dict().items())


def test_the_newest_checkpoint_counts(runs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(runs / "two", tmp_path / "two")
    newest = max((folder / "checkpoints").iterdir())
    older = shutil.copytree(newest, newest.with_name("step-00000001"), dirs_exist_ok=True) / "weights.safetensors"
    weights = load_file(older)
    save_file({name: value * 2 for name, value in weights.items()}, older)
    found = open_classifier(folder, find_place(Machine("cpu", threads=1)))
    assert torch.equal(found.head.weight, weights["classifier.weight"])


def test_the_boxes_are_those_that_the_run_found_last(runs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(runs / "found", tmp_path / "found")
    result = judged(folder, runs / "classifier", images=20, pairs=4)
    files = sorted((folder / "boxes").iterdir())
    assert len(files) == 2
    assert result["boxes"] == {"kind": "found", "epoch": 2}
    assert (result["images"], result["pairs"]) == (20, 4)
    boxes = last_boxes(Run.open(folder))
    assert boxes is not None
    assert torch.equal(boxes.table, torch.from_numpy(np.load(files[-1])["boxes"]).float())
    with np.load(files[-1]) as file:
        arrays = dict(file)
    for step, epoch in ((999_999, 7), (1_000_000, 8)):
        np.savez(folder / "boxes" / f"{step}.npz", **arrays | {"step": step, "epoch": epoch})
    latest = last_boxes(Run.open(folder))
    assert latest is not None
    assert latest.history[-1].epoch == 8
    files[-1].write_bytes(files[-1].read_bytes()[:1000])
    for step in (999_999, 1_000_000):
        (folder / "boxes" / f"{step}.npz").write_bytes(b"")
    earlier = last_boxes(Run.open(folder))
    assert earlier is not None
    assert earlier.history[-1].epoch == 1


def test_the_crops_are_the_runs_own(runs: Path) -> None:
    """Against `judge` called by hand, as a user of Python would."""
    result = judged(runs / "central", runs / "classifier", seed=3)
    source = open_source(str(runs / "images.npz"))
    place = find_place(Machine("cpu", threads=1))
    classifier = open_classifier(runs / "classifier", place)
    index = torch.randperm(48, generator=torch.Generator().manual_seed(3))
    boxes = Boxes.central(len(source.train))
    samplers = {
        "Random crop": random_resized_crop((0.2, 1.0)),
        "Localised only": contrastive_crop(boxes, 1.0, (0.2, 1.0)),
        "ContrastiveCrop, \u03b1 = 0.6": contrastive_crop(boxes, 0.6, (0.2, 1.0)),
    }
    assert [way["name"] for way in result["ways"]] == list(samplers)
    look = (classifier.size, classifier.mean, classifier.std)
    expected = judge(
        classifier.encoder,
        classifier.head,
        source.train,
        samplers,
        *look,
        index=index,
        seed=3,
        pairs=module.PAIRS,
        precision=place.precision,
    )
    for way in result["ways"]:
        assert way["score"]["mean"] == pytest.approx(float(expected[way["name"]].score.mean()), abs=1e-6)
        assert way["distance"]["mean"] == pytest.approx(float(expected[way["name"]].distance.mean()), abs=1e-6)
    assert result["images"] == 48
    assert result["crop"] == [0.2, 1.0]
    assert result["boxes"] == {"kind": "central", "epoch": None}


def test_classes_go_by_their_names(runs: Path) -> None:
    classifier = open_classifier(runs / "classifier", find_place(Machine("cpu", threads=1)))
    images = open_source(str(runs / "images.npz")).train
    images = replace(images, labels=torch.tensor([0, 1, 2, -1]).repeat(12))
    assert torch.equal(classifier.labels(images), images.labels)
    other = replace(classifier, classes=("2", "more", "0", "1"))
    assert other.labels(images)[:4].tolist() == [2, 3, 0, -1]


def test_the_command_writes_the_file_and_the_page_and_later_ones_keep_it(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(runs / "found", tmp_path / "found")
    assert command(["evaluate", str(folder), "--no-baselines", "--classifier", str(runs / "classifier")]) == 0
    said = capsys.readouterr().out
    assert "crops in the eyes of a classifier" in said
    assert [line.strip().startswith("ContrastiveCrop") for line in said.splitlines()].count(True) == 1
    first = (folder / "semantics.json").read_bytes()
    assert "At equal variance" in (folder / "report.html").read_text(encoding="utf-8")
    assert command(["evaluate", str(folder), "--no-baselines"]) == 0
    assert (folder / "semantics.json").read_bytes() == first
    assert "At equal variance" in (folder / "report.html").read_text(encoding="utf-8")
    again, before = judged(folder, runs / "classifier"), json.loads(first)
    assert {k: v for k, v in again.items() if k != "date"} == {k: v for k, v in before.items() if k != "date"}
    assert Run.open(folder).semantics == again


@pytest.mark.parametrize(
    ("run", "classifier", "said"),
    [
        ("anywhere", "classifier", "fall anywhere, so there are no boxes about which a classifier could judge"),
        ("bare", "classifier", "have no labels, so the score of an image's class cannot be told"),
        ("central", "nowhere", "there is no run folder"),
        ("central", "anywhere", "has trained no classifier; give a run of the recipe supervised"),
        ("central", "two", "does not know 1 of the images' 3 classes (2)"),
        ("central", "unsaved", "has no checkpoint, which would hold its classifier"),
        ("boxless", "classifier", "keeps no boxes that can be read"),
    ],
)
def test_what_cannot_be_judged_gets_one_sentence_and_costs_nothing(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: str, classifier: str, said: str
) -> None:
    if classifier == "unsaved":
        shutil.copytree(runs / "classifier", tmp_path / "unsaved")
        shutil.rmtree(tmp_path / "unsaved" / "checkpoints")
    folder = shutil.copytree(runs / ("found" if run == "boxless" else run), tmp_path / run)
    if run == "boxless":
        shutil.rmtree(folder / "boxes")
    given = tmp_path / "unsaved" if classifier == "unsaved" else runs / classifier
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    assert command(["evaluate", str(folder), "--classifier", str(given)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("pairlens: ")
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_boxes_of_other_images_are_refused(runs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(runs / "found", tmp_path / "found")
    path = max((folder / "boxes").iterdir())
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"boxes": arrays["boxes"][:40]})
    with pytest.raises(InputError, match="boxes of other images than its 48 training images"):
        judged(folder, runs / "classifier")
    assert not (folder / "semantics.json").exists()


def test_a_judgement_comes_before_what_takes_long(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pairlens.assess.open_run_source", lambda *given: pytest.fail("images were read"))
    with pytest.raises(InputError, match="trained no classifier"):
        assess(Run.open(runs / "central"), classifier=runs / "anywhere", say=lambda text: None)
