"""U-Nets side by side are U-Nets alone."""

import pytest
import torch
import torch.nn.functional as F

from pairlens.errors import InputError
from pairlens.nets.unet import INPUTS, Convs, UNets


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("stride", [1, 2])
def test_grouped_convolutions_are_those_of_each_network(stride: int) -> None:
    convs = Convs(5, 3, 3, generators(1, 2, 3), stride).double()
    x = torch.randn(3, 5, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    each = [F.conv2d(x[i : i + 1], convs.weight[i], stride=stride, padding=1) for i in range(3)]
    torch.testing.assert_close(convs(x), torch.cat(each))


@pytest.mark.parametrize("size", [8, 9, 32, 50])
def test_images_have_the_size_and_lie_between_0_and_1(size: int) -> None:
    images = UNets(size, generators(0, 1))()
    assert images.shape == (2, 3, size, size)
    assert 0 < images.min() < images.max() < 1
    assert not torch.allclose(images[0], images[1])


def test_the_noise_is_uniform_up_to_a_tenth() -> None:
    noise = UNets(16, generators(3)).noise
    assert noise.shape == (1, INPUTS, 16, 16)
    assert 0 <= noise.min() < 0.001
    assert 0.099 < noise.max() <= 0.1
    assert noise.mean().item() == pytest.approx(0.05, abs=0.002)


def test_a_network_does_not_depend_on_those_beside_it() -> None:
    together, alone = UNets(16, generators(4, 5, 6)), UNets(16, generators(5))
    images = together()
    torch.testing.assert_close(images[1:2], alone(), rtol=1e-4, atol=1e-5)
    images[1].square().sum().backward()
    alone()[0].square().sum().backward()
    for mine, own in zip(together.parameters(), alone.parameters(), strict=True):
        assert mine.grad is not None
        assert own.grad is not None
        assert not mine.grad[[0, 2]].any()
        torch.testing.assert_close(mine.grad[1], own.grad[0], rtol=1e-3, atol=1e-5)


def test_too_small_images_and_no_network_are_refused() -> None:
    with pytest.raises(InputError, match="1 images of 7 pixels cannot be made"):
        UNets(7, generators(0))
    with pytest.raises(InputError, match="0 images of 32 pixels"):
        UNets(32, [])
