"""Gaussian blur with a standard deviation for every image.

B images of the batch, S pixels of a view's side, D distances from 0 on, T = 2 D - 1 taps.
"""

import math
from functools import cache

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from pairlens.views.color import per_image
from pairlens.views.sums import Taps, sum_columns, sum_rows

FARTHEST = 5
"""Standard deviations beyond which the CPU leaves out taps: they weigh less than float32 rounds 1 by, all together."""


def blur_kernel(size: int) -> int:
    """Side of the blur's kernel, pixels: a tenth of the view, odd, at least 3 (SimCLR, Appendix A; 23 for 224)."""
    return max(3, size // 10 | 1)


def blur(view: Float[Tensor, "B 3 S S"], sigma: Float[Tensor, "B"], kernel: int) -> Float[Tensor, "B 3 S S"]:
    """Gaussian blur with a standard deviation per image, reflecting at the edges; sigma 0 changes nothing."""
    half = kernel // 2
    weights = _gaussian(sigma, half)
    both = torch.empty_like(view)
    for axis, margins in ((2, (0, 0, half, half)), (3, (half, half, 0, 0))):
        side = view.shape[axis]
        padded = F.pad(view, margins, mode="reflect")
        view = padded.narrow(axis, half, side) * per_image(weights[:, 0])
        for d in range(1, half + 1):
            torch.add(padded.narrow(axis, half - d, side), padded.narrow(axis, half + d, side), out=both)
            view.addcmul_(both, per_image(weights[:, d]))
    return view


def blur_by_sums(view: Float[Tensor, "B 3 S S"], sigma: Float[Tensor, "B"], kernel: int) -> Float[Tensor, "B 3 S S"]:
    """What `blur` computes, as sums of columns, then of rows; how many weigh in is read from the deviations."""
    half = min(kernel // 2, max(1, math.ceil(FARTHEST * float(sigma.max()))))
    distance = torch.arange(-half, half + 1).abs_()
    taps = Taps(_mirrored_rows(view.shape[3], half), _gaussian(sigma, half)[:, None, distance])
    return sum_rows(sum_columns(view, taps), taps)


@cache
def _mirrored_rows(size: int, half: int) -> Integer[Tensor, "1 S T"]:
    """The rows about each row, those beyond an edge reflected."""
    last = size - 1
    rows = torch.arange(size)[:, None] + torch.arange(-half, half + 1)
    return (last - (last - rows.abs_()).abs_())[None]


def _gaussian(sigma: Float[Tensor, "B"], half: int) -> Float[Tensor, "B D"]:
    """What a pixel weighs at each distance up to `half`; all weights, on both sides, sum to 1."""
    distance = torch.arange(half + 1, device=sigma.device)
    weights = (distance / sigma.clamp(min=1e-3)[:, None]).square_().mul_(-0.5).exp_()
    return weights / (2 * weights.sum(1, keepdim=True) - weights[:, :1])
