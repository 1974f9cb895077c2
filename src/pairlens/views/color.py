"""Colour: gray, the four adjustments of the jitter, each with its own factors for every image, and normalisation.

B images of the batch, S pixels of a view's side, J adjustments in a row.
"""

from collections.abc import Callable
from itertools import groupby

import torch
from jaxtyping import Float, Integer
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in gray (ITU-R BT.601, as Pillow and torchvision have them)."""

_LUMA = torch.tensor(LUMA)

CONTRAST, SATURATION, HUE = 1, 2, 3
"""Columns of `ViewParams.factors`; brightness is column 0."""


def luma(view: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 1 S S"]:
    """The gray image, as one channel."""
    red, green, blue = view.unbind(1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]).unsqueeze(1)


def jitter_(view: Float[Tensor, "B 3 S S"], factors: Float[Tensor, "B 4"], order: Integer[Tensor, "B 4"]) -> None:
    """The four adjustments of each view in its own order; in place.

    Neighbours that are due for the same adjustment are adjusted together, so views of like orders are best neighbours.
    The order is read, as is not possible on accelerators without waiting; there, `adjust_` takes all views at once.
    """
    by_column = factors.unbind(1)
    for columns in zip(*order.tolist(), strict=True):
        last = 0
        for column, run in groupby(columns):
            first, last = last, last + len(list(run))
            ADJUSTMENTS[column](view[first:last], by_column[column][first:last])


def brighten_(view: Float[Tensor, "B 3 S S"], factor: Float[Tensor, "B"]) -> Float[Tensor, "B 3 S S"]:
    """Away from black, or towards it, clamped to [0, 1]; in place."""
    return view.mul_(per_image(factor)).clamp_(0, 1)


def contrast_(view: Float[Tensor, "B 3 S S"], factor: Float[Tensor, "B"]) -> Float[Tensor, "B 3 S S"]:
    """Away from the mean of the gray image, or towards it, clamped to [0, 1]; in place."""
    mean = view.mean((2, 3)) @ _LUMA.to(view.device)
    return view.mul_(per_image(factor)).add_(per_image(mean * (1 - factor))).clamp_(0, 1)


def saturate_(view: Float[Tensor, "B 3 S S"], factor: Float[Tensor, "B"]) -> Float[Tensor, "B 3 S S"]:
    """Away from the gray image, or towards it, clamped to [0, 1]; in place."""
    return torch.lerp(luma(view), view, per_image(factor), out=view).clamp_(0, 1)


def adjust_(
    view: Float[Tensor, "B 3 S S"], scale: Float[Tensor, "B"], gray: Float[Tensor, "B"], level: Float[Tensor, "B"]
) -> Float[Tensor, "B 3 S S"]:
    """scale * view + gray * its gray image + level * that image's mean, clamped to [0, 1]; in place.

    Brightness, contrast and saturation are all of this form (`adjustments`), so images that differ in which of them
    is due are adjusted together.
    """
    shade = luma(view)
    mean = shade.mean((2, 3), keepdim=True)
    shade.mul_(per_image(gray)).add_(mean.mul_(per_image(level)))
    return view.mul_(per_image(scale)).add_(shade).clamp_(0, 1)


def adjustments(
    factors: Float[Tensor, "B 4"], order: Integer[Tensor, "B J"]
) -> tuple[Float[Tensor, "B J"], Float[Tensor, "B J"], Float[Tensor, "B J"]]:
    """`adjust_`'s three factors for each image and each of the adjustments in its order; neutral ones for hue."""
    factor = factors.gather(1, order.long())
    rest = 1 - factor
    return (
        torch.where(order == HUE, 1.0, factor),
        torch.where(order == SATURATION, rest, 0.0),
        torch.where(order == CONTRAST, rest, 0.0),
    )


def shift_hue_(view: Float[Tensor, "B 3 S S"], turns: Float[Tensor, "B"]) -> Float[Tensor, "B 3 S S"]:
    """Turn the hue of every pixel in HSV space, by `turns` of the full circle; in place.

    With value V, chroma C = V - min and floor F = V - 2 C, the hue is sign(green - blue) * (green + blue - red - F) / C
    sixths of a turn. A channel at a distance of d sixths (at most 3) of the hue from its own (red 0, green 2, blue 4)
    is V - C * clamp(d - 1, 0, 1), which with e = 3 - d is F + C * clamp(e, 1, 2).
    """
    red, green, blue = view.split(1, 1)
    value, least = view.amax(1, keepdim=True), view.amin(1, keepdim=True)
    chroma = value.sub_(least)
    floor = least.sub_(chroma)
    hue = (green + blue).sub_(red).sub_(floor).div_(chroma.add_(1e-12)).copysign_(green - blue)
    offset = per_image(turns) - torch.arange(3, device=view.device)[:, None, None] / 3
    torch.add(hue, (offset - offset.round()).mul_(6), out=view)  # within a turn of 0
    return torch.addcmul(floor, view.abs_().sub_(3).abs_().clamp_(1, 2), chroma, out=view)


def normalize_(
    view: Float[Tensor, "B 3 S S"], mean: Float[Tensor, "3"] | None, std: Float[Tensor, "3"] | None
) -> Float[Tensor, "B 3 S S"]:
    """(view - mean) / std per channel, in place; either may be None."""
    if mean is not None:
        view.sub_(mean.to(view.device)[:, None, None])
    if std is not None:
        view.mul_(1 / std.to(view.device)[:, None, None])
    return view


def per_image(values: Float[Tensor, "B"]) -> Float[Tensor, "B 1 1 1"]:
    """One number per image, shaped to multiply a batch of images."""
    return values.view(-1, 1, 1, 1)


ADJUSTMENTS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (brighten_, contrast_, saturate_, shift_hue_)
"""What each column of `ViewParams.factors` is a factor of."""
