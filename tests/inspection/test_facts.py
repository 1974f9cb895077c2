"""Facts of an inspection equal what is computed directly: sizes, views, parameters, overlap, copies.

B images of a batch.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from subjects import SMALL, made, opened

from pairlens.data.duplicates import find_duplicates
from pairlens.data.images import ImageSet, Source
from pairlens.data.photographs import Photographs
from pairlens.data.styles import chosen
from pairlens.inspection import copies, found, overlap, parameters, styles, views
from pairlens.inspection.subject import Subject
from pairlens.recipes.general import infomin, instdisc, simclr
from pairlens.settings import ContrastiveCrop, Views
from pairlens.styling import Styling, add_copies
from pairlens.views.params import ViewParams
from pairlens.views.render import render


def test_sizes_formats_and_classes_are_counted(subject: Subject, images: ImageSet) -> None:
    facts = found.compute(subject)
    assert (facts.train, facts.test, facts.labelled) == (40, 2, 40)
    assert facts.classes == {"a": 14, "b": 13, "c": 13}
    assert facts.formats == {"PNG": 30, "JPEG": 10}
    sizes = images.sizes.tolist()
    by_area = sorted(range(40), key=lambda i: sizes[i][0] * sizes[i][1])
    by_aspect = sorted(range(40), key=lambda i: sizes[i][1] / sizes[i][0])
    for image, row in (
        (facts.smallest, by_area[0]),
        (facts.largest, by_area[-1]),
        (facts.tallest, by_aspect[0]),
        (facts.widest, by_aspect[-1]),
    ):
        assert (image.name, image.height, image.width) == (images.names[row], *sizes[row])
    assert facts.smallest.shape == f"{facts.smallest.width} \u00d7 {facts.smallest.height}"
    assert (facts.side, facts.from_files, facts.bytes) == ((24, 24), False, 40 * 3 * 24 * 24)
    assert not facts.one_size


def test_images_without_labels_and_with_some(source: Source) -> None:
    none = replace(source, train=replace(source.train, labels=None, classes=()), test=None)
    facts = found.compute(made(none))
    assert (facts.test, facts.labelled, facts.classes) == (None, 0, {})
    labels = torch.where(torch.arange(40) < 30, 1, -1)
    some = found.compute(made(replace(source, train=replace(source.train, labels=labels))))
    assert (some.labelled, some.classes) == (30, {"b": 30, "a": 0, "c": 0})


def test_photographs_are_looked_at_as_stores_are(folder: Path) -> None:
    store, files = opened(folder, labels=True), opened(folder, labels=True, decode="always")
    assert isinstance(files.images.pixels, Photographs)
    one, other = found.compute(store), found.compute(files)
    assert other.from_files
    assert not one.from_files
    assert one.formats == other.formats == {"JPEG": one.train}
    assert np.array_equal(one.sizes, other.sizes)
    assert one.widest == other.widest
    assert (one.widest.name, one.widest.shape) == ("dogs/04.jpg", "60 \u00d7 20")
    assert one.skipped[0][0] == other.skipped[0][0] == "cats/broken.jpg"


@pytest.mark.parametrize("recipe", ["simclr", "multi-crop", "infomin", "instdisc", "boxes"])
def test_views_are_those_that_were_drawn(source: Source, recipe: str) -> None:
    size = Views(size=16)
    chosen = {
        "simclr": simclr(**SMALL, views=size),
        "multi-crop": simclr(**SMALL, views=replace(size, locals=2, local_size=8)),
        "infomin": infomin(**SMALL, views=Views(size=32)),
        "instdisc": instdisc(**SMALL, views=size),
        "boxes": simclr(**SMALL, views=size, crops=ContrastiveCrop(boxes="known")),
    }[recipe]
    subject = made(source, chosen)
    shown = views.compute(subject)
    assert len(shown) == views.IMAGES
    assert len({image.name for image in shown}) == views.IMAGES
    for image in shown:
        row = source.train.names.index(image.name)
        assert (image.height, image.width) == tuple(source.train.sizes[row].tolist())
        assert image.label == source.train.classes[int(source.train.labels[row])]
        assert np.array_equal(image.box, source.train.boxes[row])
        assert len(image.draws) == views.DRAWS
        crops = [tuple(view.params["crop"]) for example in image.draws for view in example.views]
        assert len(set(crops)) > len(crops) // 2
        for example in image.draws:
            assert np.array_equal(example.pixels, source.train.pixels[row].numpy())
    generator = subject.generator()
    index = subject.some(8, generator).sort().values.repeat_interleave(3)
    for name, params in subject.drawn(index, generator).items():
        made_again = render(source.train.pixels[index], params, params.size or subject.size)
        for place, example in enumerate(example for image in shown for example in image.draws):
            view = next(view for view in example.views if view.name == name)
            assert view.params["crop"] == params.crop[place].tolist()
            assert np.abs(view.pixels / 255 - made_again[place].numpy()).max() < 0.51 / 255


def test_textured_views_and_copies_are_those_that_were_drawn(source: Source) -> None:
    copied = replace(source, train=add_copies(source.train, Styling(count=2)))
    subject = made(copied, simclr(**SMALL, views=Views(size=16, texture=0.5, styles=2)))
    textures = set()
    for image in views.compute(subject):
        row = source.train.names.index(image.name)
        for example in image.draws:
            for view in example.views:
                kinds = ViewParams.identity(1).tensors()
                drawn = {name: torch.tensor([value], dtype=kinds[name].dtype) for name, value in view.params.items()}
                params = ViewParams(**drawn)
                own = source.train.pixels[[row]]
                pixels = chosen(own, copied.train.styles, torch.tensor([row]), params.texture)
                expected = render(pixels, params, 16)[0].numpy()
                assert np.abs(view.pixels / 255 - expected).max() < 0.51 / 255
                textures.add(view.params["texture"])
    assert textures == {0, 1, 2}
    shown = styles.compute(subject)
    assert (shown.count, shown.neural, shown.probability, shown.bytes) == (2, False, 0.5, 2 * 40 * 3 * 24 * 24)
    for image in shown.images:
        row = source.train.names.index(image.name)
        assert np.array_equal(image.pixels, source.train.pixels[row])
        assert np.array_equal(np.stack(image.copies), copied.train.styles[:, row])
    share = parameters.compute(subject)[0].shares["another texture"]
    assert abs(share - 0.5) < 0.03
    assert styles.compute(made(source)) is None


def test_views_of_files_are_cut_from_them(folder: Path) -> None:
    store, files = views.compute(opened(folder)), views.compute(opened(folder, decode="always"))
    for one, other in zip(store, files, strict=True):
        assert one.name == other.name
        for a, b in zip(one.draws, other.draws, strict=True):
            assert [v.params for v in a.views] == [v.params for v in b.views]
            assert (
                np.abs(a.views[0].pixels.astype(float) - b.views[0].pixels).mean() < 25
            )  # of coarse noise, squeezed before


def test_the_seed_decides(source: Source) -> None:
    same, again, other = (views.compute(made(source, seed=seed)) for seed in (0, 0, 1))
    assert [i.name for i in same] == [i.name for i in again] != [i.name for i in other]
    assert np.array_equal(same[0].draws[2].views[1].pixels, again[0].draws[2].views[1].pixels)


def test_slivers_are_shown_squeezed(source: Source) -> None:
    sizes = torch.tensor([[1, 5000]]).repeat(40, 1)
    image = views.compute(made(replace(source, train=replace(source.train, sizes=sizes))))[0]
    assert (image.height, image.width) == (1, 5000)
    assert image.draws[0].width / image.draws[0].height == pytest.approx(2.5)


def test_parameters_are_distributed_as_the_recipe_says(source: Source) -> None:
    asked = Views(size=16, crop=(0.3, 0.9), jitter=(0.2, 0.6, 1.5, 0.1), gray=0.3, blur=0.25, flip=0.1)
    (kind,) = parameters.compute(made(source, simclr(**SMALL, views=asked)))
    assert (kind.names, kind.size) == (("query", "key"), 16)
    assert kind.shares == pytest.approx(
        {"mirrored": 0.1, "jittered": 0.8, "gray": 0.3, "blurred": 0.25, "turned": 0, "another texture": 0}, abs=0.03
    )
    area = kind.numbers["crop area"]
    assert len(area) == 2 * parameters.DRAWS
    assert area.min() > 0.25
    assert area.max() < 0.95
    for name, low, high in (
        ("brightness", 0.8, 1.2),
        ("contrast", 0.4, 1.6),
        ("saturation", 0, 2.5),
        ("hue", -0.1, 0.1),
    ):
        numbers = kind.numbers[name]
        assert len(numbers) == round(kind.shares["jittered"] * len(area))
        assert (numbers.min(), numbers.max()) == pytest.approx((low, high), abs=0.02)
        assert numbers.mean() == pytest.approx((low + high) / 2, abs=0.05)
    assert (kind.numbers["blur"] > 0).all()
    assert kind.centres.sum() == pytest.approx(1)
    row, _ = np.indices(kind.centres.shape)
    assert (kind.centres * row).sum() == pytest.approx(11.5, abs=0.3)
    assert kind.operations == {}


def test_aspect_is_that_of_the_originals_pixels(source: Source) -> None:
    sizes = torch.tensor([[40, 80]]).repeat(40, 1)
    (kind,) = parameters.compute(made(replace(source, train=replace(source.train, sizes=sizes))))
    aspects = np.log(kind.numbers["crop aspect"])
    assert np.abs(aspects).max() < np.log(4 / 3) + 0.08  # whole pixels
    assert aspects.mean() == pytest.approx(0, abs=0.1)


def test_views_of_each_size_are_a_kind_and_operations_are_named(source: Source) -> None:
    asked = Views(size=16, locals=3, local_size=8, randaugment=2)
    large, small = parameters.compute(made(source, simclr(**SMALL, views=asked)))
    assert (large.size, small.size, small.names) == (16, 8, ("local_1", "local_2", "local_3"))
    assert small.numbers["crop area"].max() < 0.2 < large.numbers["crop area"].mean()
    assert large.operations["shear x"] == pytest.approx(1 / 15, abs=0.04)
    assert "identity" not in large.operations


def naive_overlap(a: list[float], b: list[float]) -> float:
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, across) * max(0.0, down)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def shown_of_box(crop: list[float], box: list[float]) -> float:
    across = min(crop[0] + crop[2], box[2]) - max(crop[0], box[0])
    down = min(crop[1] + crop[3], box[3]) - max(crop[1], box[1])
    return max(0.0, across) * max(0.0, down) / ((box[2] - box[0]) * (box[3] - box[1]))


def test_overlap_and_misses_equal_a_naive_count(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "PAIRS", 400)
    result = overlap.compute(subject)
    assert [way.name for way in result.ways] == ["Random crop", "Localised only", "ContrastiveCrop, \u03b1 = 0.1"]
    assert [way.own for way in result.ways] == [True, False, False]
    generator = subject.generator()
    index = subject.some(400, generator)
    drawn = subject.drawn(index, generator)
    query, key = (drawn[name].crop.double().tolist() for name in ("query", "key"))
    expected = np.array([naive_overlap(q, k) for q, k in zip(query, key, strict=True)])
    own = result.own
    assert own.overlap == pytest.approx(expected, abs=1e-5)
    assert own.apart == pytest.approx((expected < 1e-7).mean())
    assert own.nearly_same == (expected > overlap.NEARLY).mean()
    boxes = subject.images.boxes[index].double().tolist()
    for share in overlap.SHARES:
        missed = [
            min(shown_of_box(q, box), shown_of_box(k, box)) <= share + 1e-5
            for q, k, box in zip(query, key, boxes, strict=True)
        ]
        assert own.missed[share] == pytest.approx(np.mean(missed), abs=1e-9)
    assert own.missed[0.5] > own.missed[0.0]


def test_ways_differ_in_place_alone_and_boxes_help(source: Source) -> None:
    small = torch.tensor([0.1, 0.1, 0.25, 0.25]).repeat(40, 1)
    corner = replace(source, train=replace(source.train, boxes=small))
    anywhere, localised, full = overlap.compute(made(corner)).ways
    assert anywhere.missed[0.0] > 2 * localised.missed[0.0]
    assert localised.overlap.mean() > anywhere.overlap.mean()
    assert full.nearly_same <= localised.nearly_same


@pytest.mark.parametrize(
    ("crops", "own", "alpha"),
    [
        (ContrastiveCrop(), 0, 0.1),
        (ContrastiveCrop(boxes="found"), 0, 0.1),
        (ContrastiveCrop(boxes="known", alpha=0.7), 2, 0.7),
        (ContrastiveCrop(boxes="whole", alpha=1.0), 1, 1.0),
        (ContrastiveCrop(boxes="central"), 2, 0.1),
    ],
)
def test_the_way_that_the_training_begins_with_is_known(
    source: Source, crops: ContrastiveCrop, own: int, alpha: float
) -> None:
    result = overlap.compute(made(source, simclr(**SMALL, views=Views(size=16), crops=crops)))
    assert [way.own for way in result.ways].index(True) == own
    assert result.alpha == alpha


def test_without_boxes_there_is_one_way_and_nothing_to_miss(source: Source) -> None:
    subject = made(replace(source, train=replace(source.train, boxes=None)))
    (way,) = overlap.compute(subject).ways
    assert way.missed == {}
    assert overlap.fallen(subject, 0.1) is None


def test_a_method_of_one_view_is_judged_by_two_of_its_draws(source: Source) -> None:
    way = overlap.compute(made(source, instdisc(**SMALL, views=Views(size=16)))).own
    assert 0.2 < way.overlap.mean() < 0.8


def test_crops_fall_about_the_boxes_that_are_known(subject: Subject) -> None:
    fallen = overlap.fallen(subject, 0.1)
    assert fallen is not None
    assert len(fallen.ways) == 3
    assert np.array_equal(fallen.boxes, subject.images.boxes[list(fallen.examples.index)])


def test_copies_are_those_that_are_found(source: Source) -> None:
    train, test = source.train, source.test
    pixels = train.pixels.clone()
    pixels[[5, 9]] = train.pixels[2]
    subject = made(replace(source, train=replace(train, pixels=pixels)))
    heard: list[tuple[int, int]] = []
    result = copies.compute(subject, lambda done, total: heard.append((done, total)))
    assert result.found == find_duplicates(pixels, test.pixels)
    (group,) = result.groups
    assert (group.count, group.exact) == (3, True)
    assert [p.name for p in group.pictures] == [train.names[i] for i in (2, 5, 9)]
    assert [[p.name for p in leak.pictures] for leak in result.leaks] == [[train.names[i]] * 2 for i in (3, 7)]
    assert heard[-1] == (42, 42)
    assert "2 of the 40 training images" in result.summary


def test_looking_for_copies_leaves_the_threads_as_they_were(source: Source) -> None:
    before, during = torch.get_num_threads(), set()
    torch.set_num_threads(before + 1)
    try:
        copies.compute(made(source), lambda done, total: during.add(torch.get_num_threads()))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert during == {1}


def test_what_stands_in_for_a_lost_file_is_no_copy(folder: Path) -> None:
    subject = opened(folder, decode="always")
    (folder / "cats" / "05.jpg").write_bytes(b"gone")
    result = copies.compute(subject)
    assert [name for name, _ in result.unreadable] == ["cats/05.jpg"]
    (group,) = result.groups
    assert {p.name[:8] for p in group.pictures} == {"dogs/00.", "dogs/<im"}
