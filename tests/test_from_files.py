"""Trainings whose photographs are decoded in every epoch: resumed bit for bit, and not stopped by a lost file."""

import os
from pathlib import Path
from shutil import copyfile, copytree, rmtree

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pairlens.assess import assess
from pairlens.cli import run
from pairlens.data.loader import Cutting
from pairlens.data.sources import open_source
from pairlens.errors import InputError
from pairlens.hooks import Complainer
from pairlens.localisation import ContrastiveCrop
from pairlens.methods.moco import MoCoSettings
from pairlens.pretrain import pretrain
from pairlens.recipes.general import moco_v2
from pairlens.recipes.recipe import Recipe
from pairlens.record.run import Run
from pairlens.reopen import open_run_source, reopen_run
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run
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


def halted(out: Path, folder: Path, lost: tuple[str, ...] = (), recipe: Recipe | None = None) -> None:
    """A run that loses files after its second step and is interrupted after its fifth."""

    def halt(t: Training, outcome: Outcome) -> None:
        lose(folder, lost, at=1)(t, outcome)
        t.stop = t.step == 4

    assert begin(out, folder, halt, recipe) == "interrupted"


def lose(folder: Path, lost: tuple[str, ...], at: int) -> Observer:
    """Delete files after a step."""

    def watch(t: Training, outcome: Outcome) -> None:
        if t.step == at:
            for name in lost:
                (folder / name).unlink(missing_ok=True)

    return watch


def go_on(out: Path) -> tuple[str, list[str]]:
    said: list[str] = []
    training, source, seconds = reopen_run(out, said.append)
    return pretrain(out, training, source, seconds=seconds, say=said.append), said


LOST = ("train/a/3.jpg", "train/c/0.jpg", "test/b/1.jpg")


def test_a_run_that_lost_files_goes_on_bit_for_bit(tmp_path: Path, folder: Path) -> None:
    crops = small(ContrastiveCrop("found", box_coverage=0.4))
    copytree(folder, tmp_path / "other")
    assert begin(tmp_path / "whole", folder, lose(folder, LOST, at=1), crops) == "finished"
    halted(tmp_path / "run", tmp_path / "other", LOST, crops)
    state, said = go_on(tmp_path / "run")
    assert state == "finished"
    one, other = encoder(tmp_path / "whole"), encoder(tmp_path / "run")
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    log = tmp_path / "run" / "events.jsonl"
    assert said[0].startswith("2 files cannot be read, such as a/3.jpg (FileNotFoundError: No such file or directory)")
    assert said[0].endswith(f": other images take their places, and {log} names each")
    assert said[1].endswith(": 24 training images, 6 test images, read from the files that the run began with")
    assert len(named(tmp_path / "run")) == 2  # once, though both processes met them


def named(out: Path) -> list[str]:
    """The lost files that the run's log names."""
    events = Run.open(out).events
    return sorted(event["text"].partition(":")[0] for event in events if event["kind"] == "unreadable")


def test_a_run_that_lost_files_is_evaluated(tmp_path: Path, folder: Path) -> None:
    assert begin(tmp_path / "run", folder, lose(folder, LOST, at=1)) == "finished"
    said: list[str] = []
    result = assess(Run.open(tmp_path / "run"), baselines=False, say=said.append)
    assert (result["data"]["train"], result["data"]["test"]) == (24, 6)
    assert named(tmp_path / "run") == ["a/3.jpg", "b/1.jpg", "c/0.jpg"]
    assert said[-1].startswith("b/1.jpg cannot be read")


def test_what_a_run_began_with_is_read_again(tmp_path: Path, folder: Path) -> None:
    """Names of any bytes, labels, sizes and classes."""
    try:
        os.rename(folder / "train" / "b" / "2.jpg", os.fsencode(folder) + b"/train/b/\xff\n 2.jpg")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    _, _, source, _ = start_run(
        str(folder), small(), folder=tmp_path / "run", machine=MACHINE, decode="always", say=quiet
    )
    again = open_run_source(Run.open(tmp_path / "run"), quiet)
    for one, other in ((source.train, again.train), (source.test, again.test)):
        assert one.pixels.names == other.pixels.names
        assert (one.names, one.classes) == (other.names, other.classes)
        assert torch.equal(one.sizes, other.sizes)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.pixels[:], other.pixels[:])
    assert not any(images.pixels.drain() for images in (again.train, again.test))


def test_images_that_come_later_are_not_taken_in(tmp_path: Path, folder: Path) -> None:
    halted(tmp_path / "run", folder)
    copyfile(folder / "train" / "a" / "1.jpg", folder / "train" / "a" / "11.jpg")
    assert go_on(tmp_path / "run")[0] == "finished"


def test_an_image_that_shows_something_else_is_refused_by_its_name(tmp_path: Path, folder: Path) -> None:
    halted(tmp_path / "run", folder, ("train/a/0.jpg",))
    copyfile(folder / "train" / "a" / "1.jpg", folder / "train" / "b" / "5.jpg")
    with pytest.raises(InputError, match=r"^b/5\.jpg in .*images shows something else now than when the run .* began"):
        go_on(tmp_path / "run")


def test_lost_folders_are_told_in_a_sentence(tmp_path: Path, folder: Path) -> None:
    halted(tmp_path / "run", folder)
    for name in ("a", "b"):
        rmtree(folder / "train" / name)
    with pytest.raises(InputError, match=r"^most of the images in .* can no longer be read, such as a/0\.jpg \(File"):
        go_on(tmp_path / "run")
    rmtree(folder / "train")
    with pytest.raises(InputError, match=r"^there is no folder .*train, whose images the run"):
        go_on(tmp_path / "run")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", None])
def test_without_its_list_a_run_opens_the_folder_again(tmp_path: Path, folder: Path, damage: bytes | None) -> None:
    """As runs of earlier versions do; then all files must be there."""
    halted(tmp_path / "run", folder)
    kept = tmp_path / "run" / "files.npz"
    kept.unlink() if damage is None else kept.write_bytes(damage)
    (folder / "train" / "a" / "3.jpg").unlink()
    with pytest.raises(InputError, match="holds 23 training images now, and held 24"):
        go_on(tmp_path / "run")


def test_no_list_is_kept_of_stored_images(tmp_path: Path, folder: Path) -> None:
    start_run(str(folder), small(), folder=tmp_path / "run", machine=MACHINE, decode="once", say=quiet)
    assert not (tmp_path / "run" / "files.npz").exists()


def test_many_lost_files_are_told_seldom(tmp_path: Path, folder: Path) -> None:
    """The log names each; the terminal hears of the first, and each time they are twice as many."""
    said: list[str] = []
    images = open_source(str(folder), decode="always").train
    tell = Complainer(tmp_path, images, said.append)
    _, training, _, _ = start_run(str(folder), small(), folder=tmp_path / "run", machine=MACHINE, say=quiet)
    for row in range(9):
        (folder / "train" / images.names[row]).unlink()
        images.pixels[torch.tensor([row])]
        tell(training)
        tell(training)
    assert [text.partition(" ")[0] for text in said] == ["a/0.jpg", "2", "4", "8"]
    (tmp_path / "run.json").write_text('{"call": {}}', encoding="utf-8")
    assert named(tmp_path) == images.names[:9]


def test_views_are_those_of_the_decoded_image(tmp_path: Path, folder: Path) -> None:
    """What threads cut and resize, and `render` colours, is what `render` makes of the whole image.

    Also in the first step after new boxes, whose rectangles were drawn anew when the threads had cut others already.
    """
    seen: list[Outcome] = []
    crops = ContrastiveCrop("found", box_coverage=0.4, box_start=1)
    begin(tmp_path / "run", folder, lambda t, outcome: seen.append(outcome), small(crops))
    run = Run.open(tmp_path / "run")
    mean, std = (torch.tensor(run.info["data"][name]) for name in ("mean", "std"))
    names = sorted(str(path.relative_to(folder / "train").as_posix()) for path in (folder / "train").rglob("*.jpg"))
    for outcome in (seen[0], seen[2], seen[3]):
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
