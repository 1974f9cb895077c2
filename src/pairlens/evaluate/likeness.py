"""How alike two pictures are, by several measures that do not agree: what a reconstruction is scored with.

N images, S pixels of a side, R references.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

BLOCKS = 4
"""Blocks a side whose mean colours are the layout of an image."""

WINDOW, SIGMA = 11, 1.5
"""Side and standard deviation of SSIM's window, pixels."""


def psnr(images: Float[Tensor, "N 3 S S"], others: Float[Tensor, "N 3 S S"]) -> Float[Tensor, "N"]:
    """Peak signal-to-noise ratio in dB of images in [0, 1]: -10 log10 of the mean squared difference, at most 100."""
    return -10 * (images - others).square().flatten(1).mean(1).clamp(min=1e-10).log10()


def layout_psnr(images: Float[Tensor, "N 3 S S"], others: Float[Tensor, "N 3 S S"]) -> Float[Tensor, "N"]:
    """The same of the mean colours of 4 x 4 blocks: layout and colours, whatever the details."""
    return psnr(F.adaptive_avg_pool2d(images, BLOCKS), F.adaptive_avg_pool2d(others, BLOCKS))


def ssim(images: Float[Tensor, "N 3 S S"], others: Float[Tensor, "N 3 S S"]) -> Float[Tensor, "N"]:
    """Structural similarity (Wang et al., IEEE Transactions on Image Processing 2004, Eq. 13): 1 for equal images.

    The mean over channels and all positions of an 11 x 11 Gaussian window (standard deviation 1.5 pixels) that lie in
    the image, with K1 = .01 and K2 = .03; smaller images get the largest odd window that fits.
    """
    side = min(WINDOW, images.shape[-1] - 1 + images.shape[-1] % 2)
    offset = torch.arange(side, dtype=images.dtype, device=images.device) - side // 2
    weight = (-offset.square() / (2 * SIGMA**2)).exp()
    weight = weight / weight.sum()

    def local(x: Tensor) -> Tensor:
        rows = F.conv2d(x.flatten(0, 1)[:, None], weight[None, None, :, None])
        return F.conv2d(rows, weight[None, None, None, :])

    first, second = local(images), local(others)
    variance = local(images * images) - first * first
    other_variance = local(others * others) - second * second
    covariance = local(images * others) - first * second
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * first * second + c1) * (2 * covariance + c2)
    alike = alike / ((first**2 + second**2 + c1) * (variance + other_variance + c2))
    return alike.view(len(images), -1).mean(1)


def recognised(
    images: Float[Tensor, "N 3 S S"], own: Float[Tensor, "N 3 S S"], references: Float[Tensor, "R 3 S S"]
) -> Bool[Tensor, "N"]:
    """Whether an image's own original is nearer to it, pixel by pixel, than every reference is."""
    to_own = (images - own).square().flatten(1).sum(1)
    to_others = torch.cdist(images.flatten(1), references.flatten(1)).square().amin(1)
    return to_own < to_others
