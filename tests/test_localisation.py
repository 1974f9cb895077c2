"""ContrastiveCrop as arguments, and in a training: boxes found on schedule, seen at once, and stored."""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pairlens import words
from pairlens.assemble import assemble
from pairlens.cli import run
from pairlens.data.images import ImageSet
from pairlens.data.loader import Moving
from pairlens.data.scenes import make_scenes
from pairlens.errors import InputError
from pairlens.evaluate.localise import locate
from pairlens.hooks import Localiser
from pairlens.localisation import ContrastiveCrop
from pairlens.methods.moco import MoCoSettings
from pairlens.place import Place
from pairlens.pretrain import pretrain
from pairlens.recipes import RECIPES, defaults, find_recipe
from pairlens.recipes.general import byol, instdisc, moco_v2, simclr, simsiam, swav
from pairlens.recipes.recipe import Recipe
from pairlens.record.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from pairlens.record.run import Run
from pairlens.reopen import reopen_run
from pairlens.resolve import resolve
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.start import start_run
from pairlens.train import Observer, Outcome, Training, fit
from pairlens.views.boxes import coverage

CPU = Place(torch.device("cpu"), torch.float32, threads=1, compile=False)
FOUND = ContrastiveCrop(boxes="found", box_coverage=0.3, box_start=1, box_every=1)


def scenes(count: int = 72) -> ImageSet:
    return make_scenes("plain", 32, train=count, test=1).train


def small(make: Callable[..., Recipe] = moco_v2, crops: ContrastiveCrop = FOUND, epochs: int = 3, **own: Any) -> Recipe:
    return make(
        network=Network("resnet8w", "small", hidden=16, dim=8),
        optimisation=Optimisation(epochs=epochs, batch=16),
        crops=crops,
        **({"method": MoCoSettings(negatives=40)} if make is moco_v2 else {}) | own,
    )


def training_of(recipe: Recipe, seed: int = 0, images: ImageSet | None = None) -> Training:
    images = images or scenes()
    return assemble(resolve(recipe, images, CPU), images, CPU, seed)


def finder(t: Training, images: ImageSet, at: tuple[int, ...] = (4, 8)) -> Callable[[Training], None]:
    """A hook that finds boxes after some steps."""

    def find(t: Training) -> None:
        if t.step in at:
            found = locate(t.method.online.encoder, images, t.size, t.mean, t.std, coverage=0.3)
            t.boxes.refresh(found.boxes, t.step, t.step // len(t.order), found.k)

    return find


def centres(crop: Tensor) -> Tensor:
    return crop[:, :2] + crop[:, 2:] / 2


def test_what_is_left_open_is_the_papers_share_of_the_training() -> None:
    crops = ContrastiveCrop(boxes="found")
    assert crops.resolve(32, 500) == replace(crops, alpha=0.1, box_start=100, box_every=100)
    assert crops.resolve(96, 7) == replace(crops, alpha=0.1, box_start=1, box_every=1)
    assert crops.resolve(224, 100) == replace(crops, alpha=0.6, box_start=20, box_every=20)
    assert ContrastiveCrop(boxes="central").resolve(64, 100) == ContrastiveCrop(boxes="central", alpha=0.1)
    assert ContrastiveCrop().resolve(64, 100) == ContrastiveCrop()


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "random"])
def test_every_recipe_has_the_group_and_is_off(name: str) -> None:
    group = defaults(find_recipe(name))["crops"]
    assert isinstance(group, ContrastiveCrop)
    assert group.boxes == "none"
    if name.startswith("cifar10."):
        assert group == ContrastiveCrop(alpha=0.1, box_start=100, box_every=100)  # CCrop, Section 4.2
    if name.startswith("imagenet."):
        assert group == ContrastiveCrop(alpha=0.6, box_start=20, box_every=10)


def test_a_recipes_own_numbers_wait_for_the_switch() -> None:
    images = scenes()
    off = resolve(find_recipe("cifar10.moco_v2")(), images, CPU)
    assert off.crops == ContrastiveCrop()
    own = defaults(find_recipe("cifar10.moco_v2"))["crops"]
    on = resolve(find_recipe("cifar10.moco_v2")(crops=replace(own, boxes="found")), images, CPU)
    assert on.crops == ContrastiveCrop("found", alpha=0.1, box_start=100, box_every=100)


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        (ContrastiveCrop(alpha=0.5), "alpha shapes ContrastiveCrop, which is off"),
        (ContrastiveCrop(box_start=2), "box_start shapes ContrastiveCrop, which is off"),
        (ContrastiveCrop("central", box_every=2), "box_every says how boxes are found, and these are central"),
        (ContrastiveCrop("found", box_threshold=0.2, box_coverage=0.5), "box_threshold is chosen by box_coverage"),
        (ContrastiveCrop("found", alpha=0.0), "alpha must be positive, not 0.0"),
        (ContrastiveCrop("found", alpha=float("inf")), "alpha must be positive"),
        (ContrastiveCrop("found", box_threshold=1.0), "box_threshold is 1.0"),
        (ContrastiveCrop("found", box_coverage=1.0), "box_coverage is 1.0"),
        (ContrastiveCrop("found", box_start=3), "after epoch 3 are never used in 3 epochs"),
        (ContrastiveCrop("found", box_start=0), "box_start of 1 at least"),
        (ContrastiveCrop("found", box_start=1, box_every=-1), "box_every must be a positive number of epochs, not -1"),
        (ContrastiveCrop("known"), "come without boxes"),
    ],
)
def test_what_cannot_be_is_refused(crops: ContrastiveCrop, message: str) -> None:
    images = replace(scenes(), boxes=None)
    with pytest.raises(InputError, match=message):
        training_of(small(crops=crops), images=images)


def test_crops_are_random_until_boxes_are_found_and_centred_in_them_from_then_on() -> None:
    images = scenes()
    plain, t = training_of(small(crops=ContrastiveCrop())), training_of(small())
    seen: dict[bool, list[Outcome]] = {False: [], True: []}
    fit(plain, [lambda t, outcome: seen[False].append(outcome)])
    fit(t, [lambda t, outcome: seen[True].append(outcome)], [finder(t, images)])
    assert len(t.boxes.history) == 2
    for step, (random, crafted) in enumerate(zip(seen[False], seen[True], strict=True)):
        for view in ("query", "key"):
            a, b = random.params[view].crop, crafted.params[view].crop
            assert torch.equal(a[:, 2:], b[:, 2:])  # the same sizes, whatever the boxes
            assert torch.equal(a, b) == (step < 4)
    last = seen[True][-1]
    boxes = t.boxes.of(last.draw.index)
    crop = last.params["query"].crop
    inside = (centres(crop) >= boxes[:, :2] - 1e-5) & (centres(crop) <= boxes[:, 2:] + 1e-5)
    at_border = (crop[:, :2] <= 1e-6) | (crop[:, :2] + crop[:, 2:] >= 1 - 1e-6)
    assert (inside | at_border).all()
    assert not inside.all() or coverage(boxes).median() > 0.2


@pytest.mark.parametrize("ahead", [1, 3, 20])
def test_steps_drawn_ahead_see_new_boxes_at_once(ahead: int) -> None:
    images = scenes()
    at_once, early = training_of(small()), training_of(small())
    early.loader = Moving(images.pixels, CPU.device)
    early.loader.ahead = ahead
    crops: dict[bool, list[Tensor]] = {False: [], True: []}
    for late, t in ((False, at_once), (True, early)):
        fit(t, [lambda t, outcome, late=late: crops[late].append(outcome.params["key"].crop)], [finder(t, images)])
    assert all(torch.equal(a, b) for a, b in zip(crops[False], crops[True], strict=True))
    assert torch.equal(at_once.views.get_state(), early.views.get_state())


@pytest.mark.parametrize("ahead", [0, 3])
def test_a_run_with_boxes_goes_on_bit_for_bit_after_any_step(tmp_path: Path, ahead: int) -> None:
    images = scenes()

    def made(seed: int = 0) -> Training:
        t = training_of(small(), seed)
        t.loader = Moving(images.pixels, CPU.device)
        t.loader.ahead = ahead
        return t

    whole = made()
    fit(whole, hooks=[finder(whole, images), lambda t: save_checkpoint(tmp_path / str(t.step), t, 0.0)])
    for step in (3, 4, 5, 8, 11):
        other = made(seed=step)
        load_checkpoint(tmp_path / str(step) / f"step-{step:08d}", other)
        fit(other, hooks=[finder(other, images)])
        assert all(torch.equal(a, b) for a, b in zip(whole.method.parameters(), other.method.parameters(), strict=True))
        assert torch.equal(whole.boxes.table, other.boxes.table)
        assert whole.boxes.history == other.boxes.history


@pytest.mark.parametrize("make", [simclr, moco_v2, byol, simsiam, swav, instdisc])
@pytest.mark.parametrize("boxes", ["central", "whole", "known"])
def test_every_method_and_every_kind_of_boxes(make: Callable[..., Recipe], boxes: str) -> None:
    t = training_of(small(make, ContrastiveCrop(boxes=boxes), epochs=2))
    fit(t, [lambda t, outcome: finite.append(bool(torch.isfinite(outcome.parts[-1].loss)))] if (finite := []) else [])
    assert t.step == t.steps
    assert t.boxes.ready
    expected = {"central": 0.25, "whole": 1.0, "known": float(coverage(scenes().boxes).mean())}[boxes]
    assert float(coverage(t.boxes.table).mean()) == pytest.approx(expected)


def test_small_views_are_crafted_as_well() -> None:
    t = training_of(small(crops=ContrastiveCrop(boxes="central", alpha=0.1), views=Views(locals=2, local_size=16)))
    seen: list[Outcome] = []
    fit(t, [lambda t, outcome: seen.append(outcome)])
    for outcome in seen:
        for name in ("local_1", "local_2"):
            middle = centres(outcome.params[name].crop)
            assert ((middle >= 0.25 - 1e-6) & (middle <= 0.75 + 1e-6)).all()


def begin(folder: Path, watch: Observer | None = None, **arguments: Any) -> tuple[Path, str, list[str]]:
    """Train 4 epochs of 4 steps on a file of images; at the threshold 0 nearly every box is the whole image."""
    said: list[str] = []
    np.savez(folder.parent / "images.npz", x=scenes().pixels.permute(0, 2, 3, 1).numpy())
    folder, t, source, _ = start_run(
        str(folder.parent / "images.npz"),
        small(epochs=4, crops=ContrastiveCrop(boxes="found", box_threshold=0.0)),
        folder=folder,
        machine=Machine("cpu", "fp32", threads=1),
        say=said.append,
        **arguments,
    )
    return folder, pretrain(folder, t, source, watch=watch, say=said.append), said


def test_a_run_keeps_every_table_and_warns_of_useless_boxes(tmp_path: Path) -> None:
    folder, state, said = begin(tmp_path / "run")
    found = Run.open(folder)
    assert state == "finished"
    assert [path.name for path in found.box_files()] == ["000004.npz", "000008.npz", "000012.npz"]
    kinds = [event["kind"] for event in found.events]
    assert [kind for kind in kinds if kind != "health"] == ["begun", *["boxes", "warning"] * 3, "finished"]
    said = [text for text in said if not text.startswith("health: ")]  # which says it in its own words
    assert sum("nearly the whole image" in text for text in said) == 3
    flags = set(re.findall(r"--[a-z-]+", said[-1]))  # that help
    assert flags == {"--box-threshold", "--box-coverage", "--box-start"}
    assert flags <= {"--" + field.name.replace("_", "-") for field in fields(ContrastiveCrop)}
    with np.load(found.box_files()[-1], allow_pickle=False) as kept:
        assert kept["boxes"].shape == (72, 4)
        assert kept["images"].shape == (12, 3, 32, 32)
        assert kept["heat"].shape[0] == 12
        assert kept["heat"].min() >= 0
        assert kept["heat"].max() <= 1
        assert (int(kept["step"]), int(kept["epoch"]), float(kept["k"])) == (12, 3, 0.0)
        assert kept["seconds"] > 0


def test_a_long_search_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "PATIENCE", 0.0)
    images, said = scenes(600), list[str]()
    t = training_of(small(), images=images)
    t.step = len(t.order)
    Localiser(tmp_path, images, FOUND, t, record=False, say=said.append)(t)
    assert said == [f"finding boxes: {done} of 600 images looked at" for done in (512, 600)]


def test_an_encoder_that_can_find_nothing_is_refused_before_the_first_step(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", x=scenes().pixels.permute(0, 2, 3, 1).numpy())
    recipe = small(epochs=400, crops=ContrastiveCrop("found"))
    recipe = replace(recipe, network=replace(recipe.network, stem="imagenet"), views=Views(size=16))
    with pytest.raises(InputError, match=r"sees a view of 16 px at a single position.*use larger views"):
        start_run(
            str(tmp_path / "images.npz"),
            recipe,
            folder=tmp_path / "run",
            machine=Machine("cpu", "fp32", threads=1),
            say=lambda text: None,
        )
    assert not (tmp_path / "run").exists()


def test_without_recording_no_tables_are_kept(tmp_path: Path) -> None:
    folder, state, _ = begin(tmp_path / "run", record=False)
    assert state == "finished"
    assert Run.open(folder).box_files() == []
    assert (checkpoints(folder / "checkpoints")[-1] / "state.safetensors").exists()


def test_an_interrupted_run_finds_the_same_boxes_when_it_goes_on(tmp_path: Path) -> None:
    def halt(t: Training, outcome: Outcome) -> None:
        t.stop = t.step == 5

    whole, _, _ = begin(tmp_path / "whole")
    folder, state, _ = begin(tmp_path / "run", halt)
    assert state == "interrupted"
    t, source, seconds = reopen_run(folder, say=lambda text: None)
    assert len(t.boxes.history) == 1
    assert pretrain(folder, t, source, seconds=seconds, say=lambda text: None) == "finished"
    for a, b in zip(Run.open(whole).box_files(), Run.open(folder).box_files(), strict=True):
        with np.load(a) as one, np.load(b) as other:
            assert all(np.array_equal(one[key], other[key]) for key in one.files if key != "seconds")


def test_flags_without_effect_are_refused_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    np.savez(tmp_path / "images.npz", x=np.zeros((72, 16, 16, 3), np.uint8))
    assert run(["train", str(tmp_path / "images.npz"), "--alpha", "0.3", "--out", str(tmp_path / "run")]) == 2
    assert "alpha shapes ContrastiveCrop, which is off; switch it on with boxes found" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
