"""Feature inversion: what can be inverted is, what cannot is not, and it can be interrupted."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pairlens.errors import InputError
from pairlens.evaluate.inversion import Inverting, Prior, features_of, invert, pixels, typical_distance
from pairlens.evaluate.likeness import psnr

QUICK = Prior(iterations=150, rate=0.02, jitter=0.0)


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Smooth pictures of 16 px: two to invert, and six others."""
    small = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return F.interpolate(small, (16, 16), mode="bilinear")


def pooled(views: Tensor) -> Tensor:
    """Features that hold nearly all of such pictures."""
    return F.avg_pool2d(views, 2).flatten(1)


def constant(views: Tensor) -> Tensor:
    """Features that hold nothing."""
    return torch.ones(len(views), 5) + 0 * views.mean()


def test_features_that_hold_the_image_give_it_back(images: Tensor) -> None:
    found = invert(pooled, images[:2], images[2:], prior=QUICK, seeds=[1, 2])
    assert found.images.shape == (2, 3, 16, 16)
    assert found.error.max() < 0.02
    assert psnr(found.images, images[:2]).min() > 20
    assert found.curve.shape == (2, 150)
    assert found.curve[:, 0].min() > 10 * found.curve[:, -1].max()


def test_features_that_hold_nothing_give_nothing_back(images: Tensor) -> None:
    found = invert(constant, images[:2], images[2:], prior=replace(QUICK, iterations=10), seeds=[1, 2])
    assert found.error.max() == 0
    begun = invert(constant, images[:2], images[2:], prior=replace(QUICK, iterations=1), seeds=[1, 2])
    assert torch.equal(found.images, begun.images)
    assert psnr(found.images, images[:2]).max() < 15


def test_the_objective_is_the_squared_distance_in_units_of_that_of_others(images: Tensor) -> None:
    inverting = Inverting(pooled, images[:2], typical_distance(pooled(images[:2]), pooled(images[2:])), QUICK, [1, 2])
    with torch.no_grad():
        made = inverting.networks()
    inverting.step()
    for i in range(2):
        gap = ((pooled(made[i : i + 1]) - pooled(images[i : i + 1])).double() ** 2).sum().item()
        others = [((pooled(images[i : i + 1]) - pooled(o[None])).double() ** 2).sum().item() for o in images[2:]]
        assert inverting.curve[i, 0].item() == pytest.approx(gap / (sum(others) / 6), rel=1e-4)


@pytest.mark.parametrize("jitter", [0.0, 0.03])
def test_an_interrupted_inversion_goes_on_bit_for_bit(images: Tensor, jitter: float) -> None:
    prior = Prior(iterations=8, jitter=jitter)
    scale = torch.ones(2)
    whole, broken, resumed = (Inverting(pooled, images[:2], scale, prior, [7, 8]) for _ in range(3))
    for _ in range(8):
        whole.step()
    for _ in range(3):
        broken.step()
    state = {name: value.clone() for name, value in broken.state().items()}
    resumed.restore(state)
    for _ in range(5):
        resumed.step()
    assert torch.equal(whole.result().images, resumed.result().images)
    assert torch.equal(whole.result().curve, resumed.result().curve)
    fresh = Inverting(pooled, images[:2], scale, prior, [7, 8])
    fresh.restore(Inverting(pooled, images[:2], scale, prior, [7, 8]).state())
    assert fresh.done == 0


def test_seeds_decide(images: Tensor) -> None:
    def made(*seeds: int, jitter: float = 0.03) -> Tensor:
        return invert(pixels, images[:1], images[2:], prior=Prior(iterations=3, jitter=jitter), seeds=seeds).images

    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))
    assert not torch.equal(made(1), made(1, jitter=0.0))


def test_features_are_of_normalised_views(images: Tensor) -> None:
    encoder = nn.Sequential(nn.Flatten())
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.6, 0.7])
    head = nn.Linear(768, 4)
    normalised = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    torch.testing.assert_close(features_of(encoder, None, mean, std)(images), normalised.flatten(1))
    torch.testing.assert_close(features_of(encoder, head, mean, std)(images), head(normalised.flatten(1)))


def test_what_cannot_be_inverted_is_told(images: Tensor) -> None:
    with pytest.raises(InputError, match="not finite"):
        invert(lambda views: views.flatten(1) / 0, images[:1], images[2:], prior=QUICK, seeds=[1])
    for wrong in ({"iterations": 0}, {"rate": 0.0}, {"jitter": -1.0}):
        with pytest.raises(InputError, match="fit nothing"):
            Prior(**wrong)
