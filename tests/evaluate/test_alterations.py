"""Each alteration changes its own parameter alone, by as much as it says."""

from dataclasses import fields

import pytest
import torch

from pairlens.evaluate.alterations import SIDE, Alteration, alterations, chroma
from pairlens.views.blur import blur_kernel
from pairlens.views.params import GROUPS, ViewParams, fields_of
from pairlens.views.render import render

NAMES = ["brightness", "contrast", "saturation", "hue", "gray", "blur", "rotation", "flip", "scale", "position"]
ALL = {a.name: a for a in alterations(32, copies=3)}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, 32, 32), generator=generator(), dtype=torch.uint8)


def test_texture_is_altered_only_where_there_are_copies() -> None:
    assert [a.name for a in alterations(32)] == NAMES
    assert list(ALL) == [*NAMES, "texture"]
    assert ALL["texture"].strengths == (1.0, 2.0, 3.0)
    assert ALL["texture"].classes == 4


@pytest.mark.parametrize("name", list(ALL))
def test_only_its_own_augmentation_is_changed(name: str) -> None:
    alteration, plain = ALL[name], ViewParams.identity(50)
    drawn = alteration.alter(plain, alteration.draw(50, generator()))
    own = fields_of(alteration.group)
    assert any(not torch.equal(getattr(drawn, f), getattr(plain, f)) for f in own)
    assert all(
        torch.equal(getattr(drawn, f.name), getattr(plain, f.name))
        for f in fields(ViewParams)
        if f.name not in own and f.name != "size"
    )
    assert alteration.group in GROUPS


@pytest.mark.parametrize("name", list(ALL))
def test_the_unaltered_view_is_the_image_itself(name: str, images: torch.Tensor) -> None:
    identity = ViewParams.identity(6)
    plain = render(images, ALL[name].plain(identity), 32)
    if name == "position":  # a smaller crop, which can be moved
        assert ALL[name].plain(identity).crop[0].tolist() == pytest.approx([0.2, 0.2, SIDE, SIDE])
    else:
        torch.testing.assert_close(plain, render(images, identity, 32), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [n for n in ALL if n != "texture"])
def test_every_strength_changes_pictures(name: str, images: torch.Tensor) -> None:
    alteration, identity = ALL[name], ViewParams.identity(6)
    plain = render(images, alteration.plain(identity), 32)
    for strength in alteration.strengths:
        altered = render(images, alteration.alter(identity, alteration.at(strength, 6, generator())), 32)
        assert float((altered - plain).abs().amax((1, 2, 3)).min()) > 0.01


@pytest.mark.parametrize("name", list(ALL))
def test_parameters_are_drawn_by_the_seed_over_the_whole_range(name: str) -> None:
    alteration = ALL[name]
    values = alteration.draw(4000, generator(1))
    assert torch.equal(values, alteration.draw(4000, generator(1)))
    assert not torch.equal(values, alteration.draw(4000, generator(2)))
    if alteration.classes:
        counts = values[:, 0].long().bincount(minlength=alteration.classes) / 4000
        torch.testing.assert_close(counts, torch.full_like(counts, 1 / alteration.classes), atol=0.05, rtol=0)
    else:
        low, high = {
            "brightness": (0.4, 1.6),
            "contrast": (0.4, 1.6),
            "saturation": (0.0, 2.0),
            "hue": (-0.5, 0.5),
            "blur": (0.0, alteration.strengths[-1]),
            "scale": (0.1, 1.0),
            "position": (-0.2, 0.2),
        }[name]
        assert low <= float(values.min()) < low + 0.01 * (high - low) + 1e-6
        assert high - 0.01 * (high - low) - 1e-6 < float(values.max()) <= high


def test_crops_are_where_they_are_said_to_be() -> None:
    seen = torch.tensor([[0.1, 0.2, 0.8, 0.4]])  # of the image: what evaluation looks at
    plain = ViewParams.identity(1)
    plain = type(plain)(**(plain.tensors() | {"crop": seen}))
    scaled = ALL["scale"].alter(plain, torch.tensor([[0.25]])).crop[0].tolist()
    assert scaled == pytest.approx([0.1 + 0.8 / 4, 0.2 + 0.4 / 4, 0.4, 0.2])
    moved = ALL["position"].alter(plain, torch.tensor([[0.2, -0.1]])).crop[0].tolist()
    assert moved == pytest.approx([0.1 + 0.8 * 0.4, 0.2 + 0.4 * 0.1, 0.8 * SIDE, 0.4 * SIDE])
    drawn = ALL["position"].alter(ViewParams.identity(500), ALL["position"].draw(500, generator())).crop
    assert float(drawn[:, :2].min()) >= -1e-6
    assert float((drawn[:, :2] + drawn[:, 2:]).max()) <= 1 + 1e-6


def test_a_strength_of_position_is_a_distance_in_any_direction() -> None:
    values = ALL["position"].at(0.15, 1000, generator())
    torch.testing.assert_close(values.norm(dim=1), torch.full((1000,), 0.15))
    assert values.mean(0).abs().max() < 0.01


@pytest.mark.parametrize("size", [32, 64, 96, 224])
def test_blur_means_as_much_at_every_size(size: int) -> None:
    blur: Alteration = next(a for a in alterations(size) if a.name == "blur")
    assert blur.strengths[-1] == pytest.approx(2 * max(1, blur_kernel(size) // 2 / 3), abs=0.01)


def test_chroma_is_the_mean_colour_beside_gray(images: torch.Tensor) -> None:
    views = images.float() / 255
    for view, found in zip(views.double(), chroma(views), strict=True):
        red, green, blue = (float(sum(channel.flatten().tolist()) / channel.numel()) for channel in view)
        assert found.tolist() == pytest.approx([red - green, blue - (red + green) / 2], abs=1e-5)
    gray = views.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert chroma(gray).abs().max() < 1e-6


def test_a_turn_of_the_hue_hides_the_colour_before_it() -> None:
    """All images are red; what is read off must come from the turn, and does not know the images."""
    red = torch.tensor([200, 40, 40], dtype=torch.uint8).view(1, 3, 1, 1).expand(2000, 3, 8, 8)
    hue = ALL["hue"]
    views = render(red, hue.alter(ViewParams.identity(2000), hue.draw(2000, generator())), 8)
    assert chroma(views).mean(0).abs().max() < 0.03
    assert chroma(views).std(0).min() > 0.1
