"""Invariance and what can be read off: against naive loops, and of encoders whose answers are known by construction."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.evaluate.alterations import Alteration, alterations
from pairlens.evaluate.invariance import FOLDS, Traces, pixels, read_off, similar, trace, views_of
from pairlens.evaluate.parts import Part, whole
from pairlens.evaluate.protocol import Sight
from pairlens.views.color import luma

SIZE = 16
ALL = {a.name: a for a in alterations(SIZE, copies=2)}
SIGHT = Sight(SIZE, torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.25]))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images_of(pixels: Tensor) -> ImageSet:
    count = len(pixels)
    return ImageSet(pixels, torch.full((count, 2), pixels.shape[-1]), [f"{i}" for i in range(count)])


@pytest.fixture(scope="module")
def part() -> Part:
    """Colourful noise, a little smooth; every image is brighter at the top left, and reddest at the right."""
    coarse = torch.rand(160, 3, 5, 5, generator=generator(3))
    smooth = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")
    ramp = torch.linspace(0, 1, SIZE)
    smooth[:, 0] = 0.5 * smooth[:, 0] + 0.5 * ramp
    smooth[:, 1] = 0.5 * smooth[:, 1] + 0.5 * (1 - ramp[:, None])
    smooth[:, :, : SIZE // 2, : SIZE // 2] *= 0.3
    made = images_of(smooth.mul(200).add(20).byte())
    styles = torch.stack([made.pixels // 2, 255 - made.pixels])
    return whole(replace(made, styles=styles))


def shown(views: Tensor) -> Tensor:
    """Views as they were before normalisation."""
    return views * SIGHT.std[:, None, None] + SIGHT.mean[:, None, None]


def look(part: Part, name: str, encoder: Callable[[Tensor], Tensor], seed: int = 0) -> Traces:
    return trace({"it": encoder}, part, ALL[name], SIGHT, seed=seed, curve=64)["it"]


def naive(plain: np.ndarray, altered: np.ndarray) -> tuple[float, float, float]:
    middle = plain.sum(0) / len(plain)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a - middle, b - middle
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    count = len(plain)
    own = sum(cosine(plain[i], altered[i]) for i in range(count)) / count
    others = [cosine(altered[i], plain[j]) for i in range(count) for j in range(count) if i != j]
    other = sum(others) / len(others)
    return own, other, (own - other) / (1 - other)


def test_similarity_is_that_of_naive_loops() -> None:
    plain = torch.randn(15, 7, generator=generator(), dtype=torch.float64) + 3
    altered = plain + 0.8 * torch.randn(15, 7, generator=generator(1), dtype=torch.float64) + 0.5
    found = similar(plain.float(), altered.float())
    assert (found.own.value, found.other.value, found.invariance.value) == pytest.approx(
        naive(plain.float().double().numpy(), altered.float().double().numpy()), abs=1e-6
    )


def test_standard_errors_are_those_of_the_jackknife() -> None:
    plain = torch.randn(120, 6, generator=generator())
    altered = 0.7 * plain + 0.6 * torch.randn(120, 6, generator=generator(1)) + torch.tensor([3.0, 0, 0, 0, 0, 0])
    found = similar(plain, altered)
    middle = plain.mean(0)  # the centre is held: its own uncertainty is not counted
    left = []
    for i in range(120):
        keep = [j for j in range(120) if j != i]
        a, b = (torch.nn.functional.normalize((x[keep] - middle).double(), dim=1) for x in (plain, altered))
        cross = b @ a.T
        own = float(cross.diag().mean())
        other = float((cross.sum() - cross.diag().sum()) / (119 * 118))
        left.append((own, other, (own - other) / (1 - other)))
    jackknife = np.sqrt(119 / 120 * ((np.array(left) - np.mean(left, 0)) ** 2).sum(0))
    errors = [found.own.error, found.other.error, found.invariance.error]
    np.testing.assert_allclose(errors, jackknife, rtol=0.05)


def test_nothing_changed_is_one_and_another_image_is_nought() -> None:
    features = torch.randn(200, 12, generator=generator())
    assert similar(features, features).invariance.value == pytest.approx(1)
    assert similar(features, features.roll(1, 0)).invariance.value == pytest.approx(0, abs=0.05)


def test_a_shift_common_to_all_takes_images_away_from_themselves() -> None:
    """And not nearer to others, as it would if altered images were compared with altered ones."""
    plain = torch.randn(200, 8, generator=generator())
    found = similar(plain, plain + 4 * torch.eye(8)[0])
    assert found.own.value < 0.7
    assert abs(found.other.value) < 0.05
    assert found.invariance.value < 0.7


def sorted_pixels(views: Tensor) -> Tensor:
    """Knows which values there are, and not where."""
    return luma(shown(views)).flatten(1).sort(1).values[:, ::4]


def gray(views: Tensor) -> Tensor:
    """Knows the gray picture only."""
    return torch.nn.functional.avg_pool2d(luma(shown(views)), 4).flatten(1)


@pytest.mark.parametrize(("name", "encoder"), [("gray", gray), ("rotation", sorted_pixels), ("flip", sorted_pixels)])
def test_an_encoder_that_cannot_see_it_is_blind(part: Part, name: str, encoder: Callable[[Tensor], Tensor]) -> None:
    found = look(part, name, encoder)
    assert found.invariance.value == pytest.approx(1, abs=1e-4)
    assert abs(found.told.value) < 3 * found.told.error + 0.05
    assert all(one.own.value == pytest.approx(1, abs=1e-4) for one in found.curve)


def mean_colour(views: Tensor) -> Tensor:
    return shown(views).mean((2, 3))


def quarters(views: Tensor) -> Tensor:
    """How bright each quarter is beside the whole."""
    means = torch.nn.functional.adaptive_avg_pool2d(luma(shown(views)), 2).flatten(1)
    return means / means.sum(1, keepdim=True)


def strength_of_colour(views: Tensor) -> Tensor:
    view = shown(views)
    return torch.stack([(view.amax(1) - view.amin(1)).mean((1, 2)), view.mean((1, 2, 3))], 1)


@pytest.mark.parametrize(
    ("name", "encoder", "least"),
    [
        ("hue", mean_colour, 0.99),
        ("rotation", quarters, 0.99),
        ("flip", quarters, 0.95),
        ("gray", strength_of_colour, 0.99),
        ("texture", lambda views: shown(views).mean((2, 3)), 0.9),
    ],
)
def test_an_encoder_that_holds_it_is_read_off(
    part: Part, name: str, encoder: Callable[[Tensor], Tensor], least: float
) -> None:
    found = look(part, name, encoder)
    assert found.told.value > least
    assert found.told.error < 0.05


def test_where_a_crop_lies_is_read_off() -> None:
    """Of pictures that get redder to the right and greener downwards."""
    ramp = torch.linspace(20, 220, SIZE)
    ramps = torch.stack([ramp.expand(SIZE, SIZE), ramp[:, None].expand(SIZE, SIZE), torch.full((SIZE, SIZE), 90.0)])
    noise = torch.rand(100, 3, SIZE, SIZE, generator=generator()) * 10
    found = look(whole(images_of((ramps + noise).byte())), "position", mean_colour)
    assert found.told.value > 0.99


def test_the_parameter_of_an_image_cannot_be_learned_by_heart(part: Part) -> None:
    """An encoder that knows which image it is, and nothing else, tells nothing of images it was not fitted with."""
    names = torch.randn(160, 40, generator=generator())
    keys = part.images.pixels.float().mean((2, 3))

    def who(views: Tensor) -> Tensor:
        return names[torch.cdist(shown(views).mean((2, 3)) * 255, keys).argmin(1)]

    found = look(part, "rotation", who)
    assert found.told.value < 2 * found.told.error + 0.05
    assert found.invariance.value > 0.95


def test_pictures_without_colour_cannot_be_asked_for_it() -> None:
    plain = torch.randint(20, 220, (64, 1, SIZE, SIZE), generator=generator(), dtype=torch.uint8).expand(-1, 3, -1, -1)
    found = look(whole(images_of(plain.contiguous())), "hue", pixels)
    assert math.isnan(found.told.value)
    assert found.invariance.value == pytest.approx(1, abs=1e-3)


def test_every_image_is_told_by_a_readout_that_it_was_not_fitted_with(monkeypatch: pytest.MonkeyPatch) -> None:
    import pairlens.evaluate.invariance as module

    asked: list[Tensor] = []
    tell = module.tell_numbers

    def watched(fitted: Tensor, known: Tensor, tested: Tensor, asks: Tensor, **given: torch.Generator) -> object:
        assert not set(fitted[:, 0].tolist()) & set(tested[:, 0].tolist())
        asked.append(tested[:, 0])
        return tell(fitted, known, tested, asks, **given)

    monkeypatch.setattr(module, "tell_numbers", watched)
    features = torch.arange(50.0)[:, None].repeat(1, 2)
    told = read_off(features, torch.arange(50.0)[:, None], 0, seed=0)
    assert len(asked) == FOLDS
    assert sorted(torch.cat(asked).tolist()) == list(range(50))
    assert told.value > 0.9


def test_chance_is_nought() -> None:
    features = torch.randn(2000, 3, generator=generator())
    for classes in (2, 4):
        values = torch.randint(classes, (2000, 1), generator=generator(1)).float()
        told = read_off(features, values, classes, seed=0)
        assert abs(told.value) < 3 * told.error
        assert told.error == pytest.approx(
            math.sqrt((1 / classes) * (1 - 1 / classes) / 2000) / (1 - 1 / classes), rel=0.1
        )


def test_readers_see_the_same_views_and_the_seed_decides(part: Part) -> None:
    seen: list[Tensor] = []

    def watching(views: Tensor) -> Tensor:
        seen.append(views.clone())
        return pixels(views)

    counted: list[int] = []
    sight = replace(SIGHT, progress=counted.append)
    first = trace({"a": pixels, "b": watching}, part, ALL["position"], sight, seed=1, curve=32)
    assert first["a"] == first["b"]
    assert sum(counted) == sum(map(len, seen)) == views_of(ALL["position"], len(part), 32)
    assert trace({"a": pixels}, part, ALL["position"], SIGHT, seed=1, curve=32)["a"] == first["a"]
    assert trace({"a": pixels}, part, ALL["position"], SIGHT, seed=2, curve=32)["a"] != first["a"]


def test_the_mean_over_strengths_and_its_error(part: Part) -> None:
    alteration: Alteration = ALL["brightness"]
    found = look(part, "brightness", pixels)
    levels = [one.invariance.value for one in found.curve]
    assert found.invariance.value == pytest.approx(np.mean(levels))
    assert [one.strength for one in found.curve] == list(alteration.strengths)
    assert found.invariance.error <= np.mean([one.invariance.error for one in found.curve]) * 1.001


def test_raw_pixels_are_averaged() -> None:
    views = torch.rand(2, 3, 32, 32, generator=generator())
    expected = views.view(2, 3, 16, 2, 16, 2).mean((3, 5)).flatten(1)
    torch.testing.assert_close(pixels(views), expected)
    assert pixels(views[:, :, :8, :8]).shape == (2, 192)
