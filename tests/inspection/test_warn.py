"""Warnings: what is likely to go wrong is said, and nothing where all is well."""

from dataclasses import replace

import pytest
import torch
from subjects import SMALL, made

from pairlens.data.images import ImageSet, Source
from pairlens.inspection import copies, found, overlap
from pairlens.inspection.advice import advise
from pairlens.inspection.speed import Speed
from pairlens.inspection.subject import Known, subject_of
from pairlens.inspection.warn import warnings
from pairlens.recipes.general import byol, moco_v2, simclr
from pairlens.recipes.recipe import Recipe
from pairlens.settings import ContrastiveCrop, Network, Views
from pairlens.views.boxes import Boxes


def said(source: Source, recipe: Recipe | None = None, *, duplicates: bool = False) -> str:
    subject = made(source, recipe)
    twice = copies.compute(subject) if duplicates else None
    return "\n".join(warnings(subject, found.compute(subject), overlap.compute(subject), twice))


def among(source: Source, **changed: object) -> Source:
    return replace(source, train=replace(source.train, **changed))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sound() -> Source:
    """1200 images with objects that fill them."""
    numbers = torch.Generator().manual_seed(0)
    train = ImageSet(
        pixels=torch.randint(0, 256, (1200, 3, 8, 8), generator=numbers, dtype=torch.uint8),
        sizes=torch.full((1200, 2), 40),
        names=[str(i) for i in range(1200)],
        labels=torch.arange(1200) % 2,
        classes=("a", "b"),
        boxes=torch.tensor([0.1, 0.1, 0.9, 0.9]).repeat(1200, 1),
    )
    return Source("sound", train)


def test_nothing_is_said_where_all_is_well(sound: Source) -> None:
    assert said(sound) == ""


def test_small_images_are_enlarged(sound: Source) -> None:
    sizes = torch.full((1200, 2), 40)
    sizes[7] = torch.tensor([10, 50])
    text = said(among(sound, sizes=sizes), simclr(**SMALL, views=Views(size=16)))
    assert (
        "0.1\u00a0% of the images, 7 the smallest of them (50 \u00d7 10 px), are smaller than the views of 16 px"
        in text
    )
    assert "All images are smaller than the views of 64 px" in said(sound, simclr(**SMALL, views=Views(size=64)))


def test_elongated_images_are_named(sound: Source) -> None:
    sizes = torch.full((1200, 2), 40)
    sizes[3], sizes[9] = torch.tensor([40, 140]), torch.tensor([4000, 40])
    text = said(among(sound, sizes=sizes))
    assert (
        "2 images are more than 3 times as long as wide, 9 the most (40 \u00d7 4000 px); for 1 no crop is large" in text
    )
    crops = overlap.pair(made(among(sound, sizes=sizes)), made(sound).plan, torch.tensor([9] * 50), torch.Generator())
    assert torch.equal(crops[0], crops[1])  # so the sentence is true


def test_few_images_and_more_negatives_than_images(source: Source) -> None:
    recipe = moco_v2(optimisation=SMALL["optimisation"], network=Network(splits=1), views=Views(size=16))
    assert "40 images are few" in said(source, recipe)
    assert "40 negatives" not in said(source, recipe)
    many = replace(recipe, method=replace(recipe.method, negatives=40))
    assert "Each query has 40 negatives and there are 40 images" in said(source, many)
    whole = simclr(
        network=SMALL["network"], optimisation=replace(SMALL["optimisation"], batch=40), views=Views(size=16)
    )
    assert "negatives" not in said(source, whole)  # 78 of a batch are others', twice


def test_classes_that_say_nothing_or_little(sound: Source) -> None:
    one = among(sound, labels=torch.zeros(1200).long(), classes=("cat",))
    assert "of one class" in said(one)
    rare = torch.zeros(1200).long()
    rare[:5] = 1
    assert "The class b has 5 training images, the largest has 1\u202f195" in said(among(sound, labels=rare))


def test_pairs_that_share_too_little_too_much_or_not_the_object(sound: Source) -> None:
    little = simclr(**SMALL, views=Views(size=8, crop=(0.05, 0.1)))
    assert "% of the pairs have nothing in common" in said(sound, little)
    much = simclr(**SMALL, views=Views(size=8, crop=(0.9, 1.0)))
    assert "% of the pairs show nearly the same" in said(sound, much)
    corner = among(sound, boxes=torch.tensor([0.0, 0.0, 0.1, 0.1]).repeat(1200, 1))
    assert "a crop shows nothing of the object" in said(corner)
    waiting = simclr(**SMALL, views=Views(size=16), crops=ContrastiveCrop(boxes="found"))
    assert "Boxes are found after epoch 1 only" in said(sound, waiting)


def test_copies_and_unreadable_files(source: Source) -> None:
    assert "have copies in training" in said(source, duplicates=True)
    lost = among(source, skipped=(("a.jpg", "broken"), ("b.jpg", "broken")))
    assert "2 files, a.jpg the first of them, cannot be read" in said(lost)
    assert "a.jpg cannot be read and is left out." in said(among(source, skipped=(("a.jpg", "broken"),)))


def test_a_picture_is_met_as_a_negative_only_where_there_are_some(sound: Source) -> None:
    pixels = sound.train.pixels.clone()
    pixels[:20] = pixels[100]
    assert "are met as its negatives, by" in said(among(sound, pixels=pixels), duplicates=True)
    without = said(among(sound, pixels=pixels), byol(**SMALL, views=Views(size=8)), duplicates=True)
    assert "20 of the 1\u202f200 training images (1.7 %) repeat another one" in without
    assert "negatives" not in without


def test_boxes_that_say_nothing_come_first(sound: Source) -> None:
    boxes = Boxes.unknown(1200)
    boxes.refresh(torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(1200, 1), 10, 1, 0.1)
    recipe = simclr(**SMALL, views=Views(size=16, crop=(0.9, 1.0)), crops=ContrastiveCrop(boxes="found"))
    subject = subject_of(sound, recipe, made(sound).place, 0, found=Known(boxes, "a run's boxes"))
    first, second = warnings(subject, found.compute(subject), overlap.compute(subject))
    assert first.startswith("100% of the boxes found with k = 0.1 are nearly the whole image")
    assert "show nearly the same" in second


@pytest.mark.parametrize(
    ("files", "encoder", "share", "message"),
    [
        (100.0, 9000.0, 1.0, "Decoding files is the bottleneck"),
        (9000.0, 9000.0, 1.0, "Rendering views takes longer"),
        (9000.0, 100.0, 1.0, None),
        (9000.0, 100.0, 0.5, "so that a thread had 50\u00a0% of a core"),
    ],
)
def test_a_slow_loader_and_a_busy_machine_are_told(
    sound: Source, files: float, encoder: float, share: float, message: str | None
) -> None:
    subject = made(sound)
    speed = Speed({1: files}, {1: 5000.0}, {1: encoder}, 2, 1, "cpu", share)
    text = warnings(subject, found.compute(subject), overlap.compute(subject), None, speed, advise(speed))
    assert len(text) == (message is not None)
    assert message is None or message in text[0]


def test_names_of_files_are_never_code(sound: Source) -> None:
    names = ["`a`", *sound.train.names[1:]]
    sizes = torch.full((1200, 2), 40)
    sizes[0] = 4
    assert "'a' the smallest of them" in said(among(sound, names=names, sizes=sizes))
