"""The rotation task: every image in four turns, told from features that hold the turn, or do not."""

from dataclasses import replace

import pytest
import torch

from pairlens.data.images import ImageSet
from pairlens.evaluate import rotation
from pairlens.evaluate.features import central_crop, plain_views
from pairlens.evaluate.parts import Part, whole
from pairlens.evaluate.protocol import Sight
from pairlens.evaluate.rotation import tell_rotation, turned_views

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])
SIGHT = Sight(16, MEAN, STD)


def images(count, seed=0, size=16, wide=16, upright=True):
    """Noise, brighter above than below."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 128, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    if upright:
        pixels[:, :, : size // 2] += 100
    return ImageSet(pixels, torch.tensor([size, wide]).repeat(count, 1), [str(i) for i in range(count)])


@pytest.mark.parametrize(("size", "wide"), [(16, 16), (40, 30), (96, 128)])
def test_views_are_the_plain_view_turned(size, wide):
    some = images(7, size=size, wide=wide)
    index = torch.tensor([5, 0, 3, 6, 1])
    views = torch.cat(list(turned_views(Part(some, index), SIGHT, batch=2)))
    plain = torch.cat(list(plain_views(some, 16, MEAN, STD, index=index)))
    assert views.shape == (20, 3, 16, 16)
    for image in range(5):
        for turn in range(4):
            torch.testing.assert_close(views[4 * image + turn], torch.rot90(plain[image], turn, (1, 2)))
    assert torch.equal(central_crop(torch.tensor([[size, wide]]))[0, 2:] < 1, torch.tensor([size > 64] * 2))


def test_what_sees_the_turn_tells_it_and_what_does_not_guesses():
    train, test = whole(images(60)), whole(images(40, seed=1))

    def seeing(views):
        return torch.stack([views.mean((1, 2)), views.mean((1, 3))], 1).flatten(1)

    def blind(views):
        return torch.stack([views.mean((1, 2, 3)), views.std((1, 2, 3)), views.amax((1, 2, 3))], 1)

    told = tell_rotation(seeing, train, test, SIGHT, seed=0)
    assert told.value == 1.0
    assert told.chance == 0.25
    assert told.confusion is not None
    assert torch.equal(told.confusion, 40 * torch.eye(4).long())
    guessed = tell_rotation(blind, train, test, SIGHT, seed=0)
    assert guessed.value == pytest.approx(0.25, abs=0.01)  # all turns of an image have the same features
    assert guessed.error < 0.01


def test_half_turns_that_look_alike_are_confused():
    """Brightness along the rows alone, whichever end is brighter: upright and upside down look alike."""
    train, test = whole(images(60)), whole(images(40, seed=1))

    def axis(views):
        return torch.stack([views.mean((1, 3)).std(1), views.mean((1, 2)).std(1)], 1)

    told = tell_rotation(axis, train, test, SIGHT, seed=0)
    assert told.value == pytest.approx(0.5, abs=0.1)
    assert told.confusion is not None
    assert told.confusion[0, [1, 3]].sum() == told.confusion[1, [0, 2]].sum() == 0


def test_few_images_are_chosen_by_the_seed_and_all_views_are_told_of(monkeypatch):
    train, test = whole(images(30)), whole(images(9, seed=1))
    seen, told = [], []

    def encode(views):
        return views.mean((2, 3))

    class Spy:
        def __call__(self, part, sight, batch):
            seen.append(part.index.tolist())
            return turned_views(part, sight, batch)

    monkeypatch.setattr(rotation, "turned_views", Spy())
    sight = replace(SIGHT, progress=told.append)
    for seed in (0, 0, 1):
        tell_rotation(encode, train, test, sight, seed=seed, images=12, batch=5)
    assert [len(index) for index in seen] == [12, 9] * 3
    assert all(len(set(index)) == len(index) for index in seen)
    assert seen[0] == seen[2] != seen[4]
    assert sum(told) == 3 * 4 * (12 + 9)
