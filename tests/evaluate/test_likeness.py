"""Likeness against loops in float64."""

import math

import pytest
import torch
from torch import Tensor

from pairlens.evaluate.likeness import layout_psnr, psnr, recognised, ssim


def pairs(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size)
    images = torch.rand(2, 3, size, size, dtype=torch.float64, generator=generator)
    return images, (images + 0.2 * torch.randn(images.shape, dtype=torch.float64, generator=generator)).clamp(0, 1)


def ssim_by_loops(a: Tensor, b: Tensor, side: int) -> float:
    """One channel's mean over all windows."""
    half = side // 2
    weight = [[math.exp(-((y - half) ** 2 + (x - half) ** 2) / (2 * 1.5**2)) for x in range(side)] for y in range(side)]
    total = sum(map(sum, weight))
    values = []
    for top in range(a.shape[0] - side + 1):
        for left in range(a.shape[1] - side + 1):
            cells = [(y, x) for y in range(side) for x in range(side)]
            w = [weight[y][x] / total for y, x in cells]
            p = [float(a[top + y, left + x]) for y, x in cells]
            q = [float(b[top + y, left + x]) for y, x in cells]
            mp, mq = sum(u * v for u, v in zip(w, p, strict=True)), sum(u * v for u, v in zip(w, q, strict=True))
            vp = sum(u * (v - mp) ** 2 for u, v in zip(w, p, strict=True))
            vq = sum(u * (v - mq) ** 2 for u, v in zip(w, q, strict=True))
            c = sum(u * (v - mp) * (t - mq) for u, v, t in zip(w, p, q, strict=True))
            values.append((2 * mp * mq + 1e-4) * (2 * c + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    return sum(values) / len(values)


@pytest.mark.parametrize(("size", "side"), [(13, 11), (8, 7), (9, 9)])
def test_ssim_is_the_mean_over_windows_and_channels(size: int, side: int) -> None:
    images, others = pairs(size)
    wanted = [sum(ssim_by_loops(images[i, c], others[i, c], side) for c in range(3)) / 3 for i in range(2)]
    torch.testing.assert_close(ssim(images, others), torch.tensor(wanted, dtype=torch.float64))
    torch.testing.assert_close(ssim(images, images), torch.ones(2, dtype=torch.float64))


def test_psnr_by_loops() -> None:
    images, others = pairs(8)
    for i in range(2):
        squares = [(float(p) - float(q)) ** 2 for p, q in zip(images[i].flatten(), others[i].flatten(), strict=True)]
        assert psnr(images, others)[i].item() == pytest.approx(-10 * math.log10(sum(squares) / len(squares)))
    assert psnr(images, images).tolist() == pytest.approx([100, 100])


def test_layout_sees_blocks_and_no_details() -> None:
    images, _ = pairs(16)
    shuffled = images.clone()
    shuffled[:, :, :4, :4] = images[:, :, :4, :4].flip(2)
    assert layout_psnr(images, shuffled).min() > 99
    assert psnr(images, shuffled).max() < 50
    moved = images.roll(4, 3)
    assert layout_psnr(images, moved).max() < 40


def test_recognised_is_nearest_to_its_own() -> None:
    images, others = pairs(8)
    references = torch.stack([images[0] * 0.9, torch.zeros_like(images[0])])
    assert recognised(images, images, references).tolist() == [True, True]
    assert recognised(references[:1], images[:1], references).tolist() == [False]
    assert recognised(others, images, references[1:]).tolist() == [True, True]
