"""Factors: which there are, and that features told to hold one, or not to, are found out."""

import math

import pytest
import torch

from pairlens.data.images import ImageSet
from pairlens.data.scenes import make_scenes
from pairlens.evaluate.factors import find_factors, tell_factor
from pairlens.evaluate.linear import held_out, linear_solver
from pairlens.evaluate.parts import Part, whole
from pairlens.evaluate.told import tell_class, tell_numbers


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def made(count, factors, labels=None, boxes=None):
    return ImageSet(
        torch.zeros(count, 3, 8, 8, dtype=torch.uint8),
        torch.full((count, 2), 8),
        [str(i) for i in range(count)],
        labels=labels,
        classes=() if labels is None else ("a", "b", "c"),
        factors=factors,
        boxes=boxes,
    )


def drawn(count, seed):
    """Everything that is known of scenes, without their pixels."""
    uniform = torch.rand(8, count, generator=generator(seed))
    corner = uniform[:2].T * 0.5
    return (
        {
            "hue": uniform[2],
            "rotation": 40 * uniform[3] - 20,
            "texture": (5 * uniform[4]).long(),
            "original": torch.arange(count) + 10_000 * seed,
        },
        (3 * uniform[5]).long(),
        torch.cat([corner, corner + 0.1 + 0.4 * uniform[6:8].T], 1),
    )


def parts(train=600, test=300):
    return [whole(made(count, *drawn(count, seed))) for count, seed in ((train, 1), (test, 2))]


def test_every_factor_of_scenes_is_asked_for_as_what_it_is():
    source = make_scenes(train=300, test=120)
    assert source.test is not None
    factors, skipped = find_factors(whole(source.train), whole(source.test))
    asked = {factor.name: factor for factor in factors}
    kinds = {"class": "class", "hue": "circular", "rotation": "number", "texture": "class"}
    assert {name: factor.kind for name, factor in asked.items()} == kinds | {"position": "number", "size": "number"}
    assert (asked["class"].values, asked["texture"].values) == (10, 5)
    assert set(skipped) == {"original"}
    assert "name images rather than a property" in skipped["original"]
    hue = source.test.factors["hue"]
    expected = [[math.cos(2 * math.pi * h), math.sin(2 * math.pi * h)] for h in hue.tolist()]
    torch.testing.assert_close(asked["hue"].test, torch.tensor(expected), atol=1e-6, rtol=0)
    for i, (left, top, right, bottom) in enumerate(source.test.boxes.tolist()):
        centre = [(left + right) / 2, (top + bottom) / 2]
        assert asked["position"].test[i].tolist() == pytest.approx(centre, abs=1e-6)
        assert asked["size"].test[i].item() == pytest.approx(math.sqrt((right - left) * (bottom - top)), abs=1e-6)


def test_only_the_parts_images_count_and_values_need_not_count_from_zero():
    images = made(6, {"kind": torch.tensor([7, 3, 3, 9, 7, 3]), "flag": torch.tensor([True, False] * 3)})
    factors, skipped = find_factors(Part(images, torch.tensor([0, 1, 2, 5])), Part(images, torch.tensor([4, 1])))
    kind, flag = factors
    assert (kind.values, kind.train.tolist(), kind.test.tolist()) == (2, [1, 0, 0, 0], [1, 0])
    assert (flag.values, flag.train.tolist()) == (2, [1, 0, 1, 0])
    assert skipped == {}


def test_what_cannot_be_asked_for_says_why():
    known = {
        "same": torch.zeros(4).long(),
        "flat": torch.ones(4),
        "new": torch.tensor([0, 1, 0, 1]),
        "hole": torch.tensor([0.0, 1.0, 2.0, torch.nan]),
        "mine": torch.rand(4),
    }
    other = {"same": torch.zeros(2).long(), "flat": torch.ones(2), "new": torch.tensor([0, 2]), "hole": torch.ones(2)}
    factors, skipped = find_factors(whole(made(4, known)), whole(made(2, other)))
    assert factors == []
    assert skipped == {
        "same": "it is the same in all training images",
        "flat": "it is the same in all training images or in all test images",
        "new": "1 test images have values that no training image has",
        "hole": "some of its values are not finite",
        "mine": "the test images do not have it",
    }
    assert find_factors(whole(made(4, {})), whole(made(2, {}))) == ([], {})


def held_by(factor, which):
    """Features that hold a factor linearly, among others."""
    values = getattr(factor, which)
    return torch.nn.functional.one_hot(values, factor.values).float() if factor.kind == "class" else values


@pytest.mark.parametrize("name", ["class", "hue", "rotation", "texture", "position", "size"])
def test_features_that_hold_a_factor_tell_it_and_others_do_not(name):
    train, test = parts()
    factor = next(factor for factor in find_factors(train, test)[0] if factor.name == name)
    noise = [torch.randn(len(part), 10, generator=generator(seed)) for part, seed in ((train, 5), (test, 6))]
    mixing = torch.randn(10 + held_by(factor, "test").shape[1], 12, generator=generator(7))
    with_it = [
        torch.cat([n, held_by(factor, which)], 1) @ mixing for n, which in zip(noise, ("train", "test"), strict=True)
    ]
    told = tell_factor(factor, *with_it, generator())
    blind = tell_factor(factor, *noise, generator())
    assert told.value > 0.97
    assert abs(blind.value - blind.chance) < max(0.05, 4 * blind.error)
    assert told.measure == blind.measure == ("accuracy" if factor.kind == "class" else "r2")


def test_a_hue_goes_round():
    """Hues a hair either side of 0 are neighbours: an angle that is regressed as such would tear them apart."""
    count = 400
    hue = (torch.rand(count, generator=generator(1)) * 0.2 - 0.1) % 1
    feature = (((hue + 0.5) % 1) - 0.5)[:, None]  # -.1 to .1, linear in the hue's angle
    images = made(count, {"hue": hue, "torn": hue})
    part = whole(images)
    circular, torn = find_factors(part, part)[0]
    assert tell_factor(circular, feature, feature, generator()).value > 0.95
    assert tell_factor(torn, feature, feature, generator()).value < 0.9


def test_r2_and_its_error_by_hand():
    fitted, tested = (torch.randn(count, 4, generator=generator(count)) for count in (200, 150))
    weight = torch.randn(4, 2, generator=generator(1))
    known, asked = (x @ weight + 5 * torch.randn(len(x), 2, generator=generator(len(x) + 1)) for x in (fitted, tested))
    from pairlens.evaluate.ridge import ridge

    said = ridge(fitted, known, generator=generator())(tested).tolist()
    told = tell_numbers(fitted, known, tested, asked, generator=generator())

    def r2(rows):
        mean = [sum(asked[i, k].item() for i in rows) / len(rows) for k in range(2)]
        wrong = sum((said[i][k] - asked[i, k].item()) ** 2 for i in rows for k in range(2))
        return 1 - wrong / sum((asked[i, k].item() - mean[k]) ** 2 for i in rows for k in range(2))

    assert told.value == pytest.approx(r2(range(150)), abs=1e-5)
    again = [r2(torch.randint(150, (150,), generator=generator(s)).tolist()) for s in range(300)]
    assert told.error == pytest.approx(torch.tensor(again).std().item(), rel=0.2)  # bootstrap over images
    assert told.chance == 0


def test_accuracy_chance_and_error_by_hand():
    known = torch.tensor([0] * 30 + [1] * 50 + [2] * 20)
    asked = torch.tensor([0] * 10 + [1] * 20 + [2] * 10)
    told = tell_class(
        torch.nn.functional.one_hot(known, 3).float(),
        known,
        torch.nn.functional.one_hot(asked.roll(4), 3).float(),  # the first 4 of each class are taken for the one before
        asked,
        classes=3,
        generator=generator(),
    )
    assert told.value == pytest.approx(28 / 40)
    assert told.chance == pytest.approx(0.5)
    assert told.error == pytest.approx(math.sqrt(0.7 * 0.3 / 39))
    assert told.confusion is not None
    assert told.confusion.diagonal().tolist() == [6, 16, 6]


def test_all_views_of_an_image_are_held_out_together():
    fit, held = held_out(200, generator(3), views=4)
    assert sorted([*fit.tolist(), *held.tolist()]) == list(range(200))
    assert {row // 4 for row in fit.tolist()} & {row // 4 for row in held.tolist()} == set()
    assert len(held) == 20
    single = held_out(50, generator(3))
    assert held.tolist() == [4 * row + view for row in single[1].tolist() for view in range(4)]


def test_a_readout_that_remembers_images_is_found_out():
    """The views of an image share a code and a class. Held out view by view, remembering the codes would seem wise."""
    images, views = 80, 4
    labels = torch.randint(3, (images,), generator=generator(1)).repeat_interleave(views)
    codes = torch.eye(images).repeat_interleave(views, 0)

    def chosen(views):
        return linear_solver(codes, labels, classes=3, generator=generator(), views=views).strength

    assert chosen(views) >= 0.1
    assert chosen(1) < 1e-2
