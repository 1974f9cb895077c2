"""What a set of images says of its pixels."""

from dataclasses import replace

import pytest
import torch

from pairlens import words
from pairlens.data import images as images_module
from pairlens.data.images import ImageSet


def image_set(count=150, side=9):
    pixels = torch.randint(256, (count, 3, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    pixels[:, 1] //= 3
    pixels[:, 2] = 77
    return ImageSet(pixels, torch.full((count, 2), side), [str(i) for i in range(count)])


@pytest.mark.parametrize("limit", [4096, 70])
def test_mean_and_deviation_are_the_channels(limit):
    images = image_set()
    chosen = images.pixels if limit > 150 else images.pixels[torch.linspace(0, 149, 70).long()]
    mean, std = images.mean_std(limit)
    values = chosen.double().transpose(0, 1).flatten(1) / 255
    torch.testing.assert_close(mean, values.mean(1).float(), rtol=1e-6, atol=0)
    torch.testing.assert_close(std[:2], values[:2].std(1).float(), rtol=1e-6, atol=0)
    assert std[2] == pytest.approx(1e-3)


def test_mean_and_deviation_do_not_depend_on_the_chunks(monkeypatch):
    first = image_set().mean_std()
    monkeypatch.setattr(images_module, "CHUNK", 7)
    assert all(torch.equal(a, b) for a, b in zip(first, image_set().mean_std(), strict=True))


def test_few_images_are_copied_at_a_time(monkeypatch):
    """Photographs for views of 224 px are stored about 501 px wide: 4 096 of them in float would take 12 GiB."""
    taken = []
    real = images_module._histogram
    monkeypatch.setattr(images_module, "_histogram", lambda pixels: taken.append(pixels.shape) or real(pixels))
    image_set().mean_std()
    assert [shape[0] for shape in taken] == [64, 64, 22]


def test_slow_measuring_is_told(monkeypatch):
    said = []
    image_set().mean_std(say=said.append)
    assert said == []
    monkeypatch.setattr(words, "PATIENCE", 0.0)
    image_set().mean_std(say=said.append)
    assert said == [f"measuring the images' colours: {done} of 150" for done in (0, 64, 128)]


def test_rows_take_their_copies_along():
    images = image_set(6)
    assert images.rows(torch.tensor([4, 1])).styles is None
    styles = torch.stack([images.pixels + 1, images.pixels + 2])
    some = replace(images, styles=styles).rows(torch.tensor([4, 1]))
    assert torch.equal(some.styles, torch.stack([some.pixels + 1, some.pixels + 2]))
