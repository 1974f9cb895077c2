"""Mixing a batch of views with itself in reverse order, whole or a rectangle of it (Un-Mix, Shen et al. 2022).

B images of the batch, S pixels of a view's side.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def mix_reversed(views: Float[Tensor, "B 3 S S"], share: Float[Tensor, "S S"]) -> Float[Tensor, "B 3 S S"]:
    """View b mixed with view B - 1 - b (Un-Mix); `share` is what each pixel keeps of view b, from 0 to 1."""
    return torch.lerp(views.flip(0), views, share)


def draw_share(
    lam: Float[Tensor, ""], size: int, cut: float, generator: torch.Generator
) -> tuple[Float[Tensor, "S S"], Float[Tensor, ""]]:
    """What each pixel keeps of its own view, and the mean of that over the view, which is the lambda to weigh with.

    With probability `cut` a rectangle is taken from the other view, and lambda becomes the share of pixels outside it;
    otherwise every pixel keeps `lam`. All is arithmetic on the generator's device, and nothing waits for it.
    """
    uniform = torch.rand(3, generator=generator, device=generator.device)
    outside = outside_rectangle(lam, uniform[1:], size)
    region = uniform[0] < cut
    return torch.where(region, outside, lam), torch.where(region, outside.mean(), lam)


def outside_rectangle(lam: Float[Tensor, ""], centre: Float[Tensor, "2"], size: int) -> Float[Tensor, "S S"]:
    """1 outside a square of about (1 - lam) of the view's area, 0 inside (CutMix, Yun et al. 2019, Equation 2).

    The square is cut off at the view's edges, so that less than that may lie inside.

    Args:
        lam: from 0 to 1.
        centre: row and column of the square's centre, fractions of the view in [0, 1).
        size: S.
    """
    half = ((1 - lam).sqrt() * size / 2).floor()
    away = torch.arange(size, device=lam.device) - (centre * size).floor()[:, None]
    inside = ((away >= -half) & (away < half)).to(lam.dtype)
    return 1 - inside[0][:, None] * inside[1][None, :]
