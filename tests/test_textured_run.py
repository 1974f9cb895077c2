"""Trainings with textures: views are cut from the copies that were drawn, and a run goes on with the same copies."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pairlens.assemble import assemble
from pairlens.data.images import ImageSet
from pairlens.data.styles import chosen
from pairlens.errors import InputError
from pairlens.methods.looc import LooCSettings
from pairlens.place import Place
from pairlens.pretrain import pretrain
from pairlens.recipes.general import looc, simclr
from pairlens.recipes.recipe import Recipe
from pairlens.reopen import reopen_run
from pairlens.resolve import resolve
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run
from pairlens.styling import Styling, add_copies
from pairlens.train import Outcome, Training
from pairlens.views.render import render

MACHINE = Machine("cpu", "fp32", 1)
NETWORK = Network("resnet8w", hidden=16, dim=8)
OPTIMISATION = Optimisation(epochs=1, batch=8)
DESIGNATED = ("color", "rotation", "texture")


def quiet(text: str) -> None:
    """Say nothing."""


def recipe_of(**views: object) -> Recipe:
    return looc(
        method=LooCSettings(designated=DESIGNATED, negatives=16),
        network=NETWORK,
        views=Views(size=16, blur=0.0, rotation=0.5, texture=0.5, **views),  # type: ignore[arg-type]
        optimisation=OPTIMISATION,
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of 40 images."""
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8))
    return path


def begin(source: Path, folder: Path, recipe: Recipe) -> tuple[Training, object]:
    _, training, images, _ = start_run(str(source), recipe, folder=folder, machine=MACHINE, say=quiet)
    return training, images


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "encoder.safetensors")


def test_a_resumed_run_shows_the_same_copies(tmp_path: Path, source: Path) -> None:
    recipe = recipe_of(styles=3)
    training, images = begin(source, tmp_path / "whole", recipe)
    assert pretrain(tmp_path / "whole", training, images, say=quiet) == "finished"  # type: ignore[arg-type]

    def stop(t: Training, outcome: Outcome) -> None:
        t.stop = t.step == 2

    training, images = begin(source, tmp_path / "parts", recipe)
    copies = images.train.styles  # type: ignore[attr-defined]
    assert pretrain(tmp_path / "parts", training, images, watch=stop, say=quiet) == "interrupted"  # type: ignore[arg-type]
    training, images, seconds = reopen_run(tmp_path / "parts", quiet)
    assert torch.equal(images.train.styles, copies)
    pretrain(tmp_path / "parts", training, images, seconds=seconds, say=quiet)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_views_are_rendered_from_the_copies_that_were_drawn(tmp_path: Path, source: Path) -> None:
    training, images = begin(source, tmp_path / "run", recipe_of())
    train: ImageSet = images.train  # type: ignore[attr-defined]
    seen = []

    def watch(t: Training, outcome: Outcome) -> None:
        for name, params in outcome.params.items():
            own = train.pixels[outcome.draw.index]
            pixels = chosen(own, train.styles, outcome.draw.index, params.texture)
            assert torch.equal(outcome.views[name], render(pixels, params, 16, t.mean, t.std))
            seen.append((name, (pixels != own).flatten(1).any(1)))
            assert torch.equal(seen[-1][1], params.texture > 0)
        same = outcome.params["query"].texture, outcome.params["key_texture"].texture
        assert torch.equal(*same)

    pretrain(tmp_path / "run", training, images, watch=watch, say=quiet)  # type: ignore[arg-type]
    assert {name for name, _ in seen} == {"query", "key", *(f"key_{group}" for group in DESIGNATED)}
    assert 0.4 < torch.cat([shown for _, shown in seen]).double().mean() < 0.6
    sample = dict(np.load(next(iter(sorted((tmp_path / "run" / "samples").glob("*.npz"))))))
    assert sample["params.query.texture"].max() > 0


def test_without_textures_a_run_knows_nothing_of_copies(tmp_path: Path, source: Path) -> None:
    recipe = simclr(network=NETWORK, views=Views(size=16), optimisation=OPTIMISATION)
    _, images = begin(source, tmp_path / "run", recipe)
    assert images.train.styles is None  # type: ignore[attr-defined]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["copies"] is None
    reopen_run(tmp_path / "run", quiet)


def test_a_runs_seed_draws_its_copies(tmp_path: Path, source: Path) -> None:
    start = {"machine": MACHINE, "say": quiet}
    for seed in (0, 7):
        train = start_run(str(source), recipe_of(), folder=tmp_path / f"{seed}", seed=seed, **start)[2].train  # type: ignore[arg-type]
        assert torch.equal(train.styles, add_copies(train, Styling(), seed=seed).styles)


@pytest.mark.usefixtures("in_folder")
def test_a_folders_copies_must_stay_what_they_were(tmp_path: Path, source: Path) -> None:
    """The run knows the folder by its whole name, so it is resumed from elsewhere."""
    numbers = np.random.default_rng(1)
    for style in (1, 2):
        for i in range(40):
            path = tmp_path / f"copies/style-{style}/train/{i:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(numbers.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    _, images = begin(source, tmp_path / "run", recipe_of(styles=2, styled_by="copies"))
    arguments = json.loads((tmp_path / "run" / "run.json").read_text())["call"]["arguments"]
    assert arguments["styled_by"] == str((tmp_path / "copies").resolve())
    assert torch.equal(reopen_run(tmp_path / "run", quiet)[1].train.styles, images.train.styles)  # type: ignore[attr-defined]
    shutil.copy(path, path.with_name("00000.png"))
    with pytest.raises(InputError, match=r"the images have other stylised copies now than when the run .* began"):
        reopen_run(tmp_path / "run", quiet)
    path.unlink()
    with pytest.raises(InputError, match=r"lacks 1 of the 80 stylised copies: style-2/train/00039"):
        reopen_run(tmp_path / "run", quiet)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_ways_that_are_not_there_are_refused_before_images_are_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be stylised by nothing, which is not there"):
        begin(tmp_path / "gone.npy", tmp_path / "run", recipe_of(styled_by="nothing"))
    assert not (tmp_path / "run").exists()


def test_photographs_that_are_decoded_in_every_epoch_have_no_textures(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (20, 20), (i, i, i)).save(tmp_path / f"photos/{i}.png")
    arguments = {"folder": tmp_path / "run", "machine": MACHINE, "say": quiet}
    with pytest.raises(
        InputError, match=r"these 20 images are decoded anew in every epoch; store them with --decode o"
    ):
        start_run(str(tmp_path / "photos"), recipe_of(), decode="always", **arguments)  # type: ignore[arg-type]
    start_run(str(tmp_path / "photos"), recipe_of(), decode="once", **arguments)  # type: ignore[arg-type]


def test_a_training_with_textures_needs_copies() -> None:
    pixels = torch.randint(0, 256, (40, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    images = ImageSet(pixels, torch.full((40, 2), 16), [str(i) for i in range(40)])
    place = Place(torch.device("cpu"), torch.float32, 1, compile=False)
    recipe = resolve(recipe_of(), images, place)
    with pytest.raises(InputError, match="show 4 stylised copies of each image, and there are 0; make them with"):
        assemble(recipe, images, place, 0)
    with pytest.raises(InputError, match="show 4 stylised copies of each image, and there are 3"):
        assemble(recipe, add_copies(images, Styling(count=3)), place, 0)
    assemble(recipe, add_copies(images, Styling(count=4)), place, 0)
