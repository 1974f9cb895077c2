"""Trainings whose photographs are decoded in every epoch: resumed bit for bit, and not stopped by a lost file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pairlens.assess import assess
from pairlens.cli import run
from pairlens.data.loader import Cutting
from pairlens.errors import InputError
from pairlens.localisation import ContrastiveCrop
from pairlens.methods.moco import MoCoSettings
from pairlens.pretrain import pretrain, start_run
from pairlens.recipes.general import moco_v2
from pairlens.recipes.recipe import Recipe
from pairlens.record.run import Run
from pairlens.reopen import reopen_run
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.train import Observer, Outcome, Training
from pairlens.views.render import render

MACHINE = Machine("cpu", "fp32", threads=1, workers=2)


def quiet(text: str) -> None:
    """Say nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs of three classes, of many sizes, 8 of each for training and 2 to test on."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 2)):
        for name in ("a", "b", "c"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for i in range(count):
                height, width = (int(v) for v in rng.integers(40, 90, 2))
                low = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
                picture = low.resize((width, height), Image.Resampling.BICUBIC)
                picture.save(tmp_path / "images" / part / name / f"{i}.jpg", quality=90)
    return tmp_path / "images"


def small(crops: ContrastiveCrop = ContrastiveCrop()) -> Recipe:
    return moco_v2(
        method=MoCoSettings(negatives=16),
        network=Network("resnet8w", "small", hidden=16, dim=8),
        views=Views(size=32, locals=1, local_size=16),
        optimisation=Optimisation(epochs=3, batch=8, accumulate=2),
        crops=crops,
    )


def begin(out: Path, folder: Path, watch: Observer | None = None, recipe: Recipe | None = None) -> str:
    made = start_run(str(folder), recipe or small(), folder=out, machine=MACHINE, decode="always", say=quiet)
    assert isinstance(made[1].loader, Cutting)
    return pretrain(out, made[1], made[2], watch=watch, say=quiet)


def encoder(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "encoder.safetensors")


@pytest.mark.parametrize("crops", [ContrastiveCrop(), ContrastiveCrop("found", box_coverage=0.4)])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path: Path, folder: Path, crops: ContrastiveCrop) -> None:
    def halt(t: Training, outcome: Outcome) -> None:
        t.stop = t.step == 4

    assert begin(tmp_path / "whole", folder, recipe=small(crops)) == "finished"
    assert begin(tmp_path / "run", folder, halt, recipe=small(crops)) == "interrupted"
    training, source, seconds = reopen_run(tmp_path / "run", quiet)
    assert isinstance(training.loader, Cutting)
    assert pretrain(tmp_path / "run", training, source, seconds=seconds, say=quiet) == "finished"
    one, other = encoder(tmp_path / "whole"), encoder(tmp_path / "run")
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_views_are_those_of_the_decoded_image(tmp_path: Path, folder: Path) -> None:
    """What threads cut and resize, and `render` colours, is what `render` makes of the whole image."""
    seen: list[Outcome] = []
    begin(tmp_path / "run", folder, lambda t, outcome: seen.append(outcome))
    run = Run.open(tmp_path / "run")
    mean, std = (torch.tensor(run.info["data"][name]) for name in ("mean", "std"))
    names = sorted(str(path.relative_to(folder / "train").as_posix()) for path in (folder / "train").rglob("*.jpg"))
    for outcome in seen[:2]:
        for i, row in enumerate(outcome.draw.index.tolist()):
            with Image.open(folder / "train" / names[row]) as image:
                pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())[None]
            for view, size in (("query", 32), ("key", 32), ("local_1", 16)):
                expected = render(pixels, outcome.params[view].rows(slice(i, i + 1)), size, mean, std)[0]
                away = (outcome.views[view][i] - expected).abs() * std[:, None, None]
                assert away.mean() < 1.5 / 255  # rounded to whole numbers before the colours change
                assert away.max() < 0.12  # where contrast and hue enlarge what rounding did


def test_a_file_that_vanishes_in_the_midst_is_named_and_nothing_stops(tmp_path: Path, folder: Path) -> None:
    lost = [folder / "train" / "a" / "3.jpg", folder / "train" / "c" / "0.jpg"]

    def lose(t: Training, outcome: Outcome) -> None:
        if t.step == 1:
            lost[0].unlink()
            lost[1].write_bytes(lost[1].read_bytes()[:100])

    assert begin(tmp_path / "run", folder, lose) == "finished"
    named = [event["text"] for event in Run.open(tmp_path / "run").events if event["kind"] == "unreadable"]
    assert len(named) == 2
    assert {text.partition(":")[0] for text in named} == {"a/3.jpg", "c/0.jpg"}
    assert all(text.endswith("another image takes its place") for text in named)


def test_a_run_from_files_is_evaluated(tmp_path: Path, folder: Path) -> None:
    assert begin(tmp_path / "run", folder) == "finished"
    run = Run.open(tmp_path / "run")
    assert run.info["data"]["decode"] == "always"
    assert run.info["data"]["labelled"]
    result = assess(run, baselines=False, say=quiet)
    assert result["data"]["test"] == 6
    assert (tmp_path / "run" / "neighbours.npz").exists()
    assert len(run.sample_files()) == 9


def test_the_command_line_says_what_is_done(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture) -> None:
    flags = ["--epochs", "1", "--batch", "8", "--encoder", "resnet8w", "--size", "32", "--splits", "1"]
    flags += ["--device", "cpu", "--threads", "1", "--out", str(tmp_path / "run")]
    assert run(["train", str(folder), "--decode", "always", *flags]) == 0
    assert "files are decoded anew in every epoch, as --decode always asks" in capsys.readouterr().out


def test_no_file_left_is_told_in_a_sentence(tmp_path: Path, folder: Path) -> None:
    def lose(t: Training, outcome: Outcome) -> None:
        for path in (folder / "train").rglob("*.jpg"):
            path.unlink(missing_ok=True)

    with pytest.raises(InputError, match="can no longer be read"):
        begin(tmp_path / "run", folder, lose)
    assert Run.open(tmp_path / "run").status["state"] == "failed"


def test_the_store_and_the_files_look_at_the_same_rectangles(tmp_path: Path, folder: Path) -> None:
    crops = {}
    for decode in ("once", "always"):
        out, seen = tmp_path / decode, list[torch.Tensor]()
        _, t, source, _ = start_run(str(folder), small(), folder=out, machine=MACHINE, decode=decode, say=quiet)
        pretrain(out, t, source, watch=lambda t, outcome, seen=seen: seen.append(outcome.params["key"].crop), say=quiet)
        crops[decode] = torch.stack(seen)
    assert torch.equal(crops["once"], crops["always"])
